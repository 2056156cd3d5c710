#include "relay/pair.h"
#include "relay/server_info.h"

#include <assert.h>

#include "relay/core/worker.h"
#include "relay/guard/refuse.h"
#include "relay/relay.h"
#include "relay/session/connecting.h"
#include "relay/session/pair_private.h"
#include "relay/session/proxy_header.h"
#include "relay/session/waiting.h"

/* ---- what follows from the state ---- */

/* Every event ends here. True when the pair was released. */
static bool review(struct pair *pair, struct worker *worker)
{
    if (!pair_is_closing(pair) && (pair->client.reset || pair->upstream.reset))
        pair_pass_reset_on(pair, worker);
    if (!pair_is_closing(pair) && pair->up.state == FLOW_SHUT && pair->down.state == FLOW_SHUT)
        pair_begin_closing(pair, worker);
    if (!pair_is_closing(pair))
        return false;
    if (pair->in_flight == 0) {
        pair_release(pair, worker);
        return true;
    }
    pair_arm(pair, worker, CHECK_CLOSE_MS);
    return false;
}

/* Unlocks after an event. */
static void leave(struct pair *pair, struct worker *worker, bool released)
{
    os_mutex_unlock(&pair->lock);
    if (released)
        pair_finalize(pair, worker);
}

void pair_leave(struct pair *pair, struct worker *worker)
{
    leave(pair, worker, review(pair, worker));
}

/* ---- events ---- */

static void begin_ending(struct pair *pair, struct worker *worker)
{
    if (pair->deadlines.ending_ms == 0)
        pair->deadlines.ending_ms = worker->now_ms;
}

static enum reason failure_reason(bool client, enum err err)
{
    switch (err) {
    case ERR_RESET:
    case ERR_ABORTED:
    case ERR_CLOSED: return client ? REASON_CLIENT_RESET : REASON_UPSTREAM_RESET;
    case ERR_TIMEDOUT:
    case ERR_UNREACHABLE: return client ? REASON_CLIENT_LOST : REASON_UPSTREAM_LOST;
    case ERR_NOMEM: return REASON_SESSION_NO_MEMORY;
    default: return client ? REASON_CLIENT_ERROR : REASON_UPSTREAM_ERROR;
    }
}

/* The peer is gone, and this machine works. */
static bool is_of_the_peer(enum reason reason)
{
    return reason == REASON_CLIENT_RESET || reason == REASON_UPSTREAM_RESET ||
           reason == REASON_CLIENT_LOST || reason == REASON_UPSTREAM_LOST;
}

void pair_side_failed(struct pair *pair, struct worker *worker, struct side *side, enum err err)
{
    if (side->reset)
        return;
    enum reason reason = failure_reason(side == &pair->client, err);
    if (!is_of_the_peer(reason)) {
        pair_abort(pair, worker, reason); /* both peers live, and nothing can be passed on */
        return;
    }
    pair_note_reason(pair, reason);
    side->reset = true;
    pair_other_side(pair, side)->abort = true;
    begin_ending(pair, worker);
    pair_flow_from(pair, side)->source_broken = true;
    /* Nobody is left to take what flows towards it. */
    flow_kill(pair_flow_from(pair, pair_other_side(pair, side)), worker);
}

static void on_finished(struct pair *pair, struct worker *worker, const struct flow *flow)
{
    pair_note_reason(pair, flow == &pair->up ? REASON_CLIENT_FIN : REASON_UPSTREAM_FIN);
    pair->phase = PHASE_HALF_CLOSED;
    begin_ending(pair, worker);
    pair_arm(pair, worker, CHECK_SOON_MS);
}

static void start_flows(struct pair *pair, struct worker *worker)
{
    pair->phase = PHASE_DATA;
    pair->deadlines.last_byte_ms = worker->now_ms;
    flow_start(&pair->down, pair->upstream.sock, pair->client.sock, worker);
    flow_start(&pair->up, pair->client.sock, pair->upstream.sock, worker);
    if (pair->up.park != FLOW_NOT_PARKED || pair->down.park != FLOW_NOT_PARKED)
        pair_arm_parked(pair, worker);
}

void pair_connect_step(struct pair *pair, struct worker *worker, struct connect_step step)
{
    switch (step.state) {
    case CONNECT_RUNS:
    case CONNECT_NEXT:        /* connecting.c's own */
    case CONNECT_HELD: break; /* its completion, its turn or the timer goes on */
    case CONNECT_STANDS: start_flows(pair, worker); break;
    case CONNECT_FAILED: pair_abort(pair, worker, step.reason); break;
    }
}

void pair_flow_event(struct pair *pair, struct worker *worker, struct flow *flow,
                     enum flow_event event)
{
    bool up = flow == &pair->up;
    switch (event) {
    case FLOW_GOES_ON:
    case FLOW_ENDED: break; /* review() sees what that means for the pair */
    case FLOW_STALLS: pair_arm_stalled(pair, worker); break;
    case FLOW_PARKED: pair_arm_parked(pair, worker); break;
    case FLOW_FINISHED: on_finished(pair, worker, flow); break;
    case FLOW_SOURCE_FAILED:
        pair_side_failed(pair, worker, up ? &pair->client : &pair->upstream, flow->err);
        break;
    case FLOW_SINK_FAILED:
        pair_side_failed(pair, worker, up ? &pair->upstream : &pair->client, flow->err);
        break;
    }
}

