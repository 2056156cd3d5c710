/* pick.c - a place for a session, and back. */
#include <assert.h>
#include <stdlib.h>

#include "route/route_private.h"

/* ---- what a session has tried ---- */

static bool was_tried(const struct route_tried *tried, const struct route_server *server)
{
    uint32_t bit = server->number % ROUTE_TRIED_MAX;
    return (tried->bits[bit / 64] >> bit % 64 & 1) != 0;
}

static void set_tried(struct route_tried *tried, const struct route_server *server)
{
    uint32_t bit = server->number % ROUTE_TRIED_MAX;
    tried->bits[bit / 64] |= (uint64_t)1 << bit % 64;
}

/* ---- places ---- */

/* Puts the servers with a free place, without those in `tried` (NULL: all), into
 * route->choice and gives their number. */
static size_t gather(struct route *route, const struct route_tried *tried)
{
    size_t count = 0;
    for (size_t i = 0; i < route->ready_count; i++) {
        struct route_server *server = route->ready[i];
        if (upstream_is_full(server->upstream))
            continue;
        if (tried == NULL || !was_tried(tried, server))
            route->choice[count++] = server;
    }
    return count;
}

static void take_place(struct route *route, struct route_server *server)
{
    struct upstream *upstream = server->upstream;
    server->sessions++;
    server->tried_ms = route->now_ms;
    upstream->sessions++;
    if (upstream->sessions > upstream->sessions_peak)
        upstream->sessions_peak = upstream->sessions;
    if (upstream_is_full(upstream))
        upstream->full_since_ms = route->now_ms;
}

enum route_outcome route_pick(struct route *route, struct route_cursor *cursor,
                              const struct addr *client, uint64_t now_ms,
                              struct route_target *out)
{
    route_see_time(route, now_ms);
    if (route->ready_count == 0)
        return ROUTE_ALL_DOWN;
    size_t count = gather(route, cursor->tries == 0 ? NULL : &cursor->round);
    if (count == 0 && cursor->tries != 0) {
        count = gather(route, NULL);
        if (count != 0)
            cursor->round = (struct route_tried){0};
    }
    if (count == 0)
        return ROUTE_ALL_FULL;

    struct route_server *server = balance_choose(route, count, client);
    take_place(route, server);
    *out = (struct route_target){
        .upstream = route_index(route, server->upstream),
        .server = server->slot,
        .addr = server->addr,
        .came_round = was_tried(&cursor->ever, server),
        .fails = server->connect_failures != 0,
    };
    cursor->tries++;
    set_tried(&cursor->ever, server);
    set_tried(&cursor->round, server);
    return ROUTE_PICKED;
}

void route_note_connect(struct route *route, size_t upstream, size_t server, enum err err,
                        uint64_t now_ms)
{
    route_see_time(route, now_ms);
    struct route_server *tried = route_server_at(route, upstream, server);
    assert(tried != NULL && tried->sessions > 0);
    if (err == ERR_OK) {
        tried->connect_failures = 0;
        return;
    }
    tried->connect_failures += tried->connect_failures < UINT32_MAX;
    tried->connect_err = err;
    tried->connect_failed_ms = route->now_ms;
}

void route_give(struct route *route, size_t upstream, size_t server)
{
    struct route_server *left = route_server_at(route, upstream, server);
    assert(left != NULL && left->sessions > 0);
    left->sessions--;
    left->upstream->sessions--;
    if (left->gone && left->sessions == 0) {
        left->upstream->servers[server] = NULL;
        free(left);
    }
}
