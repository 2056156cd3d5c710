/* What can be seen of a flow; see flow.h. */
#include <string.h>

#include "relay/core/elapsed.h"
#include "relay/server_info.h"
#include "relay/session/flow.h"
#include "relay/session/flow_private.h"

uint64_t flow_received(const struct flow *flow)
{
    uint64_t waiting = flow_writes(flow) ? flow->op.len : flow->kept;
    return flow->bytes + waiting;
}

void flow_get_info(const struct flow *flow, uint64_t now_ms, struct server_flow_info *out)
{
    memset(out, 0, sizeof *out);
    out->bytes = flow->bytes;
    out->writes = flow->writes;
    out->finished = flow->state == FLOW_SHUT;

    uint64_t elapsed = elapsed_ms(now_ms, flow->window_ms);
    if (elapsed < FLOW_WINDOW_MS)
        out->bytes_per_s = flow->bytes_per_s;
    else if (elapsed < 2 * FLOW_WINDOW_MS)
        out->bytes_per_s = flow->window_bytes * 1000 / elapsed;

    if (flow_writes(flow)) {
        out->waiting = flow->op.len;
        out->waiting_ms = (uint32_t)elapsed_ms(now_ms, flow->waiting_ms);
    }
    out->park = flow->park;
    if (flow->park != FLOW_NOT_PARKED)
        out->parked_ms = elapsed_ms(now_ms, flow->parked_ms);
    if (flow_has_time(flow))
        out->park_left_ms = elapsed_ms(flow->park_until_ms, now_ms);
}
