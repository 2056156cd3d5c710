/* info.c - what can be seen of a route. */
#include <assert.h>

#include "base/str.h"
#include "route/route_private.h"

static void describe_server(const struct route_server *server, struct route_server_info *out)
{
    *out = (struct route_server_info){
        .addr = server->addr,
        .server = server->slot,
        .gone = server->gone,
        .usable = server->ready && !upstream_is_full(server->upstream),
        .state = server->state,
        .sessions = server->sessions,
        .since_ms = server->since_ms,
        .ejected_until_ms = server->ejected_until_ms,
        .tried_ms = server->tried_ms,
        .connect_failures = server->connect_failures,
        .connect_err = server->connect_err,
        .connect_failed_ms = server->connect_failed_ms,
    };
    health_get_info(&server->health, &out->health);
    if (server->state == ROUTE_UP || server->state == ROUTE_DOWN)
        health_word(&server->health, out->word, sizeof out->word);
    else
        str_format(out->word, sizeof out->word, "%s", state_word(server->state));
}

static void describe_servers(const struct upstream *upstream, bool gone,
                             struct route_upstream_info *out)
{
    size_t most = out->server_count + (gone ? ROUTE_GONE_SHOWN_MAX : ROUTE_SERVERS_MAX);
    for (size_t slot = 0; slot < upstream->slot_count; slot++) {
        const struct route_server *server = upstream->servers[slot];
        if (server == NULL || server->gone != gone)
            continue;
        if (out->server_count == most) {
            out->hidden_count++;
            continue;
        }
        struct route_server_info *info = &out->servers[out->server_count++];
        describe_server(server, info);
        out->usable |= info->usable;
    }
}

/* The mean of the servers that are up, 100 without one. */
static uint32_t weight_percent(const struct route *route, const struct upstream *upstream)
{
    uint32_t sum = 0;
    uint32_t count = 0;
    FOR_EACH_SERVER (server, upstream) {
        if (server->state != ROUTE_UP)
            continue;
        sum += ready_percent(route, server);
        count++;
    }
    return count == 0 ? 100 : sum / count;
}

void route_get_upstream(struct route *route, size_t upstream, uint64_t now_ms,
                        struct route_upstream_info *out)
{
    assert(upstream < route->upstream_count);
    route_see_time(route, now_ms);
    const struct upstream *source = &route->upstreams[upstream];
    bool full = source->state == ROUTE_UP && upstream_is_full(source);
    *out = (struct route_upstream_info){
        .state = full ? ROUTE_FULL : source->state,
        .admin = source->admin,
        .weight = source->weight,
        .weight_percent = weight_percent(route, source),
        .sessions = source->sessions,
        .sessions_max = source->max_sessions,
        .sessions_peak = source->sessions_peak,
        .since_ms = full && source->full_since_ms > source->since_ms ? source->full_since_ms
                                                                     : source->since_ms,
    };
    str_format(out->word, sizeof out->word, "%s", state_word(out->state));
    out->servers = route->shown;
    describe_servers(source, false, out);
    describe_servers(source, true, out);
}

bool route_is_up(struct route *route, uint64_t now_ms)
{
    route_see_time(route, now_ms);
    return route->ready_count != 0;
}
