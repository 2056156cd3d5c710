#include "relay/session/flow.h"

#include <assert.h>
#include <string.h>

#include "relay/core/elapsed.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/queue/pace.h"
#include "relay/relay.h"
#include "relay/server_info.h"
#include "relay/session/flow_pace.h"
#include "relay/session/flow_private.h"

/* A flow begins with small receives; each that is filled and sent on at once makes the next one
 * larger, up to buffer_size: a large receive costs much less for a byte. */
#define FLOW_ROOM_FIRST  (16 * 1024u)
#define FLOW_ROOM_FACTOR 4u

/* A sink that needs this long for what was left over is slow: back to small receives, so that
 * many slow sinks do not hold much memory. */
#define FLOW_SLOW_MS 50

/* Hot is a flow whose bytes, but its first, came within this time of being waited for, and were
 * less than its buffer has room for. A game that sends more rarely would save few calls; what
 * comes in larger pieces saves none, since the rest has to be received all the same; and many a
 * session has only one message. */
#define FLOW_HOT_MS       250
#define FLOW_MESSAGE_ROOM BUFFER_SMALLEST

/* A READ that has waited in a buffer for so long gives it back. */
#define FLOW_IDLE_MS 2000

/* A flow that waits since memory is out tries again after so long. */
#define FLOW_NO_BUFFER_MS 100

/* Moved in one turn before others have theirs. */
#define FLOW_TURN_BYTES (1024 * 1024u)

/* Runs only where the port reads into buffers, so it is kept out of the code of each message. */
#define ASIDE __attribute__((noinline, cold))

/* Runs once per message, so it is inlined. */
#define INLINE static inline __attribute__((always_inline))

static const struct flow *opposite_of(const struct flow *flow)
{
    return flow_is_up(flow) ? &flow->pair->down : &flow->pair->up;
}

static void give_buffer(struct flow *flow, struct worker *worker)
{
    buffers_give(&worker->relay->buffers, &worker->cache, &flow->buffer);
}

static enum flow_event die(struct flow *flow, struct worker *worker, enum flow_event event,
                           enum err err)
{
    flow->state = FLOW_DEAD;
    flow->err = err;
    flow->park = FLOW_NOT_PARKED;
    give_buffer(flow, worker);
    return event;
}

/* Gives the READ that follows a buffer, if the flow is hot and there is one. */
ASIDE static void choose_room(struct flow *flow, struct worker *worker, uint32_t moved)
{
    bool hot = moved > 0 && moved < FLOW_MESSAGE_ROOM && flow->writes > 1 &&
               elapsed_ms(worker->now_ms, flow->waiting_ms) < FLOW_HOT_MS;
    if (!hot)
        give_buffer(flow, worker);
    else if (flow->buffer.bytes == NULL)
        flow->buffer = buffers_take(&worker->relay->buffers, &worker->cache, FLOW_MESSAGE_ROOM);
    if (flow->buffer.bytes != NULL) {
        flow->op.buf = flow->buffer.bytes;
        flow->op.len = FLOW_MESSAGE_ROOM;
    }
    flow->recalled = false;
    flow->waiting_ms = worker->now_ms;
}

/* Waits until the source has something; `moved` bytes were sent on since the last wait. */
static enum flow_event wait_for_bytes(struct flow *flow, struct worker *worker, uint32_t moved)
{
    flow->op.buf = NULL;
    flow->op.len = 0;
    if (worker->relay->reads_into_buffers)
        choose_room(flow, worker, moved);
    flow_submit(flow, worker, OP_READ, flow->source);
    return FLOW_GOES_ON;
}

/* FIN: everything before it was taken by the sink's system, so it can follow at once. */
static enum flow_event finish(struct flow *flow, struct worker *worker)
{
    if (flow->source_broken)
        return die(flow, worker, FLOW_SOURCE_FAILED, ERR_RESET);
    flow->state = FLOW_SHUT;
    give_buffer(flow, worker);
    /* The second FIN of a session goes out with the close that follows. A sink that is gone
     * already shows in the opposite flow; nothing is left to do here. */
    if (opposite_of(flow)->state != FLOW_SHUT)
        (void)sock_shutdown_send(flow->sink);
    return FLOW_FINISHED;
}

