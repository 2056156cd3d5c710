/* What comes before both ends of a flow are connected; see flow.h. */
#include <assert.h>
#include <string.h>

#include "relay/session/flow.h"
#include "relay/session/flow_private.h"

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

/* What is received, at most, for a source whose sink is not there yet. */
static uint32_t early_room(const struct flow *flow)
{
    return flow->early < BUFFER_SMALLEST ? BUFFER_SMALLEST - flow->early : 0;
}

/* Without memory nothing is received: the bytes stay where they are. */
static enum flow_early receive_early(struct flow *flow, sock_t sock, struct worker *worker)
{
    struct relay *relay = worker->relay;
    while (early_room(flow) > 0) {
        uint32_t got;
        if (flow->buffer.bytes == NULL)
            flow->buffer = buffers_take(&relay->buffers, &worker->cache, BUFFER_SMALLEST);
        if (flow->buffer.bytes == NULL)
            break;
        flow->err = port_receive_now(relay->port, sock, flow->buffer.bytes + flow->early,
                                     early_room(flow), &got);
        if (flow->err == ERR_AGAIN)
            return FLOW_EARLY_WAITS;
        if (flow->err != ERR_OK)
            return FLOW_EARLY_FAILED;
        if (got == 0)
            return FLOW_EARLY_FIN;
        flow->early += got;
    }
    return FLOW_EARLY_FULL;
}

enum flow_early flow_listen_early(struct flow *flow, sock_t sock, struct worker *worker)
{
    assert(flow->state == FLOW_NEW && !flow->busy);
    enum flow_early early = receive_early(flow, sock, worker);
    if (flow->early == 0)
        buffers_give(&worker->relay->buffers, &worker->cache, &flow->buffer);
    if (early == FLOW_EARLY_WAITS)
        flow_wait_early(flow, sock, worker);
    return early;
}

bool flow_keep_early(struct flow *flow, struct worker *worker, const unsigned char *before,
                     size_t before_len, const unsigned char *bytes, size_t len)
{
    assert(flow->state == FLOW_NEW && flow->early == 0);
    flow->early = (uint32_t)(before_len + len);
    flow->buffer = buffers_take(&worker->relay->buffers, &worker->cache, flow->early);
    if (flow->buffer.bytes == NULL && buffers_have_reserve(&worker->cache))
        flow->buffer = buffers_keep_scratch(&worker->cache);
    if (flow->buffer.bytes == NULL)
        return false;
    if (len > 0)
        memmove(flow->buffer.bytes + before_len, bytes, len); /* maybe within one buffer */
    if (before_len > 0)
        memcpy(flow->buffer.bytes, before, before_len);
    return true;
}
