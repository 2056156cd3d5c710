/* route_parts.h - makes and frees a route of the relay.
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

/* A route without addresses and listeners, that nobody knows yet. ERR_NOMEM leaves nothing. */
enum err route_parts_open(struct relay_route **out, struct relay *relay,
                          const struct conf_route *conf);
/* It and its upstreams get their places in the statistics, which nobody else uses meanwhile.
 * Needs: stat_reserve() for route_parts_scopes() of them. */
size_t route_parts_scopes(const struct relay_route *route);
void route_parts_begin(struct relay_route *route);
/* Needs: nobody points to it, its listeners are stopped. NULL is fine. */
void route_parts_close(struct relay_route *route);

#endif
