#include "rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "os/bsd.h"

void rig_assert_err(enum err err, enum err expected, const char *file, int line)
{
    if (err == expected)
        return;
    print_error("expected %s, got %s\n", err_word(expected), err_word(err));
    _fail(file, line);
}

/* ---- the rig ---- */

int rig_setup(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    static unsigned tests; /* one worker or several: a backend may treat that differently */
    assert_ok(port_open(&rig->port, tests++ % 2 == 0 ? RIG_WORKERS : 1));
    assert_ok(port_enter(rig->port));
    *state = rig;
    return 0;
}

int rig_teardown(void **state)
{
    struct rig *rig = *state;
    struct op *ops[PORT_BATCH];
    int late = port_wait(rig->port, ops, PORT_BATCH, 0);
    struct port_stats stats = rig_stats(rig->port);
    size_t pending = rig->pending_count;
    struct port *port = rig->port;
    free(rig);
    port_leave(port);

    /* After a failed test the port stays open: operations on its stack are in flight. */
    assert_int_equal(pending, 0);
    assert_int_equal(late, 0);
    for (int kind = 0; kind <= OP_WAKE; kind++)
        assert_int_equal(stats.submits[kind], stats.completions[kind]);
    port_close(port);
    return 0;
}

struct op rig_op(enum op_kind kind, sock_t sock, void *buf, size_t len)
{
    struct op op;
    memset(&op, 0, sizeof op);
    op.kind = kind;
    op.sock = sock;
    op.buf = buf;
    op.len = (uint32_t)len;
    return op;
}

struct op rig_accept_op(sock_t listener, unsigned char scratch[OP_ACCEPT_SCRATCH])
{
    return rig_op(OP_ACCEPT, listener, scratch, OP_ACCEPT_SCRATCH);
}

struct op rig_connect_op(sock_t sock, const struct addr *to)
{
    struct op op = rig_op(OP_CONNECT, sock, NULL, 0);
    op.addr = *to;
    return op;
}

void rig_submit(struct rig *rig, struct op *op)
{
    assert_true(rig->pending_count < RIG_OPS);
    rig->pending[rig->pending_count++] = op;
    port_submit(rig->port, op);
}

static void take_out(struct rig *rig, struct op *op)
{
    assert_false(op->in_flight);
    rig->outs++;
    if (op->kind == OP_WAKE)
        return; /* posted, perhaps by another thread */
    for (size_t i = 0; i < rig->pending_count; i++) {
        if (rig->pending[i] != op)
            continue;
        rig->pending[i] = rig->pending[--rig->pending_count];
        return;
    }
    fail_msg("%s", "an operation came out that was not in flight");
}

int rig_turn(struct rig *rig, int max, int timeout_ms)
{
    struct op *ops[PORT_BATCH];
    assert_true(max <= PORT_BATCH);
    int count = port_wait(rig->port, ops, max, timeout_ms);
    assert_in_range(count, 0, max);
    for (int i = 0; i < count; i++)
        take_out(rig, ops[i]);
    return count;
}

bool rig_is_out(struct rig *rig, struct op *op, uint32_t timeout_ms)
{
    uint64_t end = os_mono_ms() + timeout_ms;
    for (;;) {
        uint64_t now = os_mono_ms();
        rig_turn(rig, PORT_BATCH, now < end ? (int)(end - now) : 0);
        if (!op->in_flight)
            return true;
        if (now >= end)
            return false;
    }
}

enum err rig_wait(struct rig *rig, struct op *op)
{
    if (op->in_flight && !rig_is_out(rig, op, NET_PATIENCE_MS))
        fail_msg("%s", "an operation did not come out");
    return op->err;
}

enum err rig_do(struct rig *rig, struct op *op)
{
    rig_submit(rig, op);
    return rig_wait(rig, op);
}

struct port_stats rig_stats(struct port *port)
{
    struct port_stats stats;
    port_get_stats(port, &stats);
    return stats;
}

uint64_t rig_read_to_end(struct rig *rig, struct op *op, struct sha256 *hash)
{
    uint64_t total = 0;
    for (;;) {
        assert_ok(rig_do(rig, op));
        if (op->bytes == 0)
            return total;
        assert_in_range(op->bytes, 1, op->len);
        total += op->bytes;
        sha256_add(hash, op->buf, op->bytes);
    }
}

/* ---- sockets ---- */

/* Not port 0: connections of tests that ran before may hold every port of the range that the
 * system would take it from, for a minute after their end. */
static enum err listen_somewhere(enum err (*try)(const struct addr *addr, int backlog,
                                                 sock_t *out),
                                 const struct addr *addr, int backlog, sock_t *out)
{
    struct addr at = *addr;
    enum err err = ERR_IN_USE;
    for (int tries = 0; err == ERR_IN_USE && tries < 100; tries++) {
        at.port = net_free_port(); /* another test may be faster */
        err = try(&at, backlog, out);
    }
    return err;
}

static enum err listen_for_port(const struct addr *addr, int backlog, sock_t *out)
{
    return sock_listen(addr, addr_is_any(addr), backlog, out);
}

