#include "service/echo.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "os/os.h"
#include "os/sock.h"
#include "port/op.h"
#include "port/port.h"

#define ACCEPTS           16
#define BACKLOG           4096
#define ROOM_BYTES        (256 * 1024)  /* received at once */
#define TURN_BYTES        (1024 * 1024) /* moved for one peer before others have their turn */
#define ACCEPT_BACKOFF_MS 100

struct accept {
    struct op op;
    bool paused; /* failed for want of descriptors or memory, tries again later */
    _Alignas(8) unsigned char scratch[OP_ACCEPT_SCRATCH];
};

/* A connection. One operation at a time is in flight, so it can end wherever one comes out. */
struct peer {
    struct op op;
    struct list link; /* in echo->peers */
};

struct counts {
    _Atomic uint64_t open;
    _Atomic uint64_t total;
    _Atomic uint64_t received;
    _Atomic uint64_t sent;
    _Atomic uint64_t accept_failures;
};

struct echo {
    struct port *port;
    struct os_thread *thread;
    sock_t listener;
    bool discard; /* a sink */

    struct op stop;       /* posted by echo_stop() */
    bool stopping;        /* the thread has seen it */
    unsigned in_flight;   /* operations, without `stop` */
    uint64_t retry_at_ms; /* when paused accepts try again; 0: none is paused */
    struct accept accepts[ACCEPTS];
    struct list peers;
    unsigned char *room; /* owned, ROOM_BYTES: what is on its way right now */
    struct counts counts;

    struct os_mutex mutex; /* guards the two below */
    struct os_cond changed;
    enum start_state { STARTING, RUNNING, START_FAILED } state;
    enum err start_err; /* of START_FAILED */
};

/* Only the echo's thread writes, so reading and writing need no common step. */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
    uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, value + n, memory_order_relaxed);
}

static void submit(struct echo *echo, struct op *op)
{
    echo->in_flight++;
    port_submit(echo->port, op);
}

static void end_peer(struct echo *echo, struct peer *peer, enum sock_close_how how)
{
    free(peer->op.buf);
    port_close_socket(echo->port, peer->op.sock, how);
    list_remove(&peer->link);
    free(peer);
    count(&echo->counts.open, UINT64_MAX); /* minus one */
}

/* Waits without a buffer until there is something to receive. */
static void wait_bytes(struct echo *echo, struct peer *peer)
{
    peer->op.buf = NULL;
    peer->op.kind = OP_READ;
    peer->op.len = 0;
    submit(echo, &peer->op);
}

/* What the peer does not take at once waits in a buffer of its own. */
static void write_rest(struct echo *echo, struct peer *peer, const unsigned char *rest,
                       uint32_t len)
{
    peer->op.buf = malloc(len);
    if (peer->op.buf == NULL) {
        end_peer(echo, peer, SOCK_CLOSE_ABORT);
        return;
    }
    memcpy(peer->op.buf, rest, len);
    peer->op.kind = OP_WRITE;
    peer->op.len = len;
    submit(echo, &peer->op);
}

/* Sends back what comes as long as both go at once. */
static void move_bytes(struct echo *echo, struct peer *peer)
{
    sock_t sock = peer->op.sock;
    for (uint32_t moved = 0, got, sent; moved < TURN_BYTES; moved += got) {
        enum err err = port_receive_now(echo->port, sock, echo->room, ROOM_BYTES, &got);
        if (err == ERR_AGAIN)
            break;
        if (err != ERR_OK || got == 0) {
            /* FIN: everything before it was sent back, so both directions are over. */
            end_peer(echo, peer, err == ERR_OK ? SOCK_CLOSE_NORMAL : SOCK_CLOSE_ABORT);
            return;
        }
        count(&echo->counts.received, got);
        if (echo->discard)
            continue;
        err = port_send_now(echo->port, sock, echo->room, got, &sent);
        if (err != ERR_OK) {
            end_peer(echo, peer, SOCK_CLOSE_ABORT);
            return;
        }
        count(&echo->counts.sent, sent);
        if (sent < got) {
            write_rest(echo, peer, echo->room + sent, got - sent);
            return;
        }
        if (got < ROOM_BYTES)
            break;
    }
    wait_bytes(echo, peer);
}

