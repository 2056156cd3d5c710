/* flow_private.h - what the files that make up a flow share. */
#ifndef PAIRPORT_RELAY_SESSION_FLOW_PRIVATE_H
#define PAIRPORT_RELAY_SESSION_FLOW_PRIVATE_H

#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"

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

/* port_move_now() where what the sink does not take would find no place: only what it took is
 * received. move->rest is NULL; move->left tells how many bytes stay with the system. */
enum err flow_move_taken(struct flow *flow, struct worker *worker, uint32_t most,
                         struct port_move *move);

/* One line, limited: there is no buffer for `len` bytes, and what becomes of them. */
void flow_log_no_buffer(const struct flow *flow, struct worker *worker, uint32_t len,
                        const char *what_now);

#endif
