#include "relay/pair.h"

#include <assert.h>
#include <stddef.h>

#include "relay/connecting.h"
#include "relay/elapsed.h"
#include "relay/hello.h"
#include "relay/pair_private.h"
#include "relay/refuse.h"
#include "relay/relay.h"
#include "relay/worker.h"

/* How often a timer looks for what no operation would report (see pair.h). */
#define LOOK_SOON_MS  250   /* connecting, half-closed */
#define LOOK_HELD_MS  1000  /* waiting for an upstream */
#define LOOK_STALL_MS 1000  /* a sink takes nothing */
#define LOOK_DATA_MS  10000 /* both directions are open */
#define LOOK_FLUSH_MS 32    /* a reset waits until the last bytes are out; a second long */
#define LOOK_CLOSE_MS 1000  /* closing, or too late: cancel again, should anything be left */

#define LOOK_FLUSH_FOR_MS 1000
#define SECOND_MS         1000

/* Where the system does not tell what is still unsent, a reset waits this long after the last
 * byte, so that the reset does not overtake it. */
#define FLUSH_GUESS_MS 200

static struct flow *flow_from(struct pair *pair, const struct side *side)
{
    return side == &pair->client ? &pair->up : &pair->down;
}

static struct side *other_side(struct pair *pair, const struct side *side)
{
    return side == &pair->client ? &pair->upstream : &pair->client;
}

/* ---- what follows from the state ---- */

static void arm(struct pair *pair, struct worker *worker, uint64_t in_ms)
{
    if (pair->end_wanted)
        return; /* it is armed for now, and not to be put off */
    timers_arm(&worker->relay->timers, &pair->timer, worker->now_ms + in_ms);
}

/* Looks that may be late fall on whole seconds, so that all sessions share one wakeup. */
static void arm_on_second(struct pair *pair, struct worker *worker, uint64_t in_ms)
{
    uint64_t due = worker->now_ms + in_ms;
    arm(pair, worker, in_ms + (SECOND_MS - due % SECOND_MS) % SECOND_MS);
}

/* Since when nothing has moved, for the deadlines. */
static uint64_t quiet_ms(const struct pair *pair, uint64_t now_ms)
{
    uint64_t since =
        pair->last_byte_ms > pair->ending_ms ? pair->last_byte_ms : pair->ending_ms;
    return elapsed_ms(now_ms, since);
}

static bool ending_is_overdue(const struct pair *pair, uint64_t now_ms)
{
    return quiet_ms(pair, now_ms) >= pair->route->conf->half_close_timeout_ms;
}

/* What the side's system still has to send; false: it does not tell. A slow reader may need
 * longer for one WRITE than a deadline lasts, but it is no less alive: that less is left than
 * at the last look is progress like a byte moved. */
static bool look_at_unsent(struct pair *pair, struct worker *worker, struct side *side,
                           uint64_t *unsent)
{
    if (!sock_unsent(side->sock, unsent))
        return false;
    if (*unsent < side->unsent)
        pair->last_byte_ms = worker->now_ms;
    side->unsent = *unsent;
    return true;
}

/* True when a reset of this side would not overtake bytes that were handed to its system. */
static bool is_delivered(struct pair *pair, struct worker *worker, struct side *side)
{
    uint64_t unsent;
    if (look_at_unsent(pair, worker, side, &unsent))
        return unsent == 0;
    return elapsed_ms(worker->now_ms, pair->last_byte_ms) >= FLUSH_GUESS_MS;
}

/* One side is broken: the other one gets what came before, then a reset as well. */
static void pass_reset_on(struct pair *pair, struct worker *worker)
{
    struct side *broken = pair->client.reset ? &pair->client : &pair->upstream;
    struct side *other = other_side(pair, broken);
    if (other->reset || other->sock == SOCK_NONE || pair->phase < PHASE_DATA) {
        pair_begin_closing(pair, worker);
        return;
    }
    bool rest_moves = flow_from(pair, broken)->state == FLOW_OPEN;
    bool delivered = is_delivered(pair, worker, other) && !rest_moves;
    if (delivered || ending_is_overdue(pair, worker->now_ms)) {
        pair_begin_closing(pair, worker);
        return;
    }
    bool soon = !rest_moves && quiet_ms(pair, worker->now_ms) < LOOK_FLUSH_FOR_MS;
    arm(pair, worker, soon ? LOOK_FLUSH_MS : LOOK_SOON_MS);
}