static void admitted(struct pair *pair, struct worker *worker,
                     const struct admission *admission)
{
    pair->client_entry = admission->client;
    pair_connect_step(pair, worker, connecting_first(pair, worker, admission->must_wait));
    pair_arm_waiting(pair, worker);
}

/* `why` says more, or is NULL. */
static void refused(struct pair *pair, struct worker *worker, enum reason reason,
                    const char *why)
{
    if (reason_is_refusal(reason)) /* else the client itself has left */
        refuse_log(worker, pair->route, &pair->client.peer, reason, why);
    pair_abort(pair, worker, reason);
    if (refuse_is_fin(pair->route->conf, reason))
        pair->client.abort = false;
}

/* Its PROXY header has told who the client is. */
static void ask_for_admission(struct pair *pair, struct worker *worker, enum admission_who who)
{
    struct admission admission = {.who = who, .has_places = true};
    const struct addr *client = &pair->client.peer;
    if (admission_ask(&admission, worker, pair->route, client)) {
        admitted(pair, worker, &admission);
        return;
    }
    refused(pair, worker, admission.reason, NULL);
    if (guard_refuses(admission.guard))
        guard_apply(worker, pair->route, client, admission.guard);
}

void pair_proxy_header_step(struct pair *pair, struct worker *worker,
                            struct proxy_header_step step)
{
    switch (step.state) {
    case PROXY_HEADER_WAITS: break; /* its READ or the timer goes on */
    case PROXY_HEADER_NONE: break;  /* only at the beginning, see pair_first_step() */
    case PROXY_HEADER_LOCAL: ask_for_admission(pair, worker, ADMISSION_PROXY); break;
    case PROXY_HEADER_CLIENT: ask_for_admission(pair, worker, ADMISSION_CLIENT); break;
    case PROXY_HEADER_REFUSED: refused(pair, worker, step.reason, step.why); break;
    }
}

static void on_waiting_done(struct pair *pair, struct worker *worker)
{
    switch (waiting_on_done(pair, worker)) {
    case WAITING_GOES_ON: break;
    case WAITING_LEFT:
        pair_note_reason(pair, REASON_CLIENT_FIN);
        pair_begin_closing(pair, worker);
        break;
    case WAITING_FAILED: pair_side_failed(pair, worker, &pair->client, pair->up.err); break;
    }
}

static void on_flow_done(struct pair *pair, struct worker *worker, struct flow *flow)
{
    bool begins = pair->phase == PHASE_HELD || pair->phase == PHASE_CONNECT;
    if (begins && flow->state == FLOW_NEW)
        on_waiting_done(pair, worker);
    else if (pair->phase != PHASE_ACCEPT)
        pair_flow_event(pair, worker, flow, flow_on_done(flow, worker));
    else if (!pair_is_closing(pair))
        pair_proxy_header_step(pair, worker, proxy_header_on_done(pair, worker));
}

void pair_on_done(struct worker *worker, struct flow *flow)
{
    struct pair *pair = flow->pair;
    os_mutex_lock(&pair->lock);
    assert(pair->life != PAIR_RELEASED && pair->in_flight > 0);
    pair->in_flight--;
    if (flow->op.kind == OP_CONNECT) {
        if (!pair_is_closing(pair))
            pair_connect_step(pair, worker, connecting_on_done(pair, worker));
    } else {
        on_flow_done(pair, worker, flow);
    }
    leave(pair, worker, review(pair, worker));
}

enum reason pair_first_step(struct pair *pair, struct worker *worker,
                            const struct admission *admission)
{
    os_mutex_lock(&pair->lock);
    table_add(&worker->relay->table, pair);
    pair->client_entry = admission->client;
    struct proxy_header_step step = proxy_header_begin(pair, worker);
    if (step.state == PROXY_HEADER_NONE)
        admitted(pair, worker, admission);
    else
        pair_proxy_header_step(pair, worker, step);
    if (!pair_is_closing(pair) && pair->phase == PHASE_ACCEPT)
        pair_arm_proxy_header(pair, worker);
    enum reason reason = pair->reason;
    leave(pair, worker, review(pair, worker));
    return reason;
}

bool pair_serve(struct pair *pair, struct worker *worker)
{
    os_mutex_lock(&pair->lock);
    if (pair_is_closing(pair) || pair->phase != PHASE_HELD) {
        os_mutex_unlock(&pair->lock);
        return true;
    }
    struct connect_step step = connecting_serve(pair, worker);
    bool taken = step.state != CONNECT_HELD;
    pair_connect_step(pair, worker, step);
    /* One that waits on keeps its timer, or many turns in vain would put its checks off
     * for ever. */
    if (taken)
        pair_arm_waiting(pair, worker);
    leave(pair, worker, review(pair, worker));
    return taken;
}