static void count_bytes(struct flow *flow, struct worker *worker, uint32_t bytes)
{
    const struct relay_route *route = flow->pair->route;
    size_t scopes[] = {route->scope,
                       route->upstreams.each[flow->pair->attempt.upstream_index]->scope};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++) {
        stat_add(worker->relay->stat, worker->number, scopes[i],
                 flow_is_up(flow) ? STAT_BYTES_UP : STAT_BYTES_DOWN, bytes);
        stat_add(worker->relay->stat, worker->number, scopes[i],
                 flow_is_up(flow) ? STAT_WRITES_UP : STAT_WRITES_DOWN, 1);
    }

    flow->bytes += bytes;
    flow->writes++;
    uint64_t elapsed = elapsed_ms(worker->now_ms, flow->window_ms);
    if (elapsed >= FLOW_WINDOW_MS) {
        flow->bytes_per_s = flow->window_bytes * 1000 / elapsed;
        flow->window_ms = worker->now_ms;
        flow->window_bytes = 0;
    }
    flow->window_bytes += bytes;
    flow->pair->deadlines.last_byte_ms = worker->now_ms;
}

/* Waits until the sink has taken these bytes of the flow's buffer. */
static enum flow_event send_rest(struct flow *flow, struct worker *worker, unsigned char *rest,
                                 uint32_t len)
{
    flow->waiting_ms = worker->now_ms;
    flow->op.buf = rest;
    flow->op.len = len;
    flow_submit(flow, worker, OP_WRITE, flow->sink);
    return FLOW_STALLS;
}

static enum flow_event park(struct flow *flow, struct worker *worker, enum flow_park why)
{
    if (flow->kept == 0)
        give_buffer(flow, worker);
    flow->park = why;
    flow->parked_ms = worker->now_ms;
    return FLOW_PARKED;
}

/* There is no buffer, or the worker has no reserve: then the rest was not received. */
ASIDE static enum flow_event keep_without_buffer(struct flow *flow, struct worker *worker,
                                                 const struct port_move *move)
{
    uint32_t len = move->got - move->sent;
    if (move->left > 0) {
        flow_log_no_buffer(flow, worker, len, "its bytes wait with the system");
        flow->park_until_ms = worker->now_ms + FLOW_NO_BUFFER_MS;
        return park(flow, worker, FLOW_NO_BUFFER);
    }
    size_t at = (size_t)(move->rest - worker->cache.scratch);
    flow_log_no_buffer(flow, worker, len, "the worker's reserve is used");
    flow->buffer = buffers_keep_scratch(&worker->cache);
    return send_rest(flow, worker, flow->buffer.bytes + at, len);
}

/* The sink has no room for all of it right now: keeps the rest and waits. */
static enum flow_event keep_rest(struct flow *flow, struct worker *worker,
                                 const struct port_move *move)
{
    uint32_t len = move->got - move->sent;
    if (move->left == 0)
        flow->buffer = buffers_take(&worker->relay->buffers, &worker->cache, len);
    if (flow->buffer.bytes == NULL)
        return keep_without_buffer(flow, worker, move);
    memcpy(flow->buffer.bytes, move->rest, len);
    return send_rest(flow, worker, flow->buffer.bytes, len);
}

static uint32_t first_room(const struct flow *flow)
{
    uint32_t most = flow->pair->route->conf->buffer_bytes;
    return most < FLOW_ROOM_FIRST ? most : FLOW_ROOM_FIRST;
}

static uint32_t grow_room(struct flow *flow)
{
    uint32_t most = flow->pair->route->conf->buffer_bytes;
    flow->room = flow->room < most / FLOW_ROOM_FACTOR ? flow->room * FLOW_ROOM_FACTOR : most;
    return flow->room;
}

/* What is received now and has to be kept finds a place. */
INLINE bool has_place(struct worker *worker)
{
    return buffers_have_reserve(&worker->cache) ||
           buffers_refill(&worker->relay->buffers, &worker->cache, worker->now_ms);
}

/* Receives up to `most` bytes and sends them on. False: *event is what that came to, when
 * `moved` bytes were moved before in this turn. */
INLINE bool move_piece(struct flow *flow, struct worker *worker, uint32_t most, uint32_t moved,
                       struct port_move *move, enum flow_event *event)
{
    enum err err = has_place(worker)
                       ? port_move_now(worker->relay->port, flow->source, flow->sink,
                                       worker->cache.scratch, most, move)
                       : flow_move_taken(flow, worker, most, move);
    if (err == ERR_AGAIN) {
        *event = wait_for_bytes(flow, worker, moved);
        return false;
    }
    if (err != ERR_OK) {
        *event = die(flow, worker, FLOW_SOURCE_FAILED, err);
        return false;
    }
    if (move->got == 0) {
        *event = finish(flow, worker);
        return false;
    }

