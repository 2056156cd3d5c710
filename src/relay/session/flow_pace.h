/* flow_pace.h - how many bytes a flow may move right now.
 *
 * Up to three token buckets limit a flow: the session's (in the flow), the client's and the
 * route's. A flow that finds less room than a useful piece waits: it takes a piece from each
 * bucket in advance, which empties them further, and learns when they would have had it. So
 * flows that share a bucket go on in the order in which they began to wait, and none starves.
 * It may then move what it took in advance, whatever the buckets hold at that time.
 *
 * Timers are no finer than 16 ms, so a burst smaller than what the rate moves in 50 ms counts
 * as that much; otherwise a high rate could not be reached.
 *
 * Threads: call with the lock of the flow's pair held.
 */
#ifndef PAIRPORT_RELAY_SESSION_FLOW_PACE_H
#define PAIRPORT_RELAY_SESSION_FLOW_PACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/server_info.h"

struct flow;
struct worker;

/* False: nothing holds the sessions of this route back, and nothing below need be asked. */
static inline bool flow_pace_is_on(const struct relay_route *route)
{
    const struct conf_route *conf = route->conf;
    return (atomic_load_explicit(&route->frozen, memory_order_relaxed) |
            conf->rate_up.bytes_per_s | conf->rate_down.bytes_per_s |
            conf->rate_up_per_client.bytes_per_s | conf->rate_down_per_client.bytes_per_s |
            conf->rate_up_per_route.bytes_per_s | conf->rate_down_per_route.bytes_per_s) != 0;
}

/* Bytes that it may move now, at most `most`; 0: less than are worth it. Nothing is taken. */
uint32_t flow_pace_room(const struct flow *flow, uint32_t most, uint64_t now_ms);

/* So many have been received. */
void flow_pace_passed(struct flow *flow, uint32_t bytes, uint64_t now_ms);

/* There was no room: takes a piece in advance. When the flow may go on, and which of the buckets
 * it is that lets it wait for so long. */
uint64_t flow_pace_wait(struct flow *flow, uint64_t now_ms, enum flow_park *why);

#endif
