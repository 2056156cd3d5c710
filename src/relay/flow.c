#include "relay/flow.h"

#include <assert.h>
#include <string.h>

#include "relay/elapsed.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/worker.h"

#define RATE_WINDOW_MS 1000

static bool is_up(const struct flow *flow)
{
    return flow == &flow->pair->up;
}

static void submit(struct flow *flow, struct worker *worker, enum op_kind kind, sock_t sock)
{
    flow->op.kind = kind;
    flow->op.sock = sock;
    flow->busy = true;
    flow->pair->in_flight++;
    port_submit(worker->relay->port, &flow->op);
}

static void give_buffer(struct flow *flow, struct worker *worker)
{
    if (flow->buf == NULL)
        return;
    buffers_give(&worker->relay->buffers, &worker->cache, flow->pair->route->buffer_class,
                 flow->buf);
    flow->buf = NULL;
    flow->len = 0;
}

static enum flow_event die(struct flow *flow, struct worker *worker, enum flow_event event)
{
    flow->state = FLOW_DEAD;
    give_buffer(flow, worker);
    return event;
}

/* Waits, without a buffer, until the source has something. */
static enum flow_event wait_for_bytes(struct flow *flow, struct worker *worker)
{
    give_buffer(flow, worker);
    flow->op.buf = NULL;
    flow->op.len = 0;
    flow->op.try_only = false;
    submit(flow, worker, OP_READ, flow->source);
    return FLOW_GOES_ON;
}

/* Takes what is there, without waiting. */
static enum flow_event read_now(struct flow *flow, struct worker *worker)
{
    struct buffers *buffers = &worker->relay->buffers;
    unsigned class = flow->pair->route->buffer_class;
    if (flow->buf == NULL)
        flow->buf = buffers_take(buffers, &worker->cache, class);
    if (flow->buf == NULL)
        return die(flow, worker, FLOW_NO_MEMORY);
    flow->op.buf = flow->buf;
    flow->op.len = buffers_bytes(buffers, class);
    flow->op.try_only = true;
    submit(flow, worker, OP_READ, flow->source);
    return FLOW_GOES_ON;
}

static enum flow_event write_all(struct flow *flow, struct worker *worker, uint32_t len)
{
    flow->len = len;
    flow->waiting_ms = worker->now_ms;
    flow->op.buf = flow->buf;
    flow->op.len = len;
    flow->op.try_only = false;
    submit(flow, worker, OP_WRITE, flow->sink);
    return FLOW_GOES_ON;
}

/* FIN: everything before it was taken by the sink's system, so it can follow at once. */
static enum flow_event finish(struct flow *flow, struct worker *worker)
{
    give_buffer(flow, worker);
    flow->state = FLOW_SHUT;
    /* A sink that is gone already shows in the opposite flow; nothing is left to do here. */
    (void)sock_shutdown_send(flow->sink);
    return FLOW_FINISHED;
}

static enum flow_event on_read(struct flow *flow, struct worker *worker)
{
    const struct op *op = &flow->op;
    if (op->err == ERR_AGAIN)
        return wait_for_bytes(flow, worker);
    if (op->err != ERR_OK)
        return die(flow, worker, FLOW_SOURCE_FAILED);
    if (op->len == 0)
        return read_now(flow, worker);
    if (op->bytes == 0 && flow->source_broken)
        return die(flow, worker, FLOW_SOURCE_FAILED);
    if (op->bytes == 0)
        return finish(flow, worker);
    return write_all(flow, worker, op->bytes);
}

static void count_bytes(struct flow *flow, struct worker *worker, uint32_t bytes)
{
    const struct relay_route *route = flow->pair->route;
    size_t scopes[] = {route->scope, route->upstreams[flow->pair->upstream_index].scope};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        stat_add(worker->relay->stat, worker->number, scopes[i],
                 is_up(flow) ? STAT_BYTES_UP : STAT_BYTES_DOWN, bytes);
        stat_add(worker->relay->stat, worker->number, scopes[i],
                 is_up(flow) ? STAT_WRITES_UP : STAT_WRITES_DOWN, 1);
    }

    flow->bytes += bytes;
    flow->writes++;
    uint64_t elapsed = elapsed_ms(worker->now_ms, flow->window_ms);
    if (elapsed >= RATE_WINDOW_MS) {
        flow->bytes_per_s = flow->window_bytes * 1000 / elapsed;
        flow->window_ms = worker->now_ms;
        flow->window_bytes = 0;
    }
    flow->window_bytes += bytes;
}

static enum flow_event on_write(struct flow *flow, struct worker *worker)
{
    const struct op *op = &flow->op;
    if (op->bytes > 0) {
        count_bytes(flow, worker, op->bytes);
        flow->pair->last_byte_ms = worker->now_ms;
    }
    if (op->err != ERR_OK)
        return die(flow, worker, FLOW_SINK_FAILED);
    assert(op->bytes == flow->len);

    /* A full buffer means that more is likely there already. */
    if (flow->len == buffers_bytes(&worker->relay->buffers, flow->pair->route->buffer_class)) {
        flow->len = 0;
        return read_now(flow, worker);
    }
    return wait_for_bytes(flow, worker);
}

void flow_init(struct flow *flow, struct pair *pair)
{
    memset(flow, 0, sizeof *flow);
    flow->pair = pair;
    flow->op.owner = flow;
    flow->op.sock = SOCK_NONE;
    flow->source = SOCK_NONE;
    flow->sink = SOCK_NONE;
}

void flow_start(struct flow *flow, sock_t source, sock_t sink, struct worker *worker)
{
    assert(flow->state == FLOW_NEW && !flow->busy);
    flow->source = source;
    flow->sink = sink;
    flow->state = FLOW_OPEN;
    flow->window_ms = worker->now_ms;
    wait_for_bytes(flow, worker);
}

enum flow_event flow_on_done(struct flow *flow, struct worker *worker)
{
    flow->busy = false;
    if (flow->state == FLOW_DEAD) {
        /* Bytes that went out although nobody waits for them any more were moved all the same. */
        if (flow->op.kind == OP_WRITE && flow->op.bytes > 0)
            count_bytes(flow, worker, flow->op.bytes);
        return die(flow, worker, FLOW_ENDED);
    }
    assert(flow->state == FLOW_OPEN);
    return flow->op.kind == OP_WRITE ? on_write(flow, worker) : on_read(flow, worker);
}

void flow_kill(struct flow *flow, struct worker *worker)
{
    flow->state = FLOW_DEAD;
    if (!flow->busy)
        give_buffer(flow, worker);
}

void flow_get_info(const struct flow *flow, uint64_t now_ms, struct server_flow_info *out)
{
    memset(out, 0, sizeof *out);
    out->bytes = flow->bytes;
    out->writes = flow->writes;
    out->finished = flow->state == FLOW_SHUT;

    uint64_t elapsed = elapsed_ms(now_ms, flow->window_ms);
    if (elapsed < RATE_WINDOW_MS)
        out->bytes_per_s = flow->bytes_per_s;
    else if (elapsed < 2 * RATE_WINDOW_MS)
        out->bytes_per_s = flow->window_bytes * 1000 / elapsed;

    if (flow_writes(flow)) {
        out->waiting = flow->len;
        out->waiting_ms = (uint32_t)elapsed_ms(now_ms, flow->waiting_ms);
    }
}
