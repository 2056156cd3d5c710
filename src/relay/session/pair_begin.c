/* How a pair comes into being; see pair.h. */
#include <string.h>

#include "relay/core/worker.h"
#include "relay/guard/guard.h"
#include "relay/guard/refuse.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/session/pair_private.h"
#include "relay/session/proxy_header.h"

static void init(struct pair *pair, struct worker *worker, struct relay_route *route,
                 sock_t sock, const struct addr *client, struct client *entry,
                 uint16_t port_offset)
{
    pair->id = atomic_fetch_add(&worker->relay->next_id, 1) + 1;
    pair->relay = worker->relay;
    pair->route = route;
    pair->started_ms = worker->now_ms;
    pair->deadlines.last_byte_ms = worker->now_ms;
    pair->seen.thaws = atomic_load_explicit(&route->thaws, memory_order_relaxed);
    pair->seen.repaced = atomic_load_explicit(&route->repaced, memory_order_relaxed);
    pair->phase = PHASE_ACCEPT;
    pair->port_offset = port_offset;
    pair->client.sock = sock;
    pair->client.peer = *client;
    pair->client_entry = entry;
    pair->upstream.sock = SOCK_NONE;
    flow_init(&pair->up, pair);
    flow_init(&pair->down, pair);
    pair_init_timer(pair);
    list_init(&pair->in_table);
    list_init(&pair->wait.in_queue);
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

/* The client may pass; `entry` is what the guard remembers of it. */
static enum err admit(struct worker *worker, struct relay_route *route, sock_t sock,
                      const struct addr *client, struct client *entry, uint16_t port_offset)
{
    struct relay *relay = worker->relay;
    enum reason reason;
    /* Looked at first, since what is taken, and given back at once, would count for the route's
     * peak. Only when the last place goes between the look and the taking it still does. */
    if (quota_is_full(&relay->quota)) {
        reason = REASON_LIMIT_SESSIONS;
        goto leave;
    }
    if (!quota_take(&route->quota)) {
        reason = REASON_LIMIT_ROUTE;
        goto leave;
    }
    if (!quota_take(&relay->quota)) {
        reason = REASON_LIMIT_SESSIONS;
        goto give_route;
    }
    reason = REASON_NO_MEMORY;
    struct pair *pair = pair_take(relay);
    if (pair == NULL)
        goto give_relay;
    init(pair, worker, route, sock, client, entry, port_offset);
    if (port_attach(relay->port, sock) == ERR_OK)
        return begin(worker, pair);

    pair_unref(pair);
give_relay:
    quota_give(&relay->quota);
give_route:
    quota_give(&route->quota);
leave:
    clients_leave(relay->guard.clients, entry, worker->now_ms);
    return refuse_at_once(worker, route, sock, client, reason);
}

enum err pair_begin(struct worker *worker, struct relay_route *route, sock_t sock,
                    const struct addr *client, uint16_t port_offset)
{
    const struct lifecycle *life = &worker->relay->lifecycle;
    bool stopping = atomic_load_explicit(&life->stopping, memory_order_relaxed) &&
                    !atomic_load(&life->handing_over);
    if (stopping || route->index == SIZE_MAX) {
        /* As it goes with those behind it in the backlog when the listener closes. */
        sock_close(sock, SOCK_CLOSE_ABORT);
        return ERR_OK;
    }
    if (drain_is_on(&route->drain))
        return refuse_at_once(worker, route, sock, client, REASON_DRAINING);
    struct client *entry = NULL;
    /* Of who comes by a proxy the header tells who is to be asked for. */
    if (!proxy_header_is_proxy(route->conf, client)) {
        struct guard_answer answer = guard_ask(worker, route, client, &entry);
        if (guard_refuses(answer)) {
            refuse_by_guard(worker, route, sock, client, answer);
            return ERR_OK;
        }
        guard_follow_up(worker, route, client, answer);
    }
    return admit(worker, route, sock, client, entry, port_offset);
}
