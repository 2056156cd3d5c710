/* flow_private.h - what the files that make up a flow share. */
#ifndef PAIRPORT_RELAY_FLOW_PRIVATE_H
#define PAIRPORT_RELAY_FLOW_PRIVATE_H

#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/worker.h"

#define FLOW_WINDOW_MS 1000 /* over which the current rate is taken */

static inline bool flow_is_up(const struct flow *flow)
{
    return flow == &flow->pair->up;
}

static inline void flow_submit(struct flow *flow, struct worker *worker, enum op_kind kind,
                               sock_t sock)
{
    flow->op.kind = kind;
    flow->op.sock = sock;
    flow->busy = true;
    flow->pair->in_flight++;
    port_submit(worker->relay->port, &flow->op);
}

#endif
