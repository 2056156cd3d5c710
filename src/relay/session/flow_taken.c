/* What a flow does while memory is out; see flow.h. */
#include "base/log.h"
#include "base/str.h"
#include "relay/session/flow.h"
#include "relay/session/flow_private.h"

/* Looked at in one go; what the sink does not take of it is looked at again. */
#define PEEK_BYTES (16 * 1024u)

/* Receives bytes that the sink has already. */
static enum err receive_taken(struct flow *flow, struct worker *worker, uint32_t len)
{
    while (len > 0) {
        uint32_t got = 0;
        enum err err = port_receive_now(worker->relay->port, flow->source,
                                        worker->cache.scratch, len, &got);
        if (err != ERR_OK || got == 0) /* the source broke, and its system threw them away */
            return err == ERR_OK || err == ERR_AGAIN ? ERR_RESET : err;
        len -= got;
    }
    return ERR_OK;
}

enum err flow_move_taken(struct flow *flow, struct worker *worker, uint32_t most,
                         struct port_move *move)
{
    struct port *port = worker->relay->port;
    unsigned char *scratch = worker->cache.scratch;
    uint32_t len = most < PEEK_BYTES ? most : PEEK_BYTES;
    *move = (struct port_move){.got = 0};
    enum err err = port_peek_now(port, flow->source, scratch, len, &move->got);
    if (err != ERR_OK || move->got == 0)
        return err;
    move->drained = move->got < len;
    move->send_err = port_send_now(port, flow->sink, scratch, move->got, &move->sent);
    move->left = move->got - move->sent;
    return receive_taken(flow, worker, move->sent);
}

void flow_log_no_buffer(const struct flow *flow, struct worker *worker, uint32_t len,
                        const char *what_now)
{
    struct log_limit *limit = &worker->relay->memory_log;
    if (log_limit_holds(limit, LOG_ERROR, worker->now_ms))
        return;
    char size[STR_HUMAN_MAX];
    log_limited(limit, LOG_ERROR, "route '%s': session %llu: no memory for a buffer of %s; %s",
                flow->pair->route->conf->name, (unsigned long long)flow->pair->id,
                str_human_size(len, size), what_now);
}
