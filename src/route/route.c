#include "route/route.h"

#include <stdlib.h>
#include <string.h>

enum err route_init(struct route *route, const struct conf_route *conf)
{
    struct route_upstream *upstreams = calloc(conf->upstream_count, sizeof *upstreams);
    if (upstreams == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < conf->upstream_count; i++)
        upstreams[i].conf = &conf->upstreams[i];
    route->conf = conf;
    route->upstreams = upstreams;
    route->upstream_count = conf->upstream_count;
    atomic_init(&route->next, 0);
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
    struct addr *copy = NULL;
    if (count > 0) {
        copy = malloc(count * sizeof *copy);
        if (copy == NULL)
            return ERR_NOMEM;
        memcpy(copy, addrs, count * sizeof *copy);
    }
    struct route_upstream *target = &route->upstreams[upstream];
    free(target->addrs);
    target->addrs = copy;
    target->addr_count = count;
    return ERR_OK;
}

static size_t usable_count(const struct route *route)
{
    size_t usable = 0;
    for (size_t i = 0; i < route->upstream_count; i++)
        usable += route->upstreams[i].addr_count > 0;
    return usable;
}

/* The n-th upstream that has an address. */
static size_t usable_at(const struct route *route, size_t n)
{
    size_t i = 0;
    while (route->upstreams[i].addr_count == 0 || n-- > 0)
        i++;
    return i;
}

bool route_pick(struct route *route, struct route_cursor *cursor, struct route_target *out)
{
    size_t usable = usable_count(route);
    if (usable == 0)
        return false;
    if (cursor->tries == 0)
        cursor->start = atomic_fetch_add_explicit(&route->next, 1, memory_order_relaxed);

    out->upstream = usable_at(route, (cursor->start + cursor->tries) % usable);
    out->came_round = cursor->tries >= usable;
    struct route_upstream *upstream = &route->upstreams[out->upstream];
    uint32_t turn = atomic_fetch_add_explicit(&upstream->next_addr, 1, memory_order_relaxed);
    out->addr = upstream->addrs[turn % upstream->addr_count];
    cursor->tries++;
    return true;
}
