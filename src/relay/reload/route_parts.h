/* route_parts.h - a route of the relay is made and freed.
 *
 * Threads: as each function says.
 */
#ifndef PAIRPORT_RELAY_RELOAD_ROUTE_PARTS_H
#define PAIRPORT_RELAY_RELOAD_ROUTE_PARTS_H

#include <stddef.h>

#include "base/err.h"

struct conf_route;
struct relay;
struct relay_route;

/* How many ports the route listens on. Any thread. */
size_t route_parts_ports(const struct conf_route *conf);

/* A route without addresses and listeners, that nobody knows yet. Without statistics and
 * upstreams: route_parts_begin() makes them, with nobody else using the statistics. ERR_NOMEM
 * leaves nothing, and what the first made. */
enum err route_parts_open(struct relay_route **out, struct relay *relay,
                          const struct conf_route *conf);
enum err route_parts_begin(struct relay_route *route);
/* Needs: nobody points to it, its listeners are stopped. NULL is fine. */
void route_parts_close(struct relay_route *route);

#endif
