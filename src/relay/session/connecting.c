#include "relay/session/connecting.h"

#include <assert.h>

#include "base/log.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/proxyproto/proxyproto.h"
#include "relay/relay.h"
#include "relay/session/pair_private.h"
#include "relay/session/proxy_header.h"
#include "relay/session/waiting.h"

/* Before a server is tried a second time: one that restarts needs a moment. */
#define RETRY_DELAY_MS 1000

static const struct connect_step runs = {CONNECT_RUNS, REASON_NONE};
static const struct connect_step first = {CONNECT_NEXT, REASON_NONE};

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
    case ERR_NO_FAMILY:
    case ERR_UNREACHABLE: return REASON_CONNECT_UNREACHABLE;
    case ERR_NO_PORTS: return REASON_NO_PORTS;
    case ERR_NOMEM: return REASON_SESSION_NO_MEMORY;
    default: return REASON_CONNECT_ERROR;
    }
}

static struct relay_upstream *upstream_of(const struct pair *pair)
{
    return pair->route->upstreams.each[pair->attempt.upstream_index];
}

static void count(struct pair *pair, struct worker *worker, enum stat_counter counter)
{
    struct stat *stat = worker->relay->stat;
    stat_add(stat, worker->number, pair->route->scope, counter, 1);
    stat_add(stat, worker->number, upstream_of(pair)->scope, counter, 1);
}

void connecting_end(struct pair *pair)
{
    if (pair->attempt.has_source)
        upstreams_source_ended(pair->route, pair->attempt.upstream_index,
                               pair->attempt.source_index);
    pair->attempt.has_source = false;
    upstreams_give(pair);
}

/* ---- a try fails ---- */

/* The machine, not the upstream, is the cause: another upstream would fail as well. */
static bool is_exhaustion(enum err err)
{
    return err == ERR_NO_DESCRIPTORS || err == ERR_NOMEM;
}

/* The server is to blame, as far as can be told. */
static bool speaks_against_server(enum err err)
{
    return !is_exhaustion(err) && err != ERR_NO_PORTS && err != ERR_NO_ADDRESS;
}

static void log_failure(const struct pair *pair, enum err err, bool last)
{
    const struct conf_route *conf = pair->route->conf;
    char addr[ADDR_TEXT_MAX];
    const char *next = !last                          ? "another try follows"
                       : conf->when_down == CONF_HOLD ? "the client is held"
                                                      : "giving up";
    log_limited(&upstream_of(pair)->connect_log, LOG_WARNING,
                "route '%s': upstream '%s': connecting to %s failed: %s (try %u, %s)",
                conf->name, conf->upstreams[pair->attempt.upstream_index].name,
                addr_format(&pair->upstream.peer, addr), err_text(err), pair_tries(pair), next);
}

static void end_try(struct pair *pair, struct worker *worker, enum err err)
{
    count(pair, worker, STAT_CONNECT_FAILURES);
    if (pair->upstream.sock != SOCK_NONE) {
        /* It may have answered just when it was given up: no session ended well there. */
        bool timed_out = pair->attempt.state == ATTEMPT_TIMED_OUT;
        port_close_socket(worker->relay->port, pair->upstream.sock,
                          timed_out ? SOCK_CLOSE_ABORT : SOCK_CLOSE_NORMAL);
        pair->upstream.sock = SOCK_NONE;
    }
    pair->attempt.state = ATTEMPT_NONE;
    loop_forget(&worker->relay->loops, pair->attempt.loop);
    pair->attempt.loop = NULL;
    if (speaks_against_server(err))
        upstreams_failed(pair, err, worker->now_ms);
    connecting_end(pair);
}

static struct connect_step after_failure(struct pair *pair, struct worker *worker, enum err err)
{
    struct relay_route *route = pair->route;
    end_try(pair, worker, err);
    bool last = is_exhaustion(err) || pair->attempt.cursor.tries > route->conf->connect_retries;
    log_failure(pair, err, last);
    if (!last)
        return (struct connect_step){CONNECT_NEXT, reason_of(err)};
    if (is_exhaustion(err))
        return failed(reason_of(err));
    if (route->conf->when_down == CONF_HOLD)
        queue_backoff(route, worker->now_ms);
    return waiting_begin(pair, worker, reason_of(err), throttle_is_paused(&route->throttle));
}

/* No socket for it. Where that is for want of something and there was no try before, the client
 * was refused; later on it is a session that could not be connected. */
static struct connect_step not_begun(struct pair *pair, struct worker *worker, enum err err)
{
    bool refused = is_exhaustion(err) && pair_tries(pair) == 1 && !pair->wait.was_held;
    if (!refused)
        pair_count_session(pair, worker);
    struct connect_step step = after_failure(pair, worker, err);
    if (refused)
        step.reason = err == ERR_NOMEM ? REASON_NO_MEMORY : REASON_NO_DESCRIPTORS;
    return step;
}

