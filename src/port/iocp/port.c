/* port.c - the completion port itself: its life, its workers, and the way out. */
#include <stdlib.h>

#include "base/log.h"
#include "os/windows/error.h"
#include "port/iocp/iocp.h"

/* Known results that a turn may hand out, and turns that may go by before the completion port is
 * looked at while there are known results: a connection whose calls all succeed at once
 * must not keep the others from being served. */
#define READY_PER_TURN 32
#define TURNS_UNPOLLED 4

const char *port_backend_name(void)
{
    return "iocp";
}

enum err port_open(struct port **out, unsigned workers)
{
    struct port *port = calloc(1, sizeof *port);
    if (port == NULL)
        return ERR_NOMEM;
    list_init(&port->workers);
    if (workers == 0)
        workers = 1;

    /* Many packets at a time are cheap, but what one worker holds the others can not serve. */
    port->batch = workers < 8 ? PACKETS_MAX : PACKETS_MAX / 2;
    /* Long waits are cut to pieces only so that the overflow list is looked at, once a second
     * by all workers together. */
    port->longest_wait = 1000 * (workers < 1000 ? workers : 1000);
    port->may_skip = provider_all_ifs();

    /* 0: as many running threads as there are processors. More could not run, and with fewer
     * workers the limit does not matter ("I/O Completion Ports"). */
    port->handle = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 0);
    if (port->handle == NULL) {
        enum err err = error_last();
        free(port);
        return err;
    }
    *out = port;
    return ERR_OK;
}

void port_close(struct port *port)
{
    assert(list_empty(&port->workers));
    for (int kind = 0; kind <= OP_WAKE; kind++)
        assert(counts_sum(port, (enum count)(COUNT_SUBMITS + kind)) ==
               counts_sum(port, (enum count)(COUNT_COMPLETIONS + kind)));
    foreign_close(port);
    socks_free(&port->socks);
    CloseHandle(port->handle);
    free(port);
}

enum err port_enter(struct port *port)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return ERR_NOMEM;
    worker->port = port;
    os_mutex_lock(&port->lock);
    list_push(&port->workers, &worker->in_port);
    os_mutex_unlock(&port->lock);
    worker_bind(worker);
    return ERR_OK;
}

void port_leave(struct port *port)
{
    struct worker *worker = worker_of(port);
    assert(worker != NULL);
    ready_hand_back(port, worker);
    os_mutex_lock(&port->lock);
    list_remove(&worker->in_port);
    for (int i = 0; i < COUNT_TOTAL; i++)
        port->counts_left[i] += atomic_load(&worker->counts[i]);
    os_mutex_unlock(&port->lock);
    worker_bind(NULL);
    free(worker);
}

/* The operation goes back to its owner. */
static struct op *retire(struct port *port, struct op *op)
{
    assert(op->in_flight && op->state == STATE_FINISHED);
    if (op->kind != OP_WAKE) {
        struct sock_record *record = socks_find(&port->socks, op->sock);
        uint32_t before = atomic_fetch_sub(&record->pending, 1);
        assert(before > 0);
    }
    counts_add(port, (enum count)(COUNT_COMPLETIONS + op->kind));
    op->state = STATE_REST;
    op->in_flight = false;
    return op;
}

/* Takes the packet of a started operation; false: it goes on. */
static bool finish(struct port *port, struct op *op, uint32_t bytes)
{
    assert(op->in_flight && op->state == STATE_STARTED);
    /* Documented is the status in the OVERLAPPED, not the one in the OVERLAPPED_ENTRY. */
    LONG status = (LONG)native_of(op)->overlapped.Internal;
    enum outcome outcome = OUTCOME_KNOWN;
    switch (op->kind) {
    case OP_ACCEPT: accept_finish(port, op, status); break;
    case OP_CONNECT: connect_finish(op, status); break;
    case OP_READ: read_finish(op, status, bytes); break;
    case OP_WRITE: outcome = write_finish(port, op, status, bytes); break;
    case OP_WAKE: assert(false && "a WAKE is not started"); break;
    }
    if (outcome == OUTCOME_PENDING)
        return false;
    op->state = STATE_FINISHED;
    return true;
}