    if (move->sent > 0)
        count_bytes(flow, worker, move->sent);
    if (move->send_err != ERR_OK) {
        *event = die(flow, worker, FLOW_SINK_FAILED, move->send_err);
        return false;
    }
    if (move->sent < move->got) {
        *event = keep_rest(flow, worker, move);
        return false;
    }
    return true;
}

static enum flow_event park_paced(struct flow *flow, struct worker *worker)
{
    const struct relay_route *route = flow->pair->route;
    size_t scopes[] = {route->scope,
                       route->upstreams.each[flow->pair->attempt.upstream_index]->scope};
    for (size_t i = 0; i < sizeof scopes / sizeof scopes[0]; i++)
        stat_add(worker->relay->stat, worker->number, scopes[i], STAT_PACED, 1);

    enum flow_park why = FLOW_PACED_SESSION;
    uint64_t until = flow_pace_wait(flow, worker->now_ms, &why);
    /* Where several share a timer slot, or nothing is missing any more, it is the next one. */
    uint64_t soonest = worker->now_ms + WHEEL_SLOT_MS;
    flow->park_until_ms = until > soonest ? until : soonest;
    return park(flow, worker, why);
}

/* pump() where something holds the flow back. */
ASIDE static enum flow_event pump_paced(struct flow *flow, struct worker *worker,
                                        uint32_t moved)
{
    while (moved < FLOW_TURN_BYTES) {
        if (pace_is_frozen(flow->pair->route))
            return park(flow, worker, FLOW_FROZEN);
        uint32_t most = flow_pace_room(flow, flow->room, worker->now_ms);
        if (most == 0)
            return park_paced(flow, worker);
        struct port_move move = {.got = 0};
        enum flow_event event;
        bool goes_on = move_piece(flow, worker, most, moved, &move, &event);
        flow_pace_passed(flow, move.got - move.left, worker->now_ms);
        if (!goes_on)
            return event;
        moved += move.got;
        if (move.drained)
            break;
        if (move.got == flow->room)
            (void)grow_room(flow);
    }
    return wait_for_bytes(flow, worker, moved);
}

/* Moves bytes as long as they come and go at once, within limits: others want their turn, of
 * which `moved` bytes are used up already. */
static enum flow_event pump(struct flow *flow, struct worker *worker, uint32_t moved)
{
    if (flow_pace_is_on(flow->pair->route))
        return pump_paced(flow, worker, moved);
    uint32_t room = flow->room;
    while (moved < FLOW_TURN_BYTES) {
        struct port_move move;
        enum flow_event event;
        if (!move_piece(flow, worker, room, moved, &move, &event))
            return event;
        moved += move.got;
        if (move.drained)
            break; /* or the next READ says at once that it was not all */
        if (move.got == room)
            room = grow_room(flow);
        else
            room = first_room(flow); /* most likely nothing is left */
    }
    return wait_for_bytes(flow, worker, moved);
}

/* It must not wait in a buffer for more, or small messages would pass without being asked. */
ASIDE static bool is_out_of_room(const struct flow *flow, const struct worker *worker)
{
    return flow_pace_is_on(flow->pair->route) &&
           flow_pace_room(flow, FLOW_MESSAGE_ROOM, worker->now_ms) == 0;
}

/* A message is in the flow's own buffer, or FIN came. */
ASIDE static enum flow_event on_message(struct flow *flow, struct worker *worker, uint32_t got)
{
    if (got == 0)
        return finish(flow, worker);
    if (flow_pace_is_on(flow->pair->route)) {
        if (pace_is_frozen(flow->pair->route)) {
            flow->kept = got;
            return park(flow, worker, FLOW_FROZEN);
        }
        flow_pace_passed(flow, got, worker->now_ms);
    }
    uint32_t sent;
    enum err err =
        port_send_now(worker->relay->port, flow->sink, flow->buffer.bytes, got, &sent);
    if (err != ERR_OK)
        return die(flow, worker, FLOW_SINK_FAILED, err);
    if (sent > 0)
        count_bytes(flow, worker, sent);
    if (sent < got)
        return send_rest(flow, worker, flow->buffer.bytes + sent, got - sent);
    if (got < flow->op.len && !is_out_of_room(flow, worker))
        return wait_for_bytes(flow, worker, got); /* most likely nothing is left */
    give_buffer(flow, worker);
    return pump(flow, worker, got);
}

