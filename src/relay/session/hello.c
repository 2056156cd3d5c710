#include "relay/session/hello.h"

#include <stdlib.h>
#include <string.h>

#include "base/addr_net.h"
#include "relay/core/worker.h"
#include "relay/guard/refuse.h"
#include "relay/pair.h"
#include "relay/proxyproto/proxyproto.h"
#include "relay/relay.h"

/* Received at once: a whole header of version 1 or a usual one of version 2, and what a client
 * says first. */
#define HELLO_ROOM 4096u

struct hello {
    struct addr via; /* the peer, when it spoke for another one */
    bool late;       /* the header was not whole in time; the READ was cancelled */
    bool displaced;  /* since another one has got its place */
    struct proxyproto_parser parser;
};

static const struct hello_step waits = {HELLO_WAITS, REASON_NONE};
static const struct hello_step done = {HELLO_DONE, REASON_NONE};

static struct hello_step refused(enum reason reason)
{
    return (struct hello_step){HELLO_REFUSED, reason};
}

bool hello_is_proxy(const struct conf_route *conf, const struct addr *peer)
{
    if (conf->proxy_in == CONF_PROXY_IN_OFF)
        return false;
    for (size_t i = 0; i < conf->trust_count; i++)
        if (addr_net_has(&conf->trusts[i], peer))
            return true;
    return false;
}

static struct hello_step wait_for_bytes(struct pair *pair, struct worker *worker)
{
    flow_wait_early(&pair->up, pair->client.sock, worker);
    return waits;
}

void hello_log(struct worker *worker)
{
    if (worker->hello_refusal.route == NULL)
        return; /* as after each message */
    struct hello_refusal refusal = worker->hello_refusal;
    worker->hello_refusal.route = NULL;
    if (refusal.reason != REASON_NONE)
        refuse_log(worker, refusal.route, &refusal.client, refusal.reason, refusal.why);
    guard_follow_up(worker, refusal.route, &refusal.client, refusal.guard);
}

struct addr hello_via(const struct pair *pair)
{
    return pair->hello != NULL ? pair->hello->via : (struct addr){0};
}

struct addr hello_destination(const struct pair *pair)
{
    return hello_via(pair).family != ADDR_NONE ? pair->hello->parser.destination
                                               : (struct addr){0};
}

uint32_t hello_most(const struct conf_route *conf)
{
    return conf->max_sessions >= 8 ? conf->max_sessions / 4 : 2;
}

/* Takes a place among those that wait; where there is none, that of the one that has waited for
 * longest. That one may be in the hands of another worker, so its timer sees to its end. */
static void begin_waiting(struct pair *pair)
{
    struct relay_route *route = pair->route;
    struct pair *oldest = NULL;
    os_mutex_lock(&route->awaiting_lock);
    if (!quota_take(&route->headers)) {
        oldest = list_owner(route->awaiting.next, struct pair, in_queue);
        list_remove(&oldest->in_queue);
        atomic_store(&oldest->displaced, true);
        timers_arm(&pair->relay->timers, &oldest->timer, 0);
    }
    pair_ref(pair);
    list_push(&route->awaiting, &pair->in_queue);
    pair->awaits_header = true;
    os_mutex_unlock(&route->awaiting_lock);
    if (oldest != NULL)
        pair_unref(oldest);
}

void hello_stop_waiting(struct pair *pair)
{
    struct relay_route *route = pair->route;
    if (!pair->awaits_header)
        return;
    pair->awaits_header = false;
    os_mutex_lock(&route->awaiting_lock);
    bool was = !list_empty(&pair->in_queue);
    if (was) {
        list_remove(&pair->in_queue);
        quota_give(&route->headers);
    }
    atomic_store(&pair->displaced, false);
    os_mutex_unlock(&route->awaiting_lock);
    if (was)
        pair_unref(
            pair); /* not the last: the caller has the pair's lock, and a reference with it */
}

void hello_end(struct pair *pair)
{
    free(pair->hello);
    pair->hello = NULL;
}

/* The client is known now: may it pass? What the guard says is noted, to be followed later. */
static enum reason ask_guard(struct pair *pair, struct worker *worker)
{
    struct guard_answer answer =
        guard_ask(worker, pair->route, &pair->client.peer, &pair->client_entry);
    if (answer.reason == REASON_NONE)
        return REASON_NONE;
    bool refuses = guard_refuses(answer);
    worker->hello_refusal = (struct hello_refusal){
        .route = pair->route,
        .client = pair->client.peer,
        .reason = refuses ? answer.reason : REASON_NONE,
        .guard = answer,
    };
    return refuses ? answer.reason : REASON_NONE;
}

/* What belongs to the upstream already: bytes that the parser had taken for a header before, and
 * those of this call. */
static struct hello_step keep(struct pair *pair, struct worker *worker,
                              const unsigned char *before, size_t before_len,
                              const unsigned char *bytes, size_t len)
{
    hello_stop_waiting(pair);
    if (before_len + len > 0 &&
        !flow_keep_early(&pair->up, worker, before, before_len, bytes, len))
        return refused(REASON_NO_MEMORY);
    if (pair->hello->via.family == ADDR_NONE)
        hello_end(pair); /* nothing of it is needed any more */
    return done;
}

