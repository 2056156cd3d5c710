#include "relay/queue/pace.h"

#include <stdatomic.h>

#include "policy/bucket.h"
#include "policy/clients.h"
#include "relay/relay.h"

/* Flows see it when they are about to receive. */
void pace_freeze(struct relay_route *route)
{
    atomic_store(&route->frozen, true);
}

/* A flow that is being parked right now looks at the route again after it has armed its pair's
 * timer, so either it sees the end of the freeze or its timer is moved here. */
void pace_thaw(struct relay_route *route)
{
    if (!atomic_load(&route->frozen))
        return;
    atomic_fetch_add(&route->thaws, 1); /* first: who sees no freeze any more sees this */
    atomic_store(&route->frozen, false);
    table_wake(&route->relay->table, &route->relay->timers, route);
}

static bool same_paces(const struct conf_route *a, const struct conf_route *b)
{
    return conf_pace_equal(&a->rate_up, &b->rate_up) &&
           conf_pace_equal(&a->rate_down, &b->rate_down) &&
           conf_pace_equal(&a->rate_up_per_client, &b->rate_up_per_client) &&
           conf_pace_equal(&a->rate_down_per_client, &b->rate_down_per_client) &&
           conf_pace_equal(&a->rate_up_per_route, &b->rate_up_per_route) &&
           conf_pace_equal(&a->rate_down_per_route, &b->rate_down_per_route);
}

/* Those of the sockets; see check_options() in pair_on_timer.c. */
static bool same_options(const struct conf_route *a, const struct conf_route *b)
{
    return a->nodelay == b->nodelay && a->keepalive_idle_ms == b->keepalive_idle_ms &&
           a->keepalive_interval_ms == b->keepalive_interval_ms;
}

void pace_reconfigured(struct relay_route *route, const struct conf_route *before)
{
    if (!same_paces(route->conf, before)) {
        bucket_fill(&route->pace_up);
        bucket_fill(&route->pace_down);
        clients_fill(route->relay->guard.clients, route->guard.number);
        atomic_fetch_add(&route->repaced, 1);
    }
    if (!same_options(route->conf, before))
        atomic_fetch_add(&route->options, 1);
    table_wake(&route->relay->table, &route->relay->timers, route);
}

bool pace_is_frozen(const struct relay_route *route)
{
    return atomic_load_explicit(&route->frozen, memory_order_relaxed);
}
