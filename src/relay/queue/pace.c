#include "relay/queue/pace.h"

#include <stdatomic.h>

#include "config/diff.h"
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

static bool has_any(const char *const names[], const struct conf_route *before,
                    const struct conf_route *after)
{
    for (size_t i = 0; names[i] != NULL; i++)
        if (diff_key(before, after, names[i]))
            return true;
    return false;
}

static const char *const rates[] = {"rate_up",
                                    "rate_down",
                                    "rate_up_per_client",
                                    "rate_down_per_client",
                                    "rate_up_per_route",
                                    "rate_down_per_route",
                                    NULL};

/* Those of the sockets; see check_options() in pair_on_timer.c. */
static const char *const options[] = {"nodelay", "keepalive", "keepalive_interval", NULL};

void pace_reconfigured(struct relay_route *route, const struct conf_route *before)
{
    if (has_any(rates, before, route->conf)) {
        bucket_fill(&route->pace_up);
        bucket_fill(&route->pace_down);
        clients_fill(route->relay->guard.clients, route->guard.number);
        atomic_fetch_add(&route->repaced, 1);
    }
    if (has_any(options, before, route->conf))
        atomic_fetch_add(&route->options, 1);
    table_wake(&route->relay->table, &route->relay->timers, route);
}

bool pace_is_frozen(const struct relay_route *route)
{
    return atomic_load_explicit(&route->frozen, memory_order_relaxed);
}