static struct hello_step without_header(struct pair *pair, struct worker *worker,
                                        const unsigned char *bytes, size_t len)
{
    if (pair->route->conf->proxy_in == CONF_PROXY_IN_REQUIRED)
        return refused(REASON_PROXY_INVALID);
    enum reason reason = ask_guard(pair, worker);
    if (reason != REASON_NONE)
        return refused(reason);
    size_t before_len;
    const uint8_t *before = proxyproto_taken(&pair->hello->parser, &before_len);
    return keep(pair, worker, before, before_len, bytes, len);
}

static struct hello_step with_header(struct pair *pair, struct worker *worker,
                                     const unsigned char *bytes, size_t len)
{
    const struct proxyproto_parser *parser = &pair->hello->parser;
    if (!parser->local) {
        pair->hello->via = pair->client.peer;
        pair->client.peer = parser->source;
        enum reason reason = ask_guard(pair, worker);
        if (reason != REASON_NONE)
            return refused(reason);
    }
    return keep(pair, worker, NULL, 0, bytes, len);
}

static struct hello_step take(struct pair *pair, struct worker *worker,
                              const unsigned char *bytes, size_t len)
{
    size_t used;
    switch (proxyproto_take(&pair->hello->parser, bytes, len, &used)) {
    case PROXYPROTO_MORE: return waits;
    case PROXYPROTO_HEADER: return with_header(pair, worker, bytes + used, len - used);
    case PROXYPROTO_NONE: return without_header(pair, worker, bytes, len);
    case PROXYPROTO_BAD: break;
    }
    worker->hello_why = pair->hello->parser.why;
    return refused(REASON_PROXY_INVALID);
}

/* The stream ends, or the time: what came so far is all there is. */
static struct hello_step at_end(struct pair *pair, struct worker *worker, enum reason too_late)
{
    bool none = proxyproto_end(&pair->hello->parser) == PROXYPROTO_NONE;
    if (none && pair->route->conf->proxy_in == CONF_PROXY_IN_OPTIONAL)
        return without_header(pair, worker, NULL, 0);
    if (too_late == REASON_PROXY_INVALID)
        worker->hello_why = pair->hello->parser.why;
    return refused(too_late);
}

/* Takes what has come. HELLO_WAITS: it is not all yet, and nothing waits for more. */
static struct hello_step receive(struct pair *pair, struct worker *worker)
{
    for (;;) {
        uint32_t got;
        /* What follows the header needs a place, see flow_keep_early(). */
        if (!buffers_refill(&worker->relay->buffers, &worker->cache, worker->now_ms))
            return refused(REASON_NO_MEMORY);
        enum err err = port_receive_now(worker->relay->port, pair->client.sock,
                                        worker->cache.scratch, HELLO_ROOM, &got);
        if (err == ERR_AGAIN)
            return waits;
        if (err != ERR_OK)
            return refused(REASON_CLIENT_RESET);
        if (got == 0)
            return at_end(pair, worker, REASON_PROXY_INVALID);
        struct hello_step step = take(pair, worker, worker->cache.scratch, got);
        if (step.state != HELLO_WAITS)
            return step;
    }
}

struct hello_step hello_begin(struct pair *pair, struct worker *worker)
{
    const struct conf_route *conf = pair->route->conf;
    if (conf->proxy_in == CONF_PROXY_IN_OFF)
        return done;
    if (!hello_is_proxy(conf, &pair->client.peer))
        return conf->proxy_in == CONF_PROXY_IN_REQUIRED ? refused(REASON_PROXY_UNTRUSTED)
                                                        : done;
    pair->hello = calloc(1, sizeof *pair->hello);
    if (pair->hello == NULL)
        return refused(REASON_NO_MEMORY);
    pair->connect_due_ms = worker->now_ms + conf->proxy_timeout_ms;
    /* Where many wait already, one whose header is there has no need to. */
    if (atomic_load(&pair->route->headers.used) >= pair->route->headers.limit) {
        struct hello_step step = receive(pair, worker);
        if (step.state != HELLO_WAITS)
            return step;
    }
    begin_waiting(pair);
    return wait_for_bytes(pair, worker);
}

struct hello_step hello_on_done(struct pair *pair, struct worker *worker)
{
    if (!flow_take_early(&pair->up))
        return refused(REASON_CLIENT_RESET);
    struct hello_step step = receive(pair, worker);
    if (step.state != HELLO_WAITS)
        return step;
    return pair->hello->late ? hello_late(pair, worker) : wait_for_bytes(pair, worker);
}

struct hello_step hello_late(struct pair *pair, struct worker *worker)
{
    if (atomic_exchange(&pair->displaced, false))
        pair->hello->displaced = true;
    /* The READ comes out first: only then may the session go on. */
    if (flow_reads(&pair->up)) {
        pair->hello->late = true;
        port_cancel(worker->relay->port, pair->client.sock);
        return waits;
    }
    return pair->hello->displaced ? refused(REASON_LIMIT_HEADERS)
                                  : at_end(pair, worker, REASON_PROXY_TIMEOUT);
}
