/* How a pair comes into being, and its memory; see pair.h. */
#include <string.h>

#include "base/log.h"
#include "relay/pair.h"
#include "relay/pair_private.h"
#include "relay/relay.h"
#include "relay/worker.h"

static enum err turn_away(struct worker *worker, struct relay_route *route, sock_t sock,
                          const struct addr *client, enum reason reason)
{
    sock_close(sock, SOCK_CLOSE_ABORT);
    stat_add_reason(worker->relay->stat, worker->number, route->scope, reason);
    char text[ADDR_TEXT_MAX];
    log_limited(&route->refuse_log, LOG_WARNING, "route '%s': client %s refused: %s",
                route->conf->name, addr_format(client, text), reason_sentence(reason));
    return reason == REASON_NO_MEMORY ? ERR_NOMEM : ERR_OK;
}

static struct pair *take_memory(struct relay *relay)
{
    os_mutex_lock(&relay->pairs_lock);
    struct pair *pair = slab_take(&relay->pairs);
    os_mutex_unlock(&relay->pairs_lock);
    return pair;
}

void pair_hold(struct pair *pair)
{
    atomic_fetch_add_explicit(&pair->refs, 1, memory_order_relaxed);
}

void pair_unhold(struct pair *pair)
{
    if (atomic_fetch_sub_explicit(&pair->refs, 1, memory_order_acq_rel) > 1)
        return;
    struct relay *relay = pair->relay;
    os_mutex_lock(&relay->pairs_lock);
    slab_give(&relay->pairs, pair);
    os_mutex_unlock(&relay->pairs_lock);
}

void pair_count_session(struct pair *pair, struct worker *worker)
{
    if (pair->counted_session)
        return;
    pair->counted_session = true;
    stat_add(worker->relay->stat, worker->number, pair->route->scope, STAT_SESSIONS, 1);
}

static void init(struct pair *pair, struct worker *worker, struct relay_route *route,
                 sock_t sock, const struct addr *client, uint16_t port_offset)
{
    memset(pair, 0, sizeof *pair);
    atomic_init(&pair->refs, 1);
    pair->id = atomic_fetch_add(&worker->relay->next_id, 1) + 1;
    pair->relay = worker->relay;
    pair->route = route;
    pair->started_ms = worker->now_ms;
    pair->last_byte_ms = worker->now_ms;
    pair->phase = PHASE_ACCEPT;
    pair->port_offset = port_offset;
    pair->client.sock = sock;
    pair->client.peer = *client;
    pair->upstream.sock = SOCK_NONE;
    flow_init(&pair->up, pair);
    flow_init(&pair->down, pair);
    pair_init_timer(pair);
    list_init(&pair->in_table);
    list_init(&pair->in_held);
    if (!sock_accept_inherits())
        sock_set_nodelay(sock, route->conf->nodelay);
}

/* Admitted: the pair exists from here on. */
static enum err begin(struct worker *worker, struct pair *pair)
{
    struct relay *relay = worker->relay;
    lifecycle_part_begins(relay);
    enum reason reason = pair_first_step(pair, worker);
    if (reason == REASON_NO_DESCRIPTORS)
        return ERR_NO_DESCRIPTORS;
    return reason == REASON_NO_MEMORY ? ERR_NOMEM : ERR_OK;
}

enum err pair_begin(struct worker *worker, struct relay_route *route, sock_t sock,
                    const struct addr *client, uint16_t port_offset)
{
    struct relay *relay = worker->relay;
    if (atomic_load_explicit(&relay->lifecycle.stopping, memory_order_relaxed) &&
        !atomic_load(&relay->lifecycle.handing_over)) {
        /* As it goes with those behind it in the backlog when the listener closes. */
        sock_close(sock, SOCK_CLOSE_ABORT);
        return ERR_OK;
    }
    /* Looked at first, since what is taken, and given back at once, would count for the route's
     * peak. Only when the last place goes between the look and the taking it still does. */
    if (quota_is_full(&relay->quota))
        return turn_away(worker, route, sock, client, REASON_LIMIT_SESSIONS);
    if (!quota_take(&route->quota))
        return turn_away(worker, route, sock, client, REASON_LIMIT_ROUTE);
    if (!quota_take(&relay->quota)) {
        quota_give(&route->quota);
        return turn_away(worker, route, sock, client, REASON_LIMIT_SESSIONS);
    }
    struct pair *pair = take_memory(relay);
    if (pair == NULL)
        goto no_memory;
    init(pair, worker, route, sock, client, port_offset);
    if (port_attach(relay->port, sock) != ERR_OK)
        goto no_attach;
    return begin(worker, pair);

no_attach:
    pair_unhold(pair);
no_memory:
    quota_give(&relay->quota);
    quota_give(&route->quota);
    return turn_away(worker, route, sock, client, REASON_NO_MEMORY);
}