/* Every event ends here. True when the pair was released. */
static bool review(struct pair *pair, struct worker *worker)
{
    if (!pair->closing && (pair->client.reset || pair->upstream.reset))
        pass_reset_on(pair, worker);
    if (!pair->closing && pair->up.state == FLOW_SHUT && pair->down.state == FLOW_SHUT)
        pair_begin_closing(pair, worker);
    if (!pair->closing)
        return false;
    if (pair->in_flight == 0) {
        pair_release(pair, worker);
        return true;
    }
    arm(pair, worker, LOOK_CLOSE_MS);
    return false;
}

/* Unlocks after an event and does what must not be done under the lock. */
static void leave(struct pair *pair, struct worker *worker, bool released)
{
    os_mutex_unlock(&pair->lock);
    connecting_log(worker);
    hello_log(worker);
    if (released)
        pair_bury(pair, worker);
}

/* Wakes for the deadline of what a client without an upstream waits for, or before to look
 * after it. */
static void arm_waiting(struct pair *pair, struct worker *worker)
{
    uint64_t due_ms = pair->connect_due_ms, most = LOOK_SOON_MS;
    if (pair->phase == PHASE_HELD) {
        due_ms = pair->hold_due_ms;
        most = LOOK_HELD_MS;
    } else if (pair->phase != PHASE_CONNECT) {
        return;
    }
    uint64_t left = due_ms > worker->now_ms ? due_ms - worker->now_ms : 0;
    /* Of a try that was cancelled the completion is on its way. */
    arm(pair, worker, left < most && !pair->timed_out ? left : most);
}

/* ---- events ---- */

static void begin_ending(struct pair *pair, struct worker *worker)
{
    if (pair->ending_ms == 0)
        pair->ending_ms = worker->now_ms;
}

static enum reason failure_reason(bool client, enum err err)
{
    switch (err) {
    case ERR_RESET:
    case ERR_ABORTED:
    case ERR_CLOSED: return client ? REASON_CLIENT_RESET : REASON_UPSTREAM_RESET;
    case ERR_TIMEDOUT:
    case ERR_UNREACHABLE: return client ? REASON_CLIENT_LOST : REASON_UPSTREAM_LOST;
    default: return client ? REASON_CLIENT_ERROR : REASON_UPSTREAM_ERROR;
    }
}

/* The peer is gone, and this machine works. */
static bool is_of_the_peer(enum reason reason)
{
    return reason == REASON_CLIENT_RESET || reason == REASON_UPSTREAM_RESET ||
           reason == REASON_CLIENT_LOST || reason == REASON_UPSTREAM_LOST;
}

static void on_side_failed(struct pair *pair, struct worker *worker, struct side *side,
                           enum err err)
{
    if (side->reset)
        return;
    enum reason reason = failure_reason(side == &pair->client, err);
    if (!is_of_the_peer(reason)) {
        pair_cut(pair, worker, reason); /* both peers live, and nothing can be passed on */
        return;
    }
    pair_note_reason(pair, reason);
    side->reset = true;
    other_side(pair, side)->abort = true;
    begin_ending(pair, worker);
    flow_from(pair, side)->source_broken = true;
    /* Nobody is left to take what flows towards it. */
    flow_kill(flow_from(pair, other_side(pair, side)), worker);
}

static void on_finished(struct pair *pair, struct worker *worker, const struct flow *flow)
{
    pair_note_reason(pair, flow == &pair->up ? REASON_CLIENT_FIN : REASON_UPSTREAM_FIN);
    pair->phase = PHASE_HALF_CLOSED;
    begin_ending(pair, worker);
    arm(pair, worker, LOOK_SOON_MS);
}

static void start_flows(struct pair *pair, struct worker *worker)
{
    pair->phase = PHASE_DATA;
    pair->last_byte_ms = worker->now_ms;
    flow_start(&pair->down, pair->upstream.sock, pair->client.sock, worker);
    flow_start(&pair->up, pair->client.sock, pair->upstream.sock, worker);
}

static void on_connect_step(struct pair *pair, struct worker *worker, struct connect_step step)
{
    switch (step.state) {
    case CONNECT_RUNS:
    case CONNECT_HELD: break; /* its completion, its turn or the timer goes on */
    case CONNECT_STANDS: start_flows(pair, worker); break;
    case CONNECT_FAILED: pair_cut(pair, worker, step.reason); break;
    }
}