static void on_read(struct echo *echo, struct peer *peer)
{
    if (peer->op.err == ERR_OK)
        move_bytes(echo, peer);
    else
        end_peer(echo, peer, SOCK_CLOSE_ABORT);
}

static void on_write(struct echo *echo, struct peer *peer)
{
    count(&echo->counts.sent, peer->op.bytes);
    if (peer->op.err != ERR_OK) {
        end_peer(echo, peer, SOCK_CLOSE_ABORT);
        return;
    }
    free(peer->op.buf);
    peer->op.buf = NULL;
    move_bytes(echo, peer); /* more has often come meanwhile */
}

static void add_peer(struct echo *echo, sock_t sock)
{
    struct peer *peer = calloc(1, sizeof *peer);
    if (peer == NULL || port_attach(echo->port, sock) != ERR_OK) {
        free(peer);
        sock_close(sock, SOCK_CLOSE_ABORT);
        count(&echo->counts.accept_failures, 1);
        return;
    }
    sock_set_nodelay(sock, true);
    peer->op.sock = sock;
    peer->op.owner = peer;
    list_push(&echo->peers, &peer->link);
    count(&echo->counts.open, 1);
    count(&echo->counts.total, 1);
    wait_bytes(echo, peer);
}

static void on_accept(struct echo *echo, struct accept *accept)
{
    const struct op *op = &accept->op;
    if (echo->stopping) {
        if (op->err == ERR_OK)
            sock_close(op->accepted, SOCK_CLOSE_NORMAL);
        return;
    }
    if (op->err == ERR_OK) {
        add_peer(echo, op->accepted);
    } else {
        count(&echo->counts.accept_failures, 1);
        if (op->err != ERR_ABORTED) {
            accept->paused = true;
            echo->retry_at_ms = os_mono_ms() + ACCEPT_BACKOFF_MS;
            return;
        }
    }
    submit(echo, &accept->op);
}

static void resume_accepts(struct echo *echo)
{
    echo->retry_at_ms = 0;
    for (unsigned i = 0; i < ACCEPTS; i++) {
        if (!echo->accepts[i].paused)
            continue;
        echo->accepts[i].paused = false;
        submit(echo, &echo->accepts[i].op);
    }
}

static void begin_stop(struct echo *echo)
{
    echo->stopping = true;
    echo->retry_at_ms = 0;
    port_cancel(echo->port, echo->listener);
    for (struct list *link = echo->peers.next; link != &echo->peers; link = link->next)
        port_cancel(echo->port, list_owner(link, struct peer, link)->op.sock);
}

static void on_done(struct echo *echo, struct op *op)
{
    if (op->kind == OP_WAKE) {
        begin_stop(echo);
        return;
    }
    echo->in_flight--;
    if (op->kind == OP_ACCEPT) {
        on_accept(echo, op->owner);
        return;
    }
    struct peer *peer = op->owner;
    if (echo->stopping)
        end_peer(echo, peer, SOCK_CLOSE_NORMAL);
    else if (op->kind == OP_READ)
        on_read(echo, peer);
    else
        on_write(echo, peer);
}

/* How long port_wait() may sleep. */
static int time_to_retry(const struct echo *echo)
{
    if (echo->retry_at_ms == 0)
        return -1;
    uint64_t now = os_mono_ms();
    return now < echo->retry_at_ms ? (int)(echo->retry_at_ms - now) : 0;
}

static void tell_started(struct echo *echo, enum err err)
{
    os_mutex_lock(&echo->mutex);
    echo->state = err == ERR_OK ? RUNNING : START_FAILED;
    echo->start_err = err;
    os_cond_wake_all(&echo->changed);
    os_mutex_unlock(&echo->mutex);
}

static enum err wait_started(struct echo *echo)
{
    os_mutex_lock(&echo->mutex);
    while (echo->state == STARTING)
        os_cond_wait(&echo->changed, &echo->mutex, UINT32_MAX);
    enum err err = echo->start_err;
    os_mutex_unlock(&echo->mutex);
    return err;
}

