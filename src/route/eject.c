/* eject.c - passive health: servers that fail too often are left alone for a while. */
#include <assert.h>

#include "base/str.h"
#include "route/route_private.h"

/* The client has a failure in the ring that is young enough to count. */
static bool is_counted(const struct server *server, const struct conf_eject *eject,
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
static bool failed_too_often(struct server *server, const struct conf_eject *eject,
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

/* How many servers may be ejected at a time, and how many are. What the operator has taken out
 * does not count. */
struct share {
    size_t most;
    size_t ejected;
    struct server *next; /* the one whose ejection ends first; NULL: none is ejected */
};

static struct share look_at_share(const struct route *route)
{
    struct share share = {0};
    size_t all = 0;
    for (size_t i = 0; i < route->upstream_count; i++) {
        if (!upstream_is_open(&route->upstreams[i]))
            continue;
        FOR_EACH_SERVER(server, &route->upstreams[i])
        {
            all++;
            if (server->state != ROUTE_EJECTED)
                continue;
            share.ejected++;
            if (share.next == NULL || server->ejected_until_ms < share.next->ejected_until_ms)
                share.next = server;
        }
    }
    /* Rounded down, but a small share of few servers is not the same as never. */
    share.most = all * route->conf->eject_max_percent / 100;
    if (share.most == 0 && all > 1)
        share.most = 1;
    return share;
}

void eject_keep_share(struct route *route)
{
    struct share share = look_at_share(route);
    while (share.ejected > share.most) {
        state_lift_ejection(route, share.next, "more were ejected than eject_max allows");
        share = look_at_share(route);
    }
}

void route_note_failure(struct route *route, size_t upstream, size_t server,
                        const struct addr *client, uint64_t now_ms)
{
    route_see_time(route, now_ms);
    struct server *failed = route_server_at(route, upstream, server);
    assert(failed != NULL && failed->sessions > 0);
    const struct conf_eject *eject = &route->conf->eject;
    /* What gets no sessions anyway need not be ejected. */
    if (eject->count == 0 || failed->state != ROUTE_UP || !upstream_is_open(failed->upstream))
        return;
    if (!failed_too_often(failed, eject, client, route->now_ms))
        return;
    struct share share = look_at_share(route);
    if (route->up_count == 1 || share.ejected >= share.most)
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
        FOR_EACH_SERVER(server, &route->upstreams[i])
    if (server->ejected_until_ms <= route->now_ms)
        state_lift_ejection(route, server, cause);
    ready_refresh(route);
}
