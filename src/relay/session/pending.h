/* pending.h - the work that events of a route leave for a worker to do a moment later.
 *
 * When a connect fails, a check ends, an operator acts or addresses change, the route's logic
 * is told at once, and schedule_route() is called. Here a worker does the rest, without any
 * lock: it logs changes of state, ends sessions of a server that went down where on_down says
 * so, gives waiting clients their turn, continues drains, and begins health checks.
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
