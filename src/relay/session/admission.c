#include "relay/session/admission.h"

#include "relay/core/worker.h"
#include "relay/relay.h"

static enum reason take_places(struct relay *relay, struct relay_route *route)
{
    /* Looked at first, since what is taken, and given back at once, would count for the route's
     * peak. Only when the last place goes between the check and the taking it still does. */
    if (quota_is_full(&relay->quota))
        return REASON_LIMIT_SESSIONS;
    if (!quota_take(&route->quota))
        return REASON_LIMIT_ROUTE;
    if (quota_take(&relay->quota))
        return REASON_NONE;
    quota_give(&route->quota);
    return REASON_LIMIT_SESSIONS;
}

static enum reason ask(struct admission *admission, struct worker *worker,
                       struct relay_route *route, const struct addr *client)
{
    if (drain_is_on(&route->drain))
        return REASON_DRAINING;
    if (admission->who == ADMISSION_CLIENT) {
        admission->guard = guard_ask(worker, route, client, &admission->client);
        if (guard_refuses(admission->guard))
            return admission->guard.reason;
        guard_apply(worker, route, client, admission->guard);
    }
    if (!admission->has_places) {
        enum reason reason = take_places(worker->relay, route);
        if (reason != REASON_NONE)
            return reason;
        admission->has_places = true;
    }
    if (admission->who != ADMISSION_STRANGER)
        admission->must_wait =
            queue_count(&route->queue) > 0 || !throttle_admits(route, worker->now_ms);
    return REASON_NONE;
}

bool admission_ask(struct admission *admission, struct worker *worker,
                   struct relay_route *route, const struct addr *client)
{
    admission->reason = ask(admission, worker, route, client);
    if (admission->reason != REASON_NONE) {
        clients_leave(worker->relay->guard.clients, admission->client, worker->now_ms);
        admission->client = NULL;
    }
    return admission->reason == REASON_NONE;
}

void admission_undo(struct admission *admission, struct worker *worker,
                    struct relay_route *route)
{
    clients_leave(worker->relay->guard.clients, admission->client, worker->now_ms);
    admission->client = NULL;
    quota_give(&worker->relay->quota);
    quota_give(&route->quota);
    admission->has_places = false;
}