static enum err listen_plainly(const struct addr *addr, int backlog, sock_t *out)
{
    return net_listen(addr, backlog, out, NULL);
}

sock_t rig_listen_at(struct port *port, const struct addr *addr, struct addr *bound)
{
    sock_t listener;
    assert_ok(listen_somewhere(listen_for_port, addr, 1024, &listener));
    assert_ok(sock_local_addr(listener, bound));
    assert_ok(port_attach(port, listener));
    return listener;
}

sock_t rig_listen(struct port *port, enum addr_family family, struct addr *bound)
{
    struct addr loopback = net_loopback(family, 0);
    return rig_listen_at(port, &loopback, bound);
}

sock_t rig_net_listen(enum addr_family family, struct addr *bound)
{
    struct addr loopback = net_loopback(family, 0);
    sock_t listener;
    assert_ok(listen_somewhere(listen_plainly, &loopback, 1024, &listener));
    assert_ok(net_local_addr(listener, bound));
    return listener;
}

sock_t rig_open(struct port *port, enum addr_family family)
{
    sock_t sock;
    assert_ok(sock_open(family, &sock));
    assert_ok(port_attach(port, sock));
    return sock;
}

static void make_pair(struct rig *rig, sock_t *sock, sock_t *peer, uint32_t buffer)
{
    struct addr addr;
    sock_t listener = rig_listen(rig->port, ADDR_IPV4, &addr);
    if (buffer != 0)
        net_set_buffers(listener, buffer, buffer);
    unsigned char scratch[OP_ACCEPT_SCRATCH];
    struct op accept = rig_accept_op(listener, scratch);
    rig_submit(rig, &accept);
    assert_ok(net_connect_small(&addr, buffer, buffer, NET_PATIENCE_MS, peer));
    assert_ok(rig_wait(rig, &accept));
    *sock = accept.accepted;
    if (buffer != 0)
        net_set_buffers(*sock, buffer, buffer);
    assert_ok(port_attach(rig->port, *sock));
    rig_close(rig->port, listener);
}

void rig_pair(struct rig *rig, sock_t *sock, sock_t *peer)
{
    make_pair(rig, sock, peer, 0);
}

void rig_small_pair(struct rig *rig, sock_t *sock, sock_t *peer)
{
    make_pair(rig, sock, peer, 16384);
}

void rig_close(struct port *port, sock_t sock)
{
    port_close_socket(port, sock, SOCK_CLOSE_NORMAL);
}

/* ---- threads ---- */

struct os_thread *rig_thread(void (*body)(void *arg), void *arg)
{
    struct os_thread *thread;
    assert_ok(os_thread_start(&thread, "test", body, arg));
    return thread;
}

struct crew {
    struct port *port;
    void (*handle)(void *arg, struct op *op);
    void *arg;
    unsigned workers;
    struct os_thread **threads;
    struct op wake; /* goes from worker to worker at the end */
    atomic_uint left;
    atomic_uint entered;
};

static void work(void *arg)
{
    struct crew *crew = arg;
    if (port_enter(crew->port) != ERR_OK)
        abort();
    atomic_fetch_add(&crew->entered, 1);
    for (bool going = true; going;) {
        struct op *ops[PORT_BATCH];
        int count = port_wait(crew->port, ops, PORT_BATCH, -1);
        for (int i = 0; i < count; i++) {
            if (ops[i] == &crew->wake)
                going = false;
            else
                crew->handle(crew->arg, ops[i]);
        }
    }
    bool last = atomic_fetch_add(&crew->left, 1) + 1 == crew->workers;
    if (!last)
        port_post(crew->port, &crew->wake);
    port_leave(crew->port);
}

struct crew *rig_hand_over(struct rig *rig, unsigned workers,
                           void (*handle)(void *arg, struct op *op), void *arg)
{
    port_leave(rig->port);
    struct crew *crew = calloc(1, sizeof *crew);
    assert_non_null(crew);
    crew->port = rig->port;
    crew->handle = handle;
    crew->arg = arg;
    crew->workers = workers;
    crew->wake = rig_op(OP_WAKE, SOCK_NONE, NULL, 0);
    crew->threads = calloc(workers, sizeof *crew->threads);
    assert_non_null(crew->threads);
    for (unsigned i = 0; i < workers; i++)
        crew->threads[i] = rig_thread(work, crew);
    assert_true(rig_reaches(&crew->entered, workers));
    return crew;
}

void rig_take_back(struct rig *rig, struct crew *crew)
{
    port_post(crew->port, &crew->wake);
    for (unsigned i = 0; i < crew->workers; i++)
        os_thread_join(crew->threads[i]);
    free(crew->threads);
    free(crew);
    assert_ok(port_enter(rig->port));
}

bool rig_reaches(atomic_uint *counter, unsigned goal)
{
    uint64_t end = os_mono_ms() + NET_PATIENCE_MS;
    while (atomic_load(counter) < goal) {
        if (os_mono_ms() > end)
            return false;
        os_sleep_ms(1);
    }
    return true;
}
