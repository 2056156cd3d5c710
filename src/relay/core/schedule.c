#include "relay/core/schedule.h"

#include "relay/relay.h"

void schedule_route(struct relay_route *route)
{
    struct relay *relay = route->relay;
    if (!lifecycle_try_ref(relay))
        return; /* what has happened is seen when the workers begin, or it is too late */
    atomic_fetch_add(&route->scheduled, 1);
    timers_arm(&relay->timers, &route->pending, 0);
    lifecycle_unref(relay);
}
