/* eject.c - passive health: servers that fail too often are left alone for a while. */
#include <assert.h>

#include "base/str.h"
#include "route/route_private.h"

/* The client has a failure in the ring that is young enough to count. */
static bool is_counted(const struct route_server *server, const struct conf_eject *eject,
                       const struct addr *client, uint64_t now_ms)
{
    size_t count = server->failure_count < eject->count ? server->failure_count : eject->count;
    for (size_t i = 0; i < count; i++)
        if (now_ms - server->failures[i].ms <= eject->within_ms &&
            addr_equal(&server->failures[i].client, client))
            return true;
    return false;
}

/* Counts a failure. True: the last `count` of them came within the time. */
static bool failed_too_often(struct route_server *server, const struct conf_eject *eject,
                             const struct addr *client, uint64_t now_ms)
{
    if (is_counted(server, eject, client, now_ms))
        return false;
    server->failures[server->failure_count++ % eject->count] =
        (struct failure){.ms = now_ms, .client = *client};
    if (server->failure_count < eject->count)
        return false;
    uint64_t first_ms = server->failures[server->failure_count % eject->count].ms;
    return now_ms - first_ms <= eject->within_ms;
}

void route_note_failure(struct route *route, size_t upstream, size_t server,
                        const struct addr *client, uint64_t now_ms)
{
    route_see_time(route, now_ms);
    struct route_server *failed = route_server_at(route, upstream, server);
    assert(failed != NULL && failed->sessions > 0);
    const struct conf_eject *eject = &route->conf->eject;
    /* What gets no sessions anyway need not be ejected. */
    if (eject->count == 0 || failed->state != ROUTE_UP || !upstream_is_open(failed->upstream))
        return;
    if (!failed_too_often(failed, eject, client, route->now_ms))
        return;
    if (!ready_may_eject(route))
        return; /* it has to do for now; the next failure asks again */

    failed->ejected_until_ms = route->now_ms + eject->for_ms;
    failed->failure_count = 0;
    char within[STR_HUMAN_MAX];
    char cause[64];
    str_format(cause, sizeof cause, "%u %s in %s", eject->count,
               eject->count == 1 ? "failure" : "failures",
               str_exact_duration(eject->within_ms, within));
    state_update_server(route, failed, cause);
    ready_refresh(route);
}

void route_tick(struct route *route, uint64_t now_ms)
{
    route_see_time(route, now_ms);
    char time[STR_HUMAN_MAX];
    char cause[64];
    str_format(cause, sizeof cause, "%s over",
               str_exact_duration(route->conf->eject.for_ms, time));
    for (size_t i = 0; i < route->upstream_count; i++)
        FOR_EACH_SERVER (server, &route->upstreams[i])
            if (server->ejected_until_ms <= route->now_ms)
                state_lift_ejection(route, server, cause);
    ready_refresh(route);
}
