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
                 sock_t sock, const struct addr *client, uint16_t port_offset)
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
    pair->upstream.sock = SOCK_NONE;
    os_mutex_init(&pair->lock, LOCK_PAIR);
    flow_init(&pair->up, pair);
    flow_init(&pair->down, pair);
    pair_init_timer(pair);
    list_init(&pair->in_table);
    list_init(&pair->wait.in_queue);
    if (!sock_accept_inherits())
        sock_set_nodelay(sock, route->conf->nodelay);
}

/* NULL: the machine is exhausted. */
static struct pair *make(struct worker *worker, struct relay_route *route, sock_t sock,
                         const struct addr *client, uint16_t port_offset)
{
    struct relay *relay = worker->relay;
    struct pair *pair = pair_take(relay);
    if (pair == NULL)
        return NULL;
    init(pair, worker, route, sock, client, port_offset);
    if (port_attach(relay->port, sock) == ERR_OK)
        return pair;
    pair_unref(pair);
    return NULL;
}

static enum err refuse(struct worker *worker, struct relay_route *route, sock_t sock,
                       const struct addr *client, const struct admission *admission)
{
    if (!guard_refuses(admission->guard))
        return refuse_at_once(worker, route, sock, client, admission->reason);
    refuse_by_guard(worker, route, sock, client, admission->guard);
    return ERR_OK;
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
    bool proxied = proxy_header_is_proxy(route->conf, client);
    struct admission admission = {.who = proxied ? ADMISSION_STRANGER : ADMISSION_CLIENT};
    if (!admission_ask(&admission, worker, route, client))
        return refuse(worker, route, sock, client, &admission);
    struct pair *pair = make(worker, route, sock, client, port_offset);
    if (pair == NULL) {
        admission_undo(&admission, worker, route);
        return refuse_at_once(worker, route, sock, client, REASON_NO_MEMORY);
    }
    lifecycle_ref(worker->relay);
    switch (pair_first_step(pair, worker, &admission)) {
    case REASON_NO_DESCRIPTORS: return ERR_NO_DESCRIPTORS;
    case REASON_NO_MEMORY: return ERR_NOMEM;
    default: return ERR_OK;
    }
}
