/* pending.h - what follows from what has happened to a route.
 *
 * A connect fails, a check ends, an operator acts, addresses change: whoever sees it tells the
 * route's logic at once and calls schedule_route(). What follows is done here a moment later by a
 * worker, without any lock: changes of state are logged, sessions of a server that went down are
 * ended where on_down says so, clients that wait get their turn, drains go on, health checks
 * begin.
 *
 * Threads: workers.
 */
#ifndef PAIRPORT_RELAY_SESSION_PENDING_H
#define PAIRPORT_RELAY_SESSION_PENDING_H

struct relay_route;
struct worker;

/* Before anybody knows the route. By any thread. */
void pending_init(struct relay_route *route);

/* Does it now, and arms the route's timer for what is due later. */
void pending_run(struct relay_route *route, struct worker *worker);

/* Tells the throttle of the route whether one of its upstreams is up. */
void pending_tell_throttle(struct relay_route *route, struct worker *worker);

#endif
