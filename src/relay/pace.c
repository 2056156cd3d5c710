#include "relay/pace.h"

#include <stdatomic.h>

#include "relay/relay.h"

void pace_freeze(struct relay_route *route)
{
    atomic_store(&route->frozen, true);
}

void pace_thaw(struct relay_route *route)
{
    atomic_store(&route->frozen, false);
}

bool pace_is_frozen(const struct relay_route *route)
{
    return atomic_load_explicit(&route->frozen, memory_order_relaxed);
}
