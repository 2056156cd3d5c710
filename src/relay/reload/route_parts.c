#include "relay/reload/route_parts.h"

#include <assert.h>
#include <stdlib.h>

#include "relay/accept/listener.h"
#include "relay/relay.h"
#include "relay/session/pending.h"
#include "relay/session/proxy_header.h"

void route_parts_close(struct relay_route *route)
{
    if (route == NULL)
        return;
    for (size_t i = 0; i < route->listener_count; i++)
        listener_free(route->listeners[i]);
    free(route->listeners);
    guard_route_close(route);
    upstreams_close(route);
    if (route->scope != SIZE_MAX)
        stat_end_scope(route->relay->stat, route->scope);
    free(route);
}

size_t route_parts_ports(const struct conf_route *conf)
{
    size_t count = 0;
    for (size_t i = 0; i < conf->listen_count; i++)
        count += conf->listens[i].port_count;
    return count;
}

enum err route_parts_open(struct relay_route **out, struct relay *relay,
                          const struct conf_route *conf)
{
    struct relay_route *route = calloc(1, sizeof *route);
    if (route == NULL)
        return ERR_NOMEM;
    os_mutex_init(&route->throttle.lock, LOCK_THROTTLE);
    os_mutex_init(&route->drain.lock, LOCK_DRAIN);
    os_mutex_init(&route->awaiting_lock, LOCK_AWAITING);
    route->relay = relay;
    route->conf = conf;
    route->index = SIZE_MAX;
    route->scope = SIZE_MAX;
    route->quota.limit = conf->max_sessions;
    route->headers.limit = proxy_header_most(conf);
    list_init(&route->awaiting);
    queue_init(&route->queue);
    pending_init(route);
    size_t ports = route_parts_ports(conf);
    route->listeners = calloc(ports, sizeof(struct listener *));
    route->listener_count = route->listeners == NULL ? 0 : ports;
    if (route->listeners == NULL || guard_route_open(route) != ERR_OK ||
        upstreams_open(route) != ERR_OK) {
        route_parts_close(route);
        return ERR_NOMEM;
    }
    *out = route;
    return ERR_OK;
}

size_t route_parts_scopes(const struct relay_route *route)
{
    return 1 + route->upstreams.count;
}

void route_parts_begin(struct relay_route *route)
{
    enum err err = stat_begin_scope(route->relay->stat, STAT_ROUTE, &route->scope);
    assert(err == ERR_OK);
    (void)err;
    upstreams_begin(route);
}
