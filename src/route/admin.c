/* admin.c - what an operator changes. */
#include <assert.h>

#include "base/str.h"
#include "route/route_private.h"

static struct upstream *upstream_at(struct route *route, size_t upstream)
{
    assert(upstream < route->upstream_count);
    return &route->upstreams[upstream];
}

void admin_begin_again(struct route *route, struct upstream *upstream, const char *cause)
{
    FOR_EACH_SERVER (server, upstream) {
        state_begin_health(route, server);
        state_begin_ramp(route, server);
        state_update_server(route, server, cause);
    }
}

static bool lift_ejections(struct route *route, struct upstream *upstream)
{
    bool any = false;
    FOR_EACH_SERVER (server, upstream)
        any |= state_lift_ejection(route, server, "operator");
    return any;
}

bool route_set_admin(struct route *route, size_t upstream, enum route_admin admin,
                     uint64_t now_ms)
{
    route_see_time(route, now_ms);
    struct upstream *target = upstream_at(route, upstream);
    enum route_admin before = target->admin;
    target->admin = admin;
    state_update_upstream(route, target, "operator");
    bool changed = admin != before;
    if (changed && admin == ROUTE_DISABLED)
        FOR_EACH_SERVER (server, target)
            state_forget_check(route, server);
    if (changed && before == ROUTE_DISABLED)
        admin_begin_again(route, target, "operator");
    if (admin == ROUTE_READY)
        changed |= lift_ejections(route, target);
    ready_refresh(route);
    return changed;
}

bool route_set_weight(struct route *route, size_t upstream, uint32_t weight)
{
    struct upstream *target = upstream_at(route, upstream);
    assert(weight <= 256);
    if (weight == target->weight)
        return false;
    target->weight = weight;
    char cause[32];
    str_format(cause, sizeof cause, "weight %u", weight);
    state_update_upstream(route, target, cause);
    ready_refresh(route);
    return true;
}

bool route_set_max_sessions(struct route *route, size_t upstream, uint32_t max_sessions)
{
    struct upstream *target = upstream_at(route, upstream);
    if (max_sessions == target->max_sessions)
        return false;
    bool was_full = upstream_is_full(target);
    target->max_sessions = max_sessions;
    if (upstream_is_full(target) && !was_full)
        target->full_since_ms = route->now_ms;
    return true;
}
