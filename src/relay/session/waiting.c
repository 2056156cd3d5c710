#include "relay/session/waiting.h"

#include "relay/core/elapsed.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/session/pair_private.h"

static struct connect_step failed(const struct pair *pair, enum reason reason)
{
    /* Who has counted as a session was not refused, but waited in vain. */
    if (pair->counted_session && reason_is_refusal(reason))
        reason = REASON_HOLD_TIMEOUT;
    return (struct connect_step){CONNECT_FAILED, reason};
}

uint64_t waiting_left_ms(const struct pair *pair, uint64_t now_ms, enum reason *over)
{
    struct relay_route *route = pair->route;
    const struct conf_route *conf = route->conf;
    uint64_t closed_ms =
        elapsed_ms(throttle_on_ms(&route->throttle, now_ms), pair->wait.throttled_ms);
    uint64_t waited_ms = elapsed_ms(now_ms, pair->wait.held_ms);
    if (throttle_is_on(&route->throttle)) {
        *over = REASON_PAUSE_TIMEOUT;
        return elapsed_ms(conf->pause_timeout_ms, closed_ms);
    }
    *over = REASON_HOLD_TIMEOUT;
    /* Else it is on its way to its turn, and what comes of that decides. */
    return conf->when_down != CONF_HOLD
               ? UINT64_MAX
               : elapsed_ms(conf->hold_ms, elapsed_ms(waited_ms, closed_ms));
}

void waiting_listen(struct pair *pair, struct worker *worker)
{
    if (!flow_reads(&pair->up) && !pair->wait.has_left && pair->up.early < BUFFER_SMALLEST)
        flow_wait_early(&pair->up, pair->client.sock, worker);
}

enum waiting_event waiting_on_done(struct pair *pair, struct worker *worker)
{
    if (!flow_take_early(&pair->up)) {
        pair->up.err = pair->up.op.err;
        return WAITING_FAILED;
    }
    if (pair->phase == PHASE_CONNECT && pair->attempt.state != ATTEMPT_WAITS)
        return WAITING_GOES_ON;
    switch (flow_listen_early(&pair->up, pair->client.sock, worker)) {
    case FLOW_EARLY_WAITS:
    case FLOW_EARLY_FULL: return WAITING_GOES_ON;
    case FLOW_EARLY_FAILED: return WAITING_FAILED;
    case FLOW_EARLY_FIN: break;
    }
    if (pair->up.early == 0)
        return WAITING_LEFT;
    queue_leave(&pair->route->queue, pair);
    return WAITING_GOES_ON;
}

struct connect_step waiting_begin(struct pair *pair, struct worker *worker,
                                  enum reason otherwise, bool must)
{
    struct relay_route *route = pair->route;
    bool holds = route->conf->when_down == CONF_HOLD;
    enum reason over;
    if (!holds && !must)
        return failed(pair, otherwise);
    if (pair->wait.held_ms == 0) {
        pair->wait.held_ms = worker->now_ms;
        pair->wait.throttled_ms = throttle_on_ms(&route->throttle, worker->now_ms);
    }
    if (waiting_left_ms(pair, worker->now_ms, &over) == 0)
        return failed(pair, over);
    enum reason why = queue_add(&route->queue, pair);
    if (why == REASON_QUEUE_DISPLACED)
        return failed(pair, why);
    if (why != REASON_NONE)
        return failed(pair, pair->counted_session ? otherwise : why);
    waiting_listen(pair, worker);
    pair->wait.was_held = true;
    pair->phase = PHASE_HELD;
    /* It begins anew with its next turn. */
    pair->attempt.tries_before += pair->attempt.cursor.tries;
    pair->attempt.cursor = (struct route_cursor){0};
    /* Where nobody is held for want of an upstream, it may still be refused for that. */
    if (holds)
        pair_count_session(pair, worker);
    return (struct connect_step){CONNECT_HELD, REASON_NONE};
}
