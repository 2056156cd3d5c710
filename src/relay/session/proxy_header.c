#include "relay/session/proxy_header.h"

#include <stdlib.h>
#include <string.h>

#include "base/addr_net.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/proxyproto/proxyproto.h"
#include "relay/relay.h"

/* Received at once: a whole header of version 1 or a usual one of version 2, and what a client
 * says first. */
#define HELLO_ROOM 4096u

struct proxy_header {
    struct addr via; /* the peer, when it spoke for another one */
    uint64_t due_ms; /* its deadline */
    bool awaited;    /* counts in its route's `headers` */
    bool late;       /* the header was not whole in time; the READ was cancelled */
    bool displaced;  /* since another one has got its place */
    struct proxyproto_parser parser;
};

static const struct proxy_header_step none = {.state = PROXY_HEADER_NONE};
static const struct proxy_header_step waits = {.state = PROXY_HEADER_WAITS};

static struct proxy_header_step refused(enum reason reason)
{
    return (struct proxy_header_step){.state = PROXY_HEADER_REFUSED, .reason = reason};
}

static struct proxy_header_step invalid(const struct pair *pair)
{
    return (struct proxy_header_step){.state = PROXY_HEADER_REFUSED,
                                      .reason = REASON_PROXY_INVALID,
                                      .why = pair->proxy_header->parser.why};
}

bool proxy_header_is_proxy(const struct conf_route *conf, const struct addr *peer)
{
    if (conf->proxy_in == CONF_PROXY_IN_OFF)
        return false;
    for (size_t i = 0; i < conf->trust_count; i++)
        if (addr_net_has(&conf->trusts[i], peer))
            return true;
    return false;
}

static struct proxy_header_step wait_for_bytes(struct pair *pair, struct worker *worker)
{
    flow_wait_early(&pair->up, pair->client.sock, worker);
    return waits;
}

struct addr proxy_header_via(const struct pair *pair)
{
    return pair->proxy_header != NULL ? pair->proxy_header->via : (struct addr){0};
}

uint64_t proxy_header_due_ms(const struct pair *pair)
{
    return pair->proxy_header->due_ms;
}

struct addr proxy_header_destination(const struct pair *pair)
{
    return proxy_header_via(pair).family != ADDR_NONE ? pair->proxy_header->parser.destination
                                                      : (struct addr){0};
}

uint32_t proxy_header_most(const struct conf_route *conf)
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
        oldest = list_owner(route->awaiting.next, struct pair, wait.in_queue);
        list_remove(&oldest->wait.in_queue);
        atomic_store(&oldest->wait.displaced, true);
        timers_arm(&pair->relay->timers, &oldest->timer, 0);
    }
    pair_ref(pair);
    list_push(&route->awaiting, &pair->wait.in_queue);
    pair->proxy_header->awaited = true;
    os_mutex_unlock(&route->awaiting_lock);
    if (oldest != NULL)
        pair_unref(oldest);
}

void proxy_header_stop_waiting(struct pair *pair)
{
    struct relay_route *route = pair->route;
    if (pair->proxy_header == NULL || !pair->proxy_header->awaited)
        return;
    pair->proxy_header->awaited = false;
    os_mutex_lock(&route->awaiting_lock);
    bool was = !list_empty(&pair->wait.in_queue);
    if (was) {
        list_remove(&pair->wait.in_queue);
        quota_give(&route->headers);
    }
    atomic_store(&pair->wait.displaced, false);
    os_mutex_unlock(&route->awaiting_lock);
    if (was)
        pair_unref(
            pair); /* not the last: the caller has the pair's lock, and a reference with it */
}

void proxy_header_end(struct pair *pair)
{
    free(pair->proxy_header);
    pair->proxy_header = NULL;
}

/* What belongs to the upstream already: bytes that the parser had taken for a header before, and
 * those of this call. */
static struct proxy_header_step keep(struct pair *pair, struct worker *worker,
                                     const unsigned char *before, size_t before_len,
                                     const unsigned char *bytes, size_t len)
{
    bool local = pair->proxy_header->parser.local;
    proxy_header_stop_waiting(pair);
    if (before_len + len > 0 &&
        !flow_keep_early(&pair->up, worker, before, before_len, bytes, len))
        return refused(REASON_NO_MEMORY);
    if (pair->proxy_header->via.family == ADDR_NONE)
        proxy_header_end(pair); /* nothing of it is needed any more */
    return (struct proxy_header_step){.state =
                                          local ? PROXY_HEADER_LOCAL : PROXY_HEADER_CLIENT};
}

