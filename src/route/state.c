/* state.c - the states of servers and upstreams, derived from what is known of them. */
#include "route/mix.h"
#include "route/route_private.h"

static enum route_state derive_server(const struct route_server *server)
{
    if (server->gone)
        return ROUTE_GONE;
    if (!server->health.up)
        return ROUTE_DOWN;
    return server->ejected_until_ms != 0 ? ROUTE_EJECTED : ROUTE_UP;
}

/* By its servers: up if one is, else ejected if one is. */
static enum route_state derive_from_servers(const struct upstream *upstream)
{
    bool any = false;
    bool ejected = false;
    FOR_EACH_SERVER (server, upstream) {
        if (server->state == ROUTE_UP)
            return ROUTE_UP;
        any = true;
        ejected |= server->state == ROUTE_EJECTED;
    }
    if (!any)
        return upstream->unresolvable ? ROUTE_UNRESOLVED : ROUTE_INIT;
    return ejected ? ROUTE_EJECTED : ROUTE_DOWN;
}

static enum route_state derive_upstream(const struct upstream *upstream)
{
    if (upstream->conf->removed)
        return ROUTE_GONE;
    switch (upstream->admin) {
    case ROUTE_DISABLED: return ROUTE_MAINT;
    case ROUTE_DRAIN: return ROUTE_DRAINING;
    case ROUTE_READY: break;
    }
    return upstream->weight == 0 ? ROUTE_DRAINING : derive_from_servers(upstream);
}

void state_update_upstream(struct route *route, struct upstream *upstream, const char *cause)
{
    enum route_state from = upstream->state;
    enum route_state to = derive_upstream(upstream);
    if (to == from)
        return;
    uint64_t lasted_ms = route->now_ms - upstream->since_ms;
    upstream->state = to;
    upstream->since_ms = route->now_ms;
    if (cause == NULL)
        return;
    struct change change = {
        .upstream = upstream,
        .up_before = from == ROUTE_UP,
        .up = to == ROUTE_UP,
        .from = from,
        .to = to,
        .lasted_ms = lasted_ms,
    };
    changes_add(route, &change, cause);
}

void state_update_server(struct route *route, struct route_server *server, const char *cause)
{
    enum route_state from = server->state;
    enum route_state to = derive_server(server);
    if (to == from)
        return;
    bool open = upstream_is_open(server->upstream);
    struct change change = {
        .upstream = server->upstream,
        .server = server,
        .up_before = open && from == ROUTE_UP,
        .up = open && to == ROUTE_UP,
        .from = from,
        .to = to,
        .lasted_ms = route->now_ms - server->since_ms,
    };
    changes_add(route, &change, cause);

    server->state = to;
    server->since_ms = route->now_ms;
    if (to == ROUTE_UP && (from == ROUTE_DOWN || from == ROUTE_EJECTED))
        state_begin_ramp(route, server);
    state_update_upstream(route, server->upstream, NULL);
}

void state_begin_ramp(const struct route *route, struct route_server *server)
{
    server->ramps = server->upstream->conf->slow_start_ms != 0;
    server->ramp_from_ms = route->now_ms;
}

bool state_lift_ejection(struct route *route, struct route_server *server, const char *cause)
{
    if (server->ejected_until_ms == 0)
        return false;
    server->ejected_until_ms = 0;
    state_update_server(route, server, cause);
    return true;
}

void state_forget_check(struct route *route, struct route_server *server)
{
    server->generation = ++route->last_generation;
    server->health.running = false;
}

void state_begin_health(struct route *route, struct route_server *server)
{
    state_forget_check(route, server);
    health_init(&server->health, &route->conf->health, mix_next(&route->random), route->now_ms);
}
