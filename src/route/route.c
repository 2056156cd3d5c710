#include <assert.h>
#include <stdlib.h>

#include "route/route_private.h"

struct upstream upstream_as_configured(const struct conf_upstream *conf, uint64_t now_ms)
{
    return (struct upstream){
        .conf = conf,
        .max_sessions = conf->max_sessions,
        .weight = conf->weight,
        .admin = conf->disabled ? ROUTE_DISABLED : ROUTE_READY,
        .state = ROUTE_INIT,
        .since_ms = now_ms,
    };
}

/* By insertion: there are few, and as a rule they are in order. Where lines are equal, as in a
 * configuration that no file made, the index decides. */
void route_put_in_order(const struct conf_route *conf, size_t order[])
{
    for (size_t i = 0; i < conf->upstream_count; i++) {
        size_t at = i;
        while (at > 0 && conf->upstreams[order[at - 1]].line > conf->upstreams[i].line) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
}

enum err route_open(struct route **out, const struct conf_route *conf, uint64_t seed,
                    uint64_t now_ms)
{
    struct route *route = calloc(1, sizeof *route);
    if (route == NULL)
        return ERR_NOMEM;
    route->conf = conf;
    route->now_ms = now_ms;
    route->random = seed;
    /* Enough for all upstreams to go at once and come back. */
    route->changes_size = 64 + 2 * conf->upstream_count;
    route->changes = calloc(route->changes_size, sizeof *route->changes);
    route->upstreams = calloc(conf->upstream_count, sizeof *route->upstreams);
    route->order = calloc(conf->upstream_count, sizeof *route->order);
    if (route->changes == NULL || route->upstreams == NULL || route->order == NULL) {
        route_close(route);
        return ERR_NOMEM;
    }
    route->upstream_count = conf->upstream_count;
    route_put_in_order(conf, route->order);
    for (size_t i = 0; i < conf->upstream_count; i++) {
        route->upstreams[i] = upstream_as_configured(&conf->upstreams[i], now_ms);
        state_update_upstream(route, &route->upstreams[i], NULL);
    }
    *out = route;
    return ERR_OK;
}

void route_close(struct route *route)
{
    if (route == NULL)
        return;
    for (size_t i = 0; i < route->upstream_count; i++) {
        struct upstream *upstream = &route->upstreams[i];
        assert(upstream->sessions == 0);
        for (size_t slot = 0; slot < upstream->slot_count; slot++)
            free(upstream->servers[slot]);
        free(upstream->servers);
    }
    free(route->upstreams);
    free(route->order);
    free(route->changes);
    servers_free_spares(route->spares, route->spare_count);
    free(route->ready);
    free(route->choice);
    free(route->shown);
    free(route);
}

void route_see_time(struct route *route, uint64_t now_ms)
{
    if (now_ms > route->now_ms)
        route->now_ms = now_ms;
}

struct route_server *route_server_at(const struct route *route, size_t upstream, size_t server)
{
    assert(upstream < route->upstream_count);
    const struct upstream *owner = &route->upstreams[upstream];
    return server < owner->slot_count ? owner->servers[server] : NULL;
}
