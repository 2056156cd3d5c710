/* What comes before both ends of a flow are connected; see flow.h. */
#include <assert.h>
#include <string.h>

#include "relay/flow.h"
#include "relay/flow_private.h"

void flow_init(struct flow *flow, struct pair *pair)
{
    memset(flow, 0, sizeof *flow);
    flow->pair = pair;
    flow->op.owner = flow;
    flow->op.sock = SOCK_NONE;
    flow->source = SOCK_NONE;
    flow->sink = SOCK_NONE;
}

void flow_wait_early(struct flow *flow, sock_t sock, struct worker *worker)
{
    flow->op.buf = NULL;
    flow->op.len = 0;
    flow_submit(flow, worker, OP_READ, sock);
}

bool flow_take_early(struct flow *flow)
{
    flow->busy = false;
    return flow->op.err == ERR_OK || flow->op.err == ERR_CANCELLED;
}

bool flow_keep_early(struct flow *flow, struct worker *worker, const unsigned char *before,
                     size_t before_len, const unsigned char *bytes, size_t len)
{
    assert(flow->state == FLOW_NEW && flow->early == 0);
    flow->early = (uint32_t)(before_len + len);
    flow->buffer = buffers_take(&worker->relay->buffers, &worker->cache, flow->early);
    if (flow->buffer.bytes == NULL)
        return false;
    if (before_len > 0)
        memcpy(flow->buffer.bytes, before, before_len);
    if (len > 0)
        memcpy(flow->buffer.bytes + before_len, bytes, len);
    return true;
}