static void run(void *arg)
{
    struct echo *echo = arg;
    enum err err = port_enter(echo->port);
    tell_started(echo, err);
    if (err != ERR_OK)
        return;
    for (unsigned i = 0; i < ACCEPTS; i++)
        submit(echo, &echo->accepts[i].op);
    while (!echo->stopping || echo->in_flight > 0) {
        struct op *ops[PORT_BATCH];
        int n = port_wait(echo->port, ops, PORT_BATCH, time_to_retry(echo));
        for (int i = 0; i < n; i++)
            on_done(echo, ops[i]);
        if (echo->retry_at_ms != 0 && os_mono_ms() >= echo->retry_at_ms)
            resume_accepts(echo);
    }
    assert(list_empty(&echo->peers));
    port_leave(echo->port);
}

static void init_accepts(struct echo *echo)
{
    for (unsigned i = 0; i < ACCEPTS; i++) {
        struct accept *accept = &echo->accepts[i];
        accept->op.kind = OP_ACCEPT;
        accept->op.sock = echo->listener;
        accept->op.owner = accept;
        accept->op.buf = accept->scratch;
        accept->op.len = sizeof accept->scratch;
    }
}

static enum err start_thread(struct echo *echo)
{
    enum err err = os_thread_start(&echo->thread, "echo", run, echo);
    if (err != ERR_OK)
        return err;
    err = wait_started(echo);
    if (err != ERR_OK)
        os_thread_join(echo->thread);
    return err;
}

static enum err start(struct echo **out, const struct addr *listen, struct addr *bound,
                      bool discard)
{
    struct echo *echo = calloc(1, sizeof *echo);
    if (echo == NULL)
        return ERR_NOMEM;
    echo->discard = discard;
    echo->stop.kind = OP_WAKE;
    list_init(&echo->peers);

    struct addr real;
    enum err err = ERR_NOMEM;
    echo->room = malloc(ROOM_BYTES);
    if (echo->room == NULL)
        goto free_echo;
    err = sock_listen(listen, false, BACKLOG, &echo->listener);
    if (err != ERR_OK)
        goto free_echo;
    err = sock_local_addr(echo->listener, &real);
    if (err != ERR_OK)
        goto close_listener;
    err = port_open(&echo->port, 1);
    if (err != ERR_OK)
        goto close_listener;
    err = port_attach(echo->port, echo->listener);
    if (err != ERR_OK)
        goto close_port;
    init_accepts(echo);
    err = start_thread(echo);
    if (err != ERR_OK)
        goto close_attached;
    if (bound != NULL)
        *bound = real;
    *out = echo;
    return ERR_OK;

close_attached:
    port_close_socket(echo->port, echo->listener, SOCK_CLOSE_NORMAL);
    echo->listener = SOCK_NONE;
close_port:
    port_close(echo->port);
close_listener:
    if (echo->listener != SOCK_NONE)
        sock_close(echo->listener, SOCK_CLOSE_NORMAL);
free_echo:
    free(echo->room);
    free(echo);
    return err;
}

enum err echo_start(struct echo **out, const struct addr *listen, struct addr *bound)
{
    return start(out, listen, bound, false);
}

enum err echo_start_sink(struct echo **out, const struct addr *listen, struct addr *bound)
{
    return start(out, listen, bound, true);
}

void echo_stop(struct echo *echo)
{
    port_post(echo->port, &echo->stop);
    os_thread_join(echo->thread);
    port_close_socket(echo->port, echo->listener, SOCK_CLOSE_NORMAL);
    port_close(echo->port);
    free(echo->room);
    free(echo);
}

void echo_get_counts(const struct echo *echo, struct echo_counts *out)
{
    const struct counts *counts = &echo->counts;
    out->connections_open = atomic_load_explicit(&counts->open, memory_order_relaxed);
    out->connections_total = atomic_load_explicit(&counts->total, memory_order_relaxed);
    out->received_bytes_total = atomic_load_explicit(&counts->received, memory_order_relaxed);
    out->sent_bytes_total = atomic_load_explicit(&counts->sent, memory_order_relaxed);
    out->accept_failures_total =
        atomic_load_explicit(&counts->accept_failures, memory_order_relaxed);
}