/* A wait that failed other than by time: memory is short, or the port was closed. */
static void wait_failed(void)
{
    DWORD code = GetLastError();
    assert(code != ERROR_INVALID_HANDLE && code != ERROR_ABANDONED_WAIT_0);
    static struct log_limit limit;
    log_limited(&limit, LOG_ERROR, "waiting on the completion port failed: windows error %lu",
                code);
    os_sleep_ms(10); /* it may heal, and must not spin until it does */
}

/* Takes packets, at most `max` and one batch. Returns how many operations are finished; *took
 * says whether there was a packet at all. */
static int take_packets(struct port *port, struct op *ops[], int max, DWORD timeout_ms,
                        bool *took)
{
    OVERLAPPED_ENTRY packets[PACKETS_MAX];
    ULONG want = (ULONG)max < port->batch ? (ULONG)max : port->batch;
    ULONG count = 0;
    counts_add(port, COUNT_WAITS);
    if (timeout_ms > 0) {
        counts_add(port, COUNT_SLEEPS);
        atomic_fetch_add(&port->sleeping, 1);
    }
    BOOL success =
        GetQueuedCompletionStatusEx(port->handle, packets, want, &count, timeout_ms, FALSE);
    if (timeout_ms > 0)
        atomic_fetch_sub(&port->sleeping, 1);
    *took = false;
    if (!success) {
        if (GetLastError() != WAIT_TIMEOUT)
            wait_failed();
        return 0; /* `count` was not written */
    }

    int finished = 0;
    for (ULONG i = 0; i < count; i++) {
        struct op *op = op_of(packets[i].lpOverlapped);
        *took = true;
        bool posted = packets[i].lpCompletionKey == KEY_POSTED;
        assert(posted || packets[i].lpCompletionKey == KEY_SOCKET);
        if (posted || finish(port, op, packets[i].dwNumberOfBytesTransferred))
            ops[finished++] = retire(port, op);
    }
    return finished;
}

/* The same, for a time that may be longer than one wait. Comes back early when something got
 * into the overflow list, of which no packet tells. */
static int wait_for_packets(struct port *port, struct op *ops[], int max, int timeout_ms)
{
    for (;;) {
        DWORD wait_ms = port->longest_wait;
        if (timeout_ms >= 0 && (DWORD)timeout_ms < wait_ms)
            wait_ms = (DWORD)timeout_ms;
        bool took = false;
        int finished = take_packets(port, ops, max, wait_ms, &took);
        if (took || atomic_load(&port->overflowed) > 0)
            return finished;
        if (timeout_ms >= 0 && (timeout_ms -= (int)wait_ms) == 0)
            return 0;
    }
}

int port_wait(struct port *port, struct op *ops[], int max, int timeout_ms)
{
    struct worker *worker = worker_of(port);
    assert(worker != NULL && max > 0);
    if (atomic_load_explicit(&port->overflowed, memory_order_relaxed) > 0)
        ready_take_overflow(port, worker);

    int count = 0;
    if (worker->ready == 0) {
        worker->unpolled = 0;
        count = wait_for_packets(port, ops, max, timeout_ms);
    } else if (++worker->unpolled >= TURNS_UNPOLLED) {
        worker->unpolled = 0;
        bool took = false;
        count = take_packets(port, ops, max, 0, &took);
        ready_share(port, worker); /* after it, or this worker would take back what it gave */
    }

    for (int i = 0; i < READY_PER_TURN && count < max; i++) {
        struct op *op = ready_pop(worker);
        if (op == NULL)
            break;
        ops[count++] = retire(port, op);
    }
    return count;
}