static void on_flow_event(struct pair *pair, struct worker *worker, struct flow *flow,
                          enum flow_event event)
{
    bool up = flow == &pair->up;
    switch (event) {
    case FLOW_GOES_ON:
    case FLOW_ENDED: break; /* review() sees what that means for the pair */
    case FLOW_FINISHED: on_finished(pair, worker, flow); break;
    case FLOW_SOURCE_FAILED:
        on_side_failed(pair, worker, up ? &pair->client : &pair->upstream, flow->err);
        break;
    case FLOW_SINK_FAILED:
        on_side_failed(pair, worker, up ? &pair->upstream : &pair->client, flow->err);
        break;
    case FLOW_NO_MEMORY:
        on_side_failed(pair, worker, up ? &pair->client : &pair->upstream, ERR_NOMEM);
        break;
    }
}

static void arm_hello(struct pair *pair, struct worker *worker)
{
    uint64_t due_ms = pair->connect_due_ms;
    arm(pair, worker, due_ms > worker->now_ms ? due_ms - worker->now_ms : 0);
}

static void on_hello_step(struct pair *pair, struct worker *worker, struct hello_step step)
{
    switch (step.state) {
    case HELLO_WAITS: break; /* its READ or the timer goes on */
    case HELLO_DONE:
        on_connect_step(pair, worker, connecting_first(pair, worker));
        arm_waiting(pair, worker);
        break;
    case HELLO_REFUSED:
        /* Else the client itself has left, or the guard has noted it. */
        if (reason_is_refusal(step.reason) && !reason_is_of_guard(step.reason))
            worker->hello_refusal = (struct hello_refusal){
                .route = pair->route,
                .client = pair->client.peer,
                .reason = step.reason,
                .why = worker->hello_why,
            };
        pair_cut(pair, worker, step.reason);
        if (refuse_is_fin(pair->route->conf, step.reason))
            pair->client.abort = false;
        break;
    }
    worker->hello_why = NULL;
}

static void on_flow_done(struct pair *pair, struct worker *worker, struct flow *flow)
{
    if (pair->phase != PHASE_ACCEPT)
        on_flow_event(pair, worker, flow, flow_on_done(flow, worker));
    else if (!pair->closing)
        on_hello_step(pair, worker, hello_on_done(pair, worker));
}

void pair_on_done(struct worker *worker, struct flow *flow)
{
    struct pair *pair = flow->pair;
    os_mutex_lock(&pair->lock);
    assert(!pair->released && pair->in_flight > 0);
    pair->in_flight--;
    if (flow->op.kind == OP_CONNECT) {
        if (!pair->closing)
            on_connect_step(pair, worker, connecting_on_done(pair, worker));
    } else {
        on_flow_done(pair, worker, flow);
    }
    leave(pair, worker, review(pair, worker));
}

/* ---- the timer ---- */

/* A side that no READ waits on may be broken without anybody noticing. */
static void look_for_reset(struct pair *pair, struct worker *worker, struct side *side)
{
    if (!side->reset && !flow_reads(flow_from(pair, side)) && sock_peer_reset(side->sock))
        on_side_failed(pair, worker, side, ERR_RESET);
}

static void look_at_connecting(struct pair *pair, struct worker *worker)
{
    look_for_reset(pair, worker, &pair->client);
    if (pair->client.reset)
        return;
    on_connect_step(pair, worker, connecting_look(pair, worker));
    arm_waiting(pair, worker);
}

static void look_at_hello(struct pair *pair, struct worker *worker)
{
    if (worker->now_ms < pair->connect_due_ms) {
        arm_hello(pair, worker);
        return;
    }
    on_hello_step(pair, worker, hello_late(pair, worker));
    if (pair->phase == PHASE_ACCEPT)
        arm(pair, worker, LOOK_CLOSE_MS); /* its READ is being cancelled */
}

static void look_at_held(struct pair *pair, struct worker *worker)
{
    look_for_reset(pair, worker, &pair->client);
    if (pair->client.reset)
        return;
    if (worker->now_ms >= pair->hold_due_ms)
        pair_cut(pair, worker, REASON_HOLD_TIMEOUT);
    else
        arm_waiting(pair, worker);
}

static void look_at_sinks(struct pair *pair, struct worker *worker)
{
    uint64_t unsent;
    if (flow_writes(&pair->up))
        (void)look_at_unsent(pair, worker, &pair->upstream, &unsent);
    if (flow_writes(&pair->down))
        (void)look_at_unsent(pair, worker, &pair->client, &unsent);
}

/* Only a session that lasts needs it: most of the system calls of a short one would be these. */
static void set_keepalive(struct pair *pair)
{
    const struct conf_route *conf = pair->route->conf;
    if (pair->keepalive)
        return;
    pair->keepalive = true;
    sock_set_keepalive(pair->client.sock, conf->keepalive_idle_ms, conf->keepalive_interval_ms);
    sock_set_keepalive(pair->upstream.sock, conf->keepalive_idle_ms,
                       conf->keepalive_interval_ms);
}