/* ---- one try ---- */

static enum err bind_source(struct pair *pair, sock_t sock)
{
    struct addr source;
    unsigned number;
    bool given = upstreams_next_source(pair->route, &pair->upstream.peer, &source, &number);
    pair->attempt.source_index = (uint16_t)number;
    return given ? sock_bind(sock, &source) : ERR_OK;
}

static enum err open_socket(struct pair *pair, struct worker *worker)
{
    sock_t sock;
    enum err err = sock_open((enum addr_family)pair->upstream.peer.family, &sock);
    if (err != ERR_OK)
        return err;
    err = bind_source(pair, sock);
    if (err == ERR_OK)
        err = port_attach(worker->relay->port, sock);
    if (err != ERR_OK) {
        sock_close(sock, SOCK_CLOSE_NORMAL);
        return err;
    }
    sock_set_nodelay(sock, pair->route->conf->nodelay);
    pair->upstream.sock = sock;
    return ERR_OK;
}

/* ---- circles; see loop.h ---- */

static bool may_lead_back(const struct pair *pair)
{
    return loop_is_listener(&pair->relay->loops, &pair->upstream.peer);
}

static unsigned passes_of(const struct pair *pair)
{
    struct addr via = proxy_header_via(pair);
    return loop_passes(&pair->relay->loops,
                       via.family == ADDR_NONE ? &pair->client.peer : &via);
}

static void remember_pass(struct pair *pair)
{
    if (may_lead_back(pair) && !loop_is_known(pair->attempt.loop))
        loop_remember(&pair->relay->loops, pair->upstream.sock, passes_of(pair),
                      &pair->attempt.loop);
}

/* The session has come through the relay too often. */
static struct connect_step loops(struct pair *pair, struct worker *worker)
{
    const struct conf_route *conf = pair->route->conf;
    char addr[ADDR_TEXT_MAX];
    log_limited(&upstream_of(pair)->connect_log, LOG_WARNING,
                "route '%s': upstream '%s': %s leads back to this relay, a session came "
                "through it more than %d times and was ended; write the game server's address",
                conf->name, conf->upstreams[pair->attempt.upstream_index].name,
                addr_format(&pair->upstream.peer, addr), LOOP_PASSES_MAX);
    pair_count_session(pair, worker);
    return failed(REASON_LOOP);
}

static struct connect_step try_target(struct pair *pair, struct worker *worker)
{
    pair->attempt.state = ATTEMPT_RUNS;
    if (may_lead_back(pair) && passes_of(pair) > LOOP_PASSES_MAX)
        return loops(pair, worker);
    count(pair, worker, STAT_CONNECTS);
    if (pair_tries(pair) > 1)
        count(pair, worker, STAT_RETRIES);

    enum err err = open_socket(pair, worker);
    if (err != ERR_OK)
        return not_begun(pair, worker, err);
    pair_count_session(pair, worker);
    upstreams_source_begins(pair->route, pair->attempt.upstream_index,
                            pair->attempt.source_index);
    pair->attempt.has_source = true;

    pair->attempt.began_us = os_mono_us();
    pair->attempt.due_ms = worker->now_ms + pair->route->conf->connect_timeout_ms;
    struct op *op = &pair->down.op;
    op->kind = OP_CONNECT;
    op->sock = pair->upstream.sock;
    op->addr = pair->upstream.peer;
    pair->in_flight++;
    port_submit(worker->relay->port, op);
    remember_pass(pair);
    return runs;
}

/* ---- one after the other ---- */

static struct connect_step wait_for_resume(struct pair *pair, struct worker *worker)
{
    return waiting_begin(pair, worker, REASON_HOLD_TIMEOUT, true);
}

/* `before`: why the try before failed; NONE: there was none. */
static struct connect_step next_try(struct pair *pair, struct worker *worker,
                                    enum reason before)
{
    struct route_target target;
    if (throttle_is_paused(&pair->route->throttle))
        return wait_for_resume(pair, worker);
    switch (upstreams_pick(pair, worker, &target)) {
    case ROUTE_PICKED: break;
    case ROUTE_ALL_FULL:
        return waiting_begin(pair, worker,
                             before == REASON_NONE ? REASON_UPSTREAMS_FULL : before, false);
    case ROUTE_ALL_DOWN:
        return waiting_begin(pair, worker, before == REASON_NONE ? REASON_NO_UPSTREAM : before,
                             false);
    }
    queue_remove(&pair->route->queue, pair);
    pair->phase = PHASE_CONNECT;
    pair->upstream.peer = target.addr;
    if (pair->route->conf->upstreams[target.upstream].port_count > 1)
        pair->upstream.peer.port = (uint16_t)(target.addr.port + pair->port_offset);
    if (!target.came_round)
        return try_target(pair, worker);

