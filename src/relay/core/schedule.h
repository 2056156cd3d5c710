/* schedule.h - makes a worker handle the pending work of a route soon (pending.h).
 *
 * Threads: any, with any locks but the timers'.
 */
#ifndef PAIRPORT_RELAY_CORE_SCHEDULE_H
#define PAIRPORT_RELAY_CORE_SCHEDULE_H

struct relay_route;

/* Something has happened to the route: what follows from it is done by pending_run(). */
void schedule_route(struct relay_route *route);

#endif
