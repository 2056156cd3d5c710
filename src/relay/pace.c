#include "relay/pace.h"

#include <stdatomic.h>

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

bool pace_is_frozen(const struct relay_route *route)
{
    return atomic_load_explicit(&route->frozen, memory_order_relaxed);
}
