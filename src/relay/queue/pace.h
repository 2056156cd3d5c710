/* pace.h - the byte rates of a route's sessions, and freezing them.
 *
 * A flow that may not move bytes right now has nothing in flight: its source is not read, so
 * TCP slows the sender down. The pair's timer, or the end of a freeze, makes it go on.
 *
 * Threads: any, without a pair's lock held.
 */
#ifndef PAIRPORT_RELAY_QUEUE_PACE_H
#define PAIRPORT_RELAY_QUEUE_PACE_H

#include <stdbool.h>

struct conf_route;
struct relay_route;

/* No session of the route reads any more, those that begin later included, until it is thawed.
 * What was received before is still delivered. */
void pace_freeze(struct relay_route *route);
void pace_thaw(struct relay_route *route);
bool pace_is_frozen(const struct relay_route *route);

/* The route has another configuration than `before`: every session looks at its deadlines and at
 * the options of its sockets at once. Where a rate is another one, whoever waits for room goes
 * on, with full buckets: what they owed was reckoned by the old rate. */
void pace_reconfigured(struct relay_route *route, const struct conf_route *before);

#endif
