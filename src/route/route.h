/* route.h - where does a session go? Pure logic, no sockets.
 *
 * A route has upstreams in file order; each has the addresses its name resolved to. Sessions
 * take the upstreams in turn, and the addresses of an upstream in turn; an upstream without an
 * address is passed over and leaves the others' shares equal. A further try of the same session
 * goes to the next upstream, so that a session tries all of them before it tries one twice, and
 * then to another address of it, as long as there is one.
 *
 * Threads: route_pick() from any worker; addresses are set before the workers start.
 */
#ifndef PAIRPORT_ROUTE_ROUTE_H
#define PAIRPORT_ROUTE_ROUTE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/conf.h"

struct route_upstream {
    const struct conf_upstream *conf; /* not owned */
    struct addr *addrs;               /* owned; NULL while there is none */
    size_t addr_count;
};

struct route {
    const struct conf_route *conf;    /* not owned */
    struct route_upstream *upstreams; /* owned, conf->upstream_count of them */
    size_t upstream_count;
    _Atomic uint32_t next; /* whose turn it is */
};

/* Writes *route; it has no addresses yet. ERR_NOMEM: nothing to free. */
enum err route_init(struct route *route, const struct conf_route *conf);
void route_free(struct route *route);

/* Replaces the addresses of an upstream (count 0: none). Before the workers start. */
enum err route_set_addrs(struct route *route, size_t upstream, const struct addr *addrs,
                         size_t count);

/* What a session has tried; zero-initialised before the first pick. */
struct route_cursor {
    uint32_t start; /* the first try's turn */
    uint32_t tries; /* picks so far */
};

struct route_target {
    size_t upstream; /* index in the route */
    struct addr addr;
    bool came_round; /* the session has tried this very address before: wait a little */
};

/* The target of the session's next try; false when no upstream has an address. */
bool route_pick(struct route *route, struct route_cursor *cursor, struct route_target *out);

#endif