static void look_at_data(struct pair *pair, struct worker *worker)
{
    set_keepalive(pair);
    flow_look(&pair->up, worker);
    flow_look(&pair->down, worker);
    uint64_t next = LOOK_DATA_MS;
    if (flow_writes(&pair->up) || flow_writes(&pair->down)) {
        look_at_sinks(pair, worker);
        look_for_reset(pair, worker, &pair->client);
        look_for_reset(pair, worker, &pair->upstream);
        next = LOOK_STALL_MS;
    }
    uint64_t idle_timeout = pair->route->conf->idle_timeout_ms;
    uint64_t quiet = quiet_ms(pair, worker->now_ms);
    if (idle_timeout > 0 && quiet >= idle_timeout) {
        pair_cut(pair, worker, REASON_IDLE_TIMEOUT);
        return;
    }
    if (idle_timeout > 0 && idle_timeout - quiet < next + SECOND_MS)
        arm(pair, worker, idle_timeout - quiet);
    else
        arm_on_second(pair, worker, next);
}

static void look_at_half_closed(struct pair *pair, struct worker *worker)
{
    look_at_sinks(pair, worker);
    if (ending_is_overdue(pair, worker->now_ms)) {
        pair_cut(pair, worker, REASON_HALF_CLOSE_TIMEOUT);
        return;
    }
    flow_look(&pair->up, worker);
    flow_look(&pair->down, worker);
    look_for_reset(pair, worker, &pair->client);
    look_for_reset(pair, worker, &pair->upstream);
    arm(pair, worker, LOOK_SOON_MS);
}

static void look(struct pair *pair, struct worker *worker)
{
    if (pair->end_wanted) {
        pair->end_wanted = false;
        pair_cut(pair, worker, pair->reason);
        return;
    }
    if (pair->closing) {
        pair_begin_closing(pair, worker);
        return;
    }
    if (pair->client.reset || pair->upstream.reset) {
        look_for_reset(pair, worker, &pair->client);
        look_for_reset(pair, worker, &pair->upstream);
        return; /* review() passes it on and arms the timer */
    }
    switch (pair->phase) {
    case PHASE_ACCEPT: look_at_hello(pair, worker); break;
    case PHASE_HELD: look_at_held(pair, worker); break;
    case PHASE_CONNECT: look_at_connecting(pair, worker); break;
    case PHASE_DATA: look_at_data(pair, worker); break;
    case PHASE_HALF_CLOSED: look_at_half_closed(pair, worker); break;
    }
}

static struct pair *pair_of(struct timer *timer)
{
    return (struct pair *)((char *)timer - offsetof(struct pair, timer));
}

static void on_timer_hold(struct timer *timer)
{
    pair_hold(pair_of(timer));
}

static void on_timer(struct timer *timer, struct worker *worker)
{
    struct pair *pair = pair_of(timer);
    os_mutex_lock(&pair->lock);
    bool released = false;
    if (!pair->released) {
        look(pair, worker);
        released = review(pair, worker);
    }
    leave(pair, worker, released);
    pair_unhold(pair);
}

static const struct timer_kind pair_timer = {.hold = on_timer_hold, .fire = on_timer};

void pair_init_timer(struct pair *pair)
{
    timer_init(&pair->timer, &pair_timer);
}

enum reason pair_first_step(struct pair *pair, struct worker *worker)
{
    os_mutex_lock(&pair->lock);
    table_add(&worker->relay->table, pair);
    on_hello_step(pair, worker, hello_begin(pair, worker));
    if (!pair->closing && pair->phase == PHASE_ACCEPT)
        arm_hello(pair, worker);
    enum reason reason = pair->reason;
    leave(pair, worker, review(pair, worker));
    return reason;
}

bool pair_serve(struct pair *pair, struct worker *worker)
{
    os_mutex_lock(&pair->lock);
    if (pair->released || pair->closing || pair->phase != PHASE_HELD) {
        os_mutex_unlock(&pair->lock);
        return true;
    }
    struct connect_step step = connecting_serve(pair, worker);
    bool taken = step.state != CONNECT_HELD;
    on_connect_step(pair, worker, step);
    /* One that waits on keeps its timer, or many turns in vain would put its looks off for
     * ever. */
    if (taken)
        arm_waiting(pair, worker);
    leave(pair, worker, review(pair, worker));
    return taken;
}
