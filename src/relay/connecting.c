#include "relay/connecting.h"

#include <assert.h>

#include "base/log.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/worker.h"

/* Before an upstream is tried a second time: a server that restarts needs a moment. */
#define RETRY_DELAY_MS 1000

static const struct connect_step runs = {CONNECT_RUNS, REASON_NONE};

static struct connect_step failed(enum reason reason)
{
    return (struct connect_step){CONNECT_FAILED, reason};
}

static enum reason reason_of(enum err err)
{
    switch (err) {
    case ERR_REFUSED:
    case ERR_RESET: return REASON_CONNECT_REFUSED;
    case ERR_TIMEDOUT: return REASON_CONNECT_TIMEOUT;
    case ERR_UNREACHABLE: return REASON_CONNECT_UNREACHABLE;
    case ERR_NO_PORTS: return REASON_NO_PORTS;
    default: return REASON_CONNECT_ERROR;
    }
}

static void count(struct pair *pair, struct worker *worker, enum stat_counter counter)
{
    struct stat *stat = worker->relay->stat;
    const struct relay_route *route = pair->route;
    stat_add(stat, worker->number, route->scope, counter, 1);
    stat_add(stat, worker->number, route->upstreams[pair->upstream_index].scope, counter, 1);
}

/* The machine, not the upstream, is the cause: another upstream would fail as well. */
static bool is_exhaustion(enum err err)
{
    return err == ERR_NO_DESCRIPTORS || err == ERR_NOMEM;
}

static struct connect_step after_failure(struct pair *pair, struct worker *worker, enum err err)
{
    count(pair, worker, STAT_CONNECT_FAILURES);
    if (pair->upstream.sock != SOCK_NONE) {
        /* It may have answered just when it was given up: no session ended well there. */
        port_close_socket(worker->relay->port, pair->upstream.sock,
                          pair->timed_out ? SOCK_CLOSE_ABORT : SOCK_CLOSE_NORMAL);
        pair->upstream.sock = SOCK_NONE;
    }

    bool last = is_exhaustion(err) || pair->cursor.tries > pair->route->conf->connect_retries;
    worker->connect_failure = (struct connect_failure){
        .route = pair->route,
        .upstream = pair->upstream_index,
        .addr = pair->upstream.peer,
        .err = err,
        .tries = pair->cursor.tries,
        .last = last,
    };
    return last ? failed(reason_of(err)) : connecting_next(pair, worker);
}

static enum err open_socket(struct pair *pair, struct worker *worker)
{
    sock_t sock;
    enum err err = sock_open((enum addr_family)pair->upstream.peer.family, &sock);
    if (err != ERR_OK)
        return err;
    err = port_attach(worker->relay->port, sock);
    if (err != ERR_OK) {
        sock_close(sock, SOCK_CLOSE_NORMAL);
        return err;
    }
    sock_set_nodelay(sock, pair->route->conf->nodelay);
    pair->upstream.sock = sock;
    return ERR_OK;
}

/* No try could be begun. Where that is for want of something and there was none before, the
 * client was refused; later on it is a session that could not be connected. */
static struct connect_step not_begun(struct pair *pair, struct worker *worker, enum err err)
{
    struct connect_step step = after_failure(pair, worker, err);
    if (pair->cursor.tries == 1 && is_exhaustion(err))
        step.reason = err == ERR_NOMEM ? REASON_NO_MEMORY : REASON_NO_DESCRIPTORS;
    return step;
}

static struct connect_step try_target(struct pair *pair, struct worker *worker)
{
    pair->waits = false;
    pair->timed_out = false;
    count(pair, worker, STAT_CONNECTS);
    if (pair->cursor.tries > 1)
        count(pair, worker, STAT_RETRIES);

    enum err err = open_socket(pair, worker);
    if (err != ERR_OK)
        return not_begun(pair, worker, err);

    pair->try_began_us = os_mono_us();
    pair->connect_due_ms = worker->now_ms + pair->route->conf->connect_timeout_ms;
    struct op *op = &pair->down.op;
    op->kind = OP_CONNECT;
    op->sock = pair->upstream.sock;
    op->addr = pair->upstream.peer;
    pair->in_flight++;
    port_submit(worker->relay->port, op);
    return runs;
}

struct connect_step connecting_next(struct pair *pair, struct worker *worker)
{
    struct route_target target;
    if (!route_pick(&pair->route->route, &pair->cursor, &target))
        return failed(REASON_NO_UPSTREAM);
    pair->upstream_index = target.upstream;
    pair->upstream.peer = target.addr;
    if (!target.came_round)
        return try_target(pair, worker);

    pair->waits = true;
    pair->connect_due_ms = worker->now_ms + RETRY_DELAY_MS;
    return runs;
}

static struct connect_step connected(struct pair *pair, struct worker *worker)
{
    struct relay *relay = worker->relay;
    struct relay_upstream *upstream = &pair->route->upstreams[pair->upstream_index];
    pair->connect_us = os_mono_us() - pair->try_began_us;
    histogram_record(stat_connect_us(relay->stat, pair->route->scope), pair->connect_us);
    histogram_record(stat_connect_us(relay->stat, upstream->scope), pair->connect_us);
    stat_add(relay->stat, worker->number, upstream->scope, STAT_SESSIONS, 1);
    pair->counted_upstream = quota_take(&upstream->quota);
    return (struct connect_step){CONNECT_STANDS, REASON_NONE};
}

struct connect_step connecting_on_done(struct pair *pair, struct worker *worker)
{
    const struct op *op = &pair->down.op;
    if (op->err == ERR_OK)
        return connected(pair, worker); /* also when it came just after the deadline */
    bool late = pair->timed_out && op->err == ERR_CANCELLED;
    return after_failure(pair, worker, late ? ERR_TIMEDOUT : op->err);
}

struct connect_step connecting_look(struct pair *pair, struct worker *worker)
{
    if (worker->now_ms < pair->connect_due_ms)
        return runs;
    if (pair->waits)
        return try_target(pair, worker);
    pair->timed_out = true; /* the CONNECT comes out as cancelled, or with success after all */
    port_cancel(worker->relay->port, pair->upstream.sock);
    return runs;
}

void connecting_log(struct worker *worker)
{
    struct connect_failure failure = worker->connect_failure;
    if (failure.route == NULL)
        return;
    worker->connect_failure.route = NULL;

    char addr[ADDR_TEXT_MAX];
    log_limited(&failure.route->upstreams[failure.upstream].connect_log, LOG_WARNING,
                "route '%s': upstream '%s': connecting to %s failed: %s (try %u, %s)",
                failure.route->conf->name,
                failure.route->conf->upstreams[failure.upstream].name,
                addr_format(&failure.addr, addr), err_text(failure.err), failure.tries,
                failure.last ? "giving up" : "another try follows");
}