static enum flow_event on_read(struct flow *flow, struct worker *worker)
{
    const struct op *op = &flow->op;
    if (op->err == ERR_OK)
        return op->len == 0 ? pump(flow, worker, 0) : on_message(flow, worker, op->bytes);
    if (op->err == ERR_CANCELLED && flow->recalled)
        return wait_for_bytes(flow, worker, 0);
    return die(flow, worker, FLOW_SOURCE_FAILED, op->err);
}

static enum flow_event on_write(struct flow *flow, struct worker *worker)
{
    const struct op *op = &flow->op;
    if (op->bytes > 0)
        count_bytes(flow, worker, op->bytes);
    if (op->err != ERR_OK)
        return die(flow, worker, FLOW_SINK_FAILED, op->err);
    assert(op->bytes == op->len);
    give_buffer(flow, worker);
    if (elapsed_ms(worker->now_ms, flow->waiting_ms) >= FLOW_SLOW_MS)
        flow->room = first_room(flow);
    return pump(flow, worker, 0);
}

/* Sends what came before the upstream was connected. */
static enum flow_event send_early(struct flow *flow, struct worker *worker)
{
    flow_pace_passed(flow, flow->early, worker->now_ms);
    return send_rest(flow, worker, flow->buffer.bytes, flow->early);
}

void flow_start(struct flow *flow, sock_t source, sock_t sink, struct worker *worker)
{
    assert(flow->state == FLOW_NEW);
    flow->source = source;
    flow->sink = sink;
    flow->window_ms = worker->now_ms;
    flow->waiting_ms = worker->now_ms;
    flow->room = first_room(flow);
    if (flow->busy && flow->early > 0) {
        port_cancel(worker->relay->port, source); /* the rest follows when it is out */
        return;
    }
    flow->state = FLOW_OPEN;
    if (flow->busy)
        return; /* it waits for bytes already */
    if (flow->early > 0)
        send_early(flow, worker);
    else if (pace_is_frozen(flow->pair->route))
        park(flow, worker, FLOW_FROZEN);
    else
        wait_for_bytes(flow, worker, 0);
}

/* A flow is not open when its operation comes out: it was given up, or has started while the READ
 * of a client that had waited was in flight. That one has taken nothing, whatever came of it. */
ASIDE static enum flow_event on_done_aside(struct flow *flow, struct worker *worker)
{
    if (flow->state == FLOW_NEW) {
        flow->state = FLOW_OPEN;
        return send_early(flow, worker);
    }
    assert(flow->state == FLOW_DEAD);
    /* Bytes that went out although nobody waits for them any more were moved all the same. */
    if (flow->op.kind == OP_WRITE && flow->op.bytes > 0)
        count_bytes(flow, worker, flow->op.bytes);
    return die(flow, worker, FLOW_ENDED, flow->err);
}

enum flow_event flow_on_done(struct flow *flow, struct worker *worker)
{
    flow->busy = false;
    if (flow->state != FLOW_OPEN)
        return on_done_aside(flow, worker);
    return flow->op.kind == OP_WRITE ? on_write(flow, worker) : on_read(flow, worker);
}

enum flow_event flow_go_on(struct flow *flow, struct worker *worker)
{
    assert(flow->state == FLOW_OPEN && !flow->busy && flow->park != FLOW_NOT_PARKED);
    flow->park = FLOW_NOT_PARKED;
    uint32_t kept = flow->kept;
    flow->kept = 0;
    return kept > 0 ? on_message(flow, worker, kept) : pump(flow, worker, 0);
}

void flow_release_idle(struct flow *flow, struct worker *worker)
{
    if (!flow_reads(flow) || flow->buffer.bytes == NULL || flow->recalled ||
        elapsed_ms(worker->now_ms, flow->waiting_ms) < FLOW_IDLE_MS)
        return;
    if (flow_writes(opposite_of(flow)))
        return; /* on the same socket: it would be cancelled as well */
    flow->recalled = true;
    port_cancel(worker->relay->port, flow->source);
}

void flow_kill(struct flow *flow, struct worker *worker)
{
    if (flow->state != FLOW_SHUT)
        flow->state = FLOW_DEAD;
    flow->park = FLOW_NOT_PARKED;
    if (!flow->busy)
        give_buffer(flow, worker); /* what came early; else the operation still needs it */
}