static struct proxy_header_step without_header(struct pair *pair, struct worker *worker,
                                               const unsigned char *bytes, size_t len)
{
    if (pair->route->conf->proxy_in == CONF_PROXY_IN_REQUIRED)
        return refused(REASON_PROXY_INVALID);
    size_t before_len;
    const uint8_t *before = proxyproto_taken(&pair->proxy_header->parser, &before_len);
    return keep(pair, worker, before, before_len, bytes, len);
}

static struct proxy_header_step with_header(struct pair *pair, struct worker *worker,
                                            const unsigned char *bytes, size_t len)
{
    const struct proxyproto_parser *parser = &pair->proxy_header->parser;
    if (!parser->local) {
        pair->proxy_header->via = pair->client.peer;
        pair->client.peer = parser->source;
    }
    return keep(pair, worker, NULL, 0, bytes, len);
}

static struct proxy_header_step take(struct pair *pair, struct worker *worker,
                                     const unsigned char *bytes, size_t len)
{
    size_t used;
    switch (proxyproto_take(&pair->proxy_header->parser, bytes, len, &used)) {
    case PROXYPROTO_MORE: return waits;
    case PROXYPROTO_HEADER: return with_header(pair, worker, bytes + used, len - used);
    case PROXYPROTO_NONE: return without_header(pair, worker, bytes, len);
    case PROXYPROTO_BAD: break;
    }
    return invalid(pair);
}

/* The stream ends, or the time: what came so far is all there is. */
static struct proxy_header_step at_end(struct pair *pair, struct worker *worker,
                                       enum reason too_late)
{
    bool empty = proxyproto_end(&pair->proxy_header->parser) == PROXYPROTO_NONE;
    if (empty && pair->route->conf->proxy_in == CONF_PROXY_IN_OPTIONAL)
        return without_header(pair, worker, NULL, 0);
    return too_late == REASON_PROXY_INVALID ? invalid(pair) : refused(too_late);
}

/* Takes what has come. PROXY_HEADER_WAITS: it is not all yet, and nothing waits for more. */
static struct proxy_header_step receive(struct pair *pair, struct worker *worker)
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
        struct proxy_header_step step = take(pair, worker, worker->cache.scratch, got);
        if (step.state != PROXY_HEADER_WAITS)
            return step;
    }
}

struct proxy_header_step proxy_header_begin(struct pair *pair, struct worker *worker)
{
    const struct conf_route *conf = pair->route->conf;
    if (conf->proxy_in == CONF_PROXY_IN_OFF)
        return none;
    if (!proxy_header_is_proxy(conf, &pair->client.peer))
        return conf->proxy_in == CONF_PROXY_IN_REQUIRED ? refused(REASON_PROXY_UNTRUSTED)
                                                        : none;
    pair->proxy_header = calloc(1, sizeof *pair->proxy_header);
    if (pair->proxy_header == NULL)
        return refused(REASON_NO_MEMORY);
    pair->proxy_header->due_ms = worker->now_ms + conf->proxy_timeout_ms;
    /* Where many wait already, one whose header is there has no need to. */
    if (atomic_load(&pair->route->headers.used) >= pair->route->headers.limit) {
        struct proxy_header_step step = receive(pair, worker);
        if (step.state != PROXY_HEADER_WAITS)
            return step;
    }
    begin_waiting(pair);
    return wait_for_bytes(pair, worker);
}

struct proxy_header_step proxy_header_on_done(struct pair *pair, struct worker *worker)
{
    if (!flow_take_early(&pair->up))
        return refused(REASON_CLIENT_RESET);
    struct proxy_header_step step = receive(pair, worker);
    if (step.state != PROXY_HEADER_WAITS)
        return step;
    return pair->proxy_header->late ? proxy_header_late(pair, worker)
                                    : wait_for_bytes(pair, worker);
}

struct proxy_header_step proxy_header_late(struct pair *pair, struct worker *worker)
{
    if (atomic_exchange(&pair->wait.displaced, false))
        pair->proxy_header->displaced = true;
    /* The READ comes out first: only then may the session go on. */
    if (flow_reads(&pair->up)) {
        pair->proxy_header->late = true;
        port_cancel(worker->relay->port, pair->client.sock);
        return waits;
    }
    return pair->proxy_header->displaced ? refused(REASON_LIMIT_HEADERS)
                                         : at_end(pair, worker, REASON_PROXY_TIMEOUT);
}
