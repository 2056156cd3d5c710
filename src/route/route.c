#include "route/route.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum err route_init(struct route *route, const struct conf_route *conf)
{
    struct route_upstream *upstreams = calloc(conf->upstream_count, sizeof *upstreams);
    if (upstreams == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < conf->upstream_count; i++)
        upstreams[i].conf = &conf->upstreams[i];
    *route = (struct route){
        .conf = conf, .upstreams = upstreams, .upstream_count = conf->upstream_count};
    return ERR_OK;
}

void route_free(struct route *route)
{
    for (size_t i = 0; i < route->upstream_count; i++)
        free(route->upstreams[i].addrs);
    free(route->upstreams);
    route->upstreams = NULL;
    route->upstream_count = 0;
}

enum err route_set_addrs(struct route *route, size_t upstream, const struct addr *addrs,
                         size_t count)
{
    assert(upstream < route->upstream_count);
    struct addr *copy = NULL;
    if (count != 0) {
        copy = calloc(count, sizeof *copy);
        if (copy == NULL)
            return ERR_NOMEM;
        memcpy(copy, addrs, count * sizeof *copy);
    }
    free(route->upstreams[upstream].addrs);
    route->upstreams[upstream].addrs = copy;
    route->upstreams[upstream].addr_count = count;
    return ERR_OK;
}

static size_t count_usable(const struct route *route)
{
    size_t usable = 0;
    for (size_t i = 0; i < route->upstream_count; i++)
        usable += route->upstreams[i].addr_count != 0;
    return usable;
}

/* The index of the upstream that has `skip` upstreams with an address before it. */
static size_t find_usable(const struct route *route, size_t skip)
{
    size_t i = 0;
    while (route->upstreams[i].addr_count == 0 || skip-- > 0)
        i++;
    return i;
}

bool route_pick(struct route *route, struct route_cursor *cursor, struct route_target *out)
{
    size_t usable = count_usable(route);
    if (usable == 0)
        return false;
    if (cursor->tries == 0)
        cursor->start = atomic_fetch_add_explicit(&route->next, 1, memory_order_relaxed);

    /* Turns run through the usable upstreams, and each time round through their addresses, so a
     * session's further tries meet every upstream and every address before one comes again,
     * whatever other sessions do meanwhile. */
    uint64_t turn = (uint64_t)cursor->start + cursor->tries;
    size_t index = find_usable(route, (size_t)(turn % usable));
    const struct route_upstream *upstream = &route->upstreams[index];

    out->upstream = index;
    out->addr = upstream->addrs[turn / usable % upstream->addr_count];
    out->came_round = cursor->tries / usable >= upstream->addr_count;
    cursor->tries++;
    return true;
}