    pair->attempt.state = ATTEMPT_WAITS;
    pair->attempt.due_ms = worker->now_ms + RETRY_DELAY_MS;
    waiting_listen(pair, worker);
    return runs;
}

/* Tries as long as another one follows. */
static struct connect_step go_on(struct pair *pair, struct worker *worker,
                                 struct connect_step step)
{
    while (step.state == CONNECT_NEXT)
        step = next_try(pair, worker, step.reason);
    return step;
}

struct connect_step connecting_first(struct pair *pair, struct worker *worker, bool must_wait)
{
    if (must_wait)
        return waiting_begin(pair, worker, REASON_NO_UPSTREAM, true);
    return go_on(pair, worker, first);
}

struct connect_step connecting_serve(struct pair *pair, struct worker *worker)
{
    /* Who has counted as a session ends when the operator drains the route, others are refused. */
    if (drain_is_on(&pair->route->drain))
        return failed(pair->counted_session ? REASON_DRAINED : REASON_DRAINING);
    return go_on(pair, worker, first);
}

/* ---- its end ---- */

/* Says who comes. A connection that has no room for these first bytes is none. */
static enum err send_proxy_header(struct pair *pair, struct worker *worker)
{
    enum conf_proxy_out version = pair->route->conf->proxy_out;
    uint8_t header[PROXYPROTO_OUT_MAX];
    struct addr here = proxy_header_destination(pair);
    uint32_t sent;
    if (version == CONF_PROXY_OUT_OFF)
        return ERR_OK;
    if (here.family == ADDR_NONE)
        (void)sock_local_addr(pair->client.sock, &here);
    size_t len = version == CONF_PROXY_OUT_V1
                     ? proxyproto_write_v1(&pair->client.peer, &here, header)
                     : proxyproto_write_v2(&pair->client.peer, &here, pair->id, header);
    enum err err =
        port_send_now(worker->relay->port, pair->upstream.sock, header, (uint32_t)len, &sent);
    pair->upstream.header_bytes = sent;
    return err == ERR_OK && sent < len ? ERR_IO : err;
}

static struct connect_step connected(struct pair *pair, struct worker *worker)
{
    struct relay *relay = worker->relay;
    struct relay_upstream *upstream = upstream_of(pair);
    remember_pass(pair);
    enum err err = send_proxy_header(pair, worker);
    if (err != ERR_OK)
        return go_on(pair, worker, after_failure(pair, worker, err));
    if (pair->attempt.server_fails)
        upstreams_connected(pair, worker->now_ms);
    pair->attempt.connect_us = os_mono_us() - pair->attempt.began_us;
    pair->attempt.connected_ms = worker->now_ms;
    histogram_record(stat_connect_us(relay->stat, pair->route->scope),
                     pair->attempt.connect_us);
    histogram_record(stat_connect_us(relay->stat, upstream->scope), pair->attempt.connect_us);
    stat_add(relay->stat, worker->number, upstream->scope, STAT_SESSIONS, 1);
    pair->attempt.counted_upstream = quota_take(&upstream->quota);
    queue_connected(pair->route, worker->now_ms);
    return (struct connect_step){CONNECT_STANDS, REASON_NONE};
}

struct connect_step connecting_on_done(struct pair *pair, struct worker *worker)
{
    const struct op *op = &pair->down.op;
    if (op->err == ERR_OK)
        return connected(pair, worker); /* also when it came just after the deadline */
    bool late = pair->attempt.state == ATTEMPT_TIMED_OUT && op->err == ERR_CANCELLED;
    return go_on(pair, worker, after_failure(pair, worker, late ? ERR_TIMEDOUT : op->err));
}

/* It has waited before its next try. */
static struct connect_step waited(struct pair *pair, struct worker *worker)
{
    if (!throttle_is_paused(&pair->route->throttle))
        return go_on(pair, worker, try_target(pair, worker));
    pair->attempt.state = ATTEMPT_NONE;
    connecting_end(pair); /* its place is another one's by then */
    return wait_for_resume(pair, worker);
}

struct connect_step connecting_on_timer(struct pair *pair, struct worker *worker)
{
    if (worker->now_ms < pair->attempt.due_ms)
        return runs;
    if (pair->attempt.state == ATTEMPT_WAITS)
        return waited(pair, worker);
    pair->attempt.state =
        ATTEMPT_TIMED_OUT; /* the CONNECT comes out as cancelled, or with success after all */
    port_cancel(worker->relay->port, pair->upstream.sock);
    return runs;
}
