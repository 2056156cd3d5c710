/* ready.c - the servers that new sessions may go to, their shares, and how many may be ejected. */
#include "route/route_private.h"

static bool is_up(const struct route_server *server)
{
    return server->state == ROUTE_UP && upstream_is_open(server->upstream);
}

/* How many are up, of the upstreams that are backups or of those that are not. */
static size_t count_up(const struct route *route, bool backup)
{
    size_t count = 0;
    for (size_t i = 0; i < route->upstream_count; i++)
        if (route->upstreams[i].conf->backup == backup)
            FOR_EACH_SERVER (server, &route->upstreams[i])
                count += is_up(server);
    return count;
}

/* How many servers may be ejected at a time, and how many are. What the operator has taken out
 * does not count. */
struct share {
    size_t most;
    size_t ejected;
    struct route_server *next; /* the one whose ejection ends first; NULL: none is ejected */
};

static struct share look_at_share(const struct route *route)
{
    struct share share = {0};
    size_t all = 0;
    for (size_t i = 0; i < route->upstream_count; i++) {
        if (!upstream_is_open(&route->upstreams[i]))
            continue;
        FOR_EACH_SERVER (server, &route->upstreams[i]) {
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

/* Ends as many ejections as there are above eject_max, those that would end first. */
static void keep_share(struct route *route)
{
    struct share share = look_at_share(route);
    while (share.ejected > share.most) {
        state_lift_ejection(route, share.next, "more were ejected than eject_max allows");
        share = look_at_share(route);
    }
}

bool ready_may_eject(const struct route *route)
{
    struct share share = look_at_share(route);
    return route->up_count != 1 && share.ejected < share.most;
}

/* No server is up. An ejected one may be better than its last sessions made it look, and is not
 * worse than none. */
static void end_ejections(struct route *route)
{
    for (size_t i = 0; i < route->upstream_count; i++)
        if (upstream_is_open(&route->upstreams[i]))
            FOR_EACH_SERVER (server, &route->upstreams[i])
                if (server->state == ROUTE_EJECTED)
                    state_lift_ejection(route, server, "no other server is left");
}

uint32_t ready_percent(const struct route *route, const struct route_server *server)
{
    if (!server->ramps)
        return 100;
    uint64_t passed_ms = route->now_ms - server->ramp_from_ms;
    uint64_t percent = passed_ms * 100 / server->upstream->conf->slow_start_ms;
    return percent == 0 ? 1 : percent < 100 ? (uint32_t)percent : 100;
}

/* Puts a server that is up into the list. */
static void add_ready(struct route *route, struct route_server *server)
{
    uint32_t percent = ready_percent(route, server);
    server->ramps = percent < 100;
    server->share = server->upstream->weight * percent;
    server->ready = true;
    route->ready[route->ready_count++] = server;
}

void ready_refresh(struct route *route)
{
    keep_share(route);
    if (count_up(route, false) + count_up(route, true) == 0)
        end_ejections(route);
    size_t primaries = count_up(route, false);
    route->up_count = primaries + count_up(route, true);
    route->ready_count = 0;
    for (size_t i = 0; i < route->upstream_count; i++) {
        struct upstream *upstream = &route->upstreams[route->order[i]];
        bool stands_by = upstream->conf->backup && primaries != 0;
        FOR_EACH_SERVER (server, upstream) {
            if (is_up(server) && !stands_by)
                add_ready(route, server);
            else
                server->ready = false;
        }
    }
}
