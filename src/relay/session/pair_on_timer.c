/* When a pair's timer fires: what no operation would report, and the deadlines; see pair.h. */
#include <stddef.h>

#include "relay/core/elapsed.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/server_info.h"
#include "relay/session/connecting.h"
#include "relay/session/pair_private.h"
#include "relay/session/proxy_header.h"
#include "relay/session/waiting.h"

#define LOOK_DATA_MS 10000 /* both directions are open */
#define SECOND_MS    1000

/* ---- what it looks at ---- */

/* Looks that may be late fall on whole seconds, so that all sessions share one wakeup. */
static void arm_on_second(struct pair *pair, struct worker *worker, uint64_t in_ms)
{
    uint64_t due = worker->now_ms + in_ms;
    pair_arm(pair, worker, in_ms + (SECOND_MS - due % SECOND_MS) % SECOND_MS);
}

/* A side that no READ waits on may be broken without anybody noticing. */
static void look_for_reset(struct pair *pair, struct worker *worker, struct side *side)
{
    if (!side->reset && !flow_reads(pair_flow_from(pair, side)) && sock_peer_reset(side->sock))
        pair_side_failed(pair, worker, side, ERR_RESET);
}

static void look_at_connecting(struct pair *pair, struct worker *worker)
{
    look_for_reset(pair, worker, &pair->client);
    if (pair->client.reset)
        return;
    pair_connect_step(pair, worker, connecting_look(pair, worker));
    pair_arm_waiting(pair, worker);
}

static void look_at_proxy_header(struct pair *pair, struct worker *worker)
{
    if (worker->now_ms < proxy_header_due_ms(pair) && !atomic_load(&pair->wait.displaced)) {
        pair_arm_proxy_header(pair, worker);
        return;
    }
    pair_proxy_header_step(pair, worker, proxy_header_late(pair, worker));
    if (pair->phase == PHASE_ACCEPT)
        pair_arm(pair, worker, LOOK_CLOSE_MS); /* its READ is being cancelled */
}

static void look_at_held(struct pair *pair, struct worker *worker)
{
    look_for_reset(pair, worker, &pair->client);
    if (pair->client.reset)
        return;
    enum reason over = REASON_QUEUE_DISPLACED;
    if (atomic_load(&pair->wait.displaced) ||
        waiting_left_ms(pair, worker->now_ms, &over) == 0) {
        pair_abort(pair, worker, over);
    } else {
        waiting_listen(pair, worker); /* in vain it was only where memory was out */
        pair_arm_waiting(pair, worker);
    }
}

static void set_options(const struct pair *pair, sock_t sock, bool nodelay, bool keepalive)
{
    const struct conf_route *conf = pair->route->conf;
    if (sock != SOCK_NONE && nodelay)
        sock_set_nodelay(sock, conf->nodelay);
    if (sock != SOCK_NONE && keepalive)
        sock_set_keepalive(sock, conf->keepalive_idle_ms, conf->keepalive_interval_ms);
}

/* Only a session that lasts needs keepalive: most of the system calls of a short one would be
 * these. A reload that changed an option reaches the session here, and also one whose client was
 * in the backlog at that time, with the options that the listener had before. */
static void look_at_options(struct pair *pair, bool lasts)
{
    uint32_t options = atomic_load_explicit(&pair->route->options, memory_order_relaxed);
    bool changed = pair->seen.options != options;
    bool keepalive = pair->seen.keepalive ? changed : lasts;
    if (!changed && !keepalive)
        return;
    pair->seen.options = options;
    pair->seen.keepalive = pair->seen.keepalive || lasts;
    set_options(pair, pair->client.sock, changed, keepalive);
    set_options(pair, pair->upstream.sock, changed, keepalive);
}

/* While connected: the next look, or the end. */
static void look_at_deadlines(struct pair *pair, struct worker *worker, uint64_t next)
{
    struct pair_deadline deadline = pair_next_deadline(pair, worker->now_ms);
    if (deadline.left_ms == 0)
        pair_abort(pair, worker, deadline.reason);
    else if (deadline.left_ms < next || next < SECOND_MS)
        pair_arm(pair, worker, deadline.left_ms < next ? deadline.left_ms : next);
    else if (deadline.left_ms < next + SECOND_MS)
        pair_arm(pair, worker, deadline.left_ms);
    else
        arm_on_second(pair, worker, next);
}

static void look_at_resets(struct pair *pair, struct worker *worker)
{
    look_for_reset(pair, worker, &pair->client);
    look_for_reset(pair, worker, &pair->upstream);
}

static bool may_miss_a_reset(const struct flow *flow)
{
    return flow_writes(flow) || flow->park != FLOW_NOT_PARKED;
}

static void look_at_data(struct pair *pair, struct worker *worker)
{
    look_at_options(pair, true);
    flow_look(&pair->up, worker);
    flow_look(&pair->down, worker);
    pair_look_at_delivery(pair, worker);
    uint64_t next = LOOK_DATA_MS;
    if (may_miss_a_reset(&pair->up) || may_miss_a_reset(&pair->down)) {
        look_at_resets(pair, worker);
        next = LOOK_STALL_MS;
    }
    look_at_deadlines(pair, worker, next);
}

static void look_at_half_closed(struct pair *pair, struct worker *worker)
{
    pair_look_at_delivery(pair, worker);
    look_at_deadlines(pair, worker, LOOK_SOON_MS);
    if (pair_is_closing(pair))
        return;
    flow_look(&pair->up, worker);
    flow_look(&pair->down, worker);
    look_at_resets(pair, worker);
}

static void look(struct pair *pair, struct worker *worker)
{
    if (pair->life == PAIR_END_WANTED) {
        pair_abort(pair, worker, pair->reason);
        return;
    }
    if (pair_is_closing(pair)) {
        pair_begin_closing(pair, worker);
        return;
    }
    if (pair->client.reset || pair->upstream.reset) {
        look_at_resets(pair, worker);
        return; /* review() passes it on and arms the timer */
    }
    switch (pair->phase) {
    case PHASE_ACCEPT: look_at_proxy_header(pair, worker); break;
    case PHASE_HELD: look_at_held(pair, worker); break;
    case PHASE_CONNECT: look_at_connecting(pair, worker); break;
    case PHASE_DATA: look_at_data(pair, worker); break;
    case PHASE_HALF_CLOSED: look_at_half_closed(pair, worker); break;
    }
}

static bool go_on(struct pair *pair, struct worker *worker, struct flow *flow)
{
    if (pair_is_closing(pair) || !flow_may_go_on(flow, worker->now_ms))
        return false;
    pair_credit_pause(pair, flow, worker->now_ms);
    pair_flow_event(pair, worker, flow, flow_go_on(flow, worker));
    return true;
}

/* The rates are others than those by which the flows wait. */
static void forget_pace(struct pair *pair)
{
    pair->seen.repaced = atomic_load(&pair->route->repaced);
    struct flow *flows[] = {&pair->up, &pair->down};
    for (size_t i = 0; i < 2; i++) {
        bucket_fill(&flows[i]->bucket);
        flows[i]->granted = 0;
        flows[i]->park_until_ms = 0;
    }
}

/* The timer fired for a parked flow, for a look, or for both. */
static void wake(struct pair *pair, struct worker *worker)
{
    bool went_on = false;
    if (pair_is_repaced(pair))
        forget_pace(pair);
    look_at_options(pair, false);
    if (pair->life != PAIR_END_WANTED) {
        went_on |= go_on(pair, worker, &pair->up);
        went_on |= go_on(pair, worker, &pair->down);
    }
    if (!went_on || worker->now_ms >= pair->look_ms ||
        pair->seen.thaws != atomic_load(&pair->route->thaws))
        look(pair, worker);
    else if (!pair_is_closing(pair))
        pair_arm_again(pair, worker);
}

static struct pair *pair_of(struct timer *timer)
{
    return (struct pair *)((char *)timer - offsetof(struct pair, timer));
}

static void on_timer_ref(struct timer *timer)
{
    pair_ref(pair_of(timer));
}

static void on_timer(struct timer *timer, struct worker *worker)
{
    struct pair *pair = pair_of(timer);
    os_mutex_lock(&pair->lock);
    if (pair->life == PAIR_RELEASED) {
        os_mutex_unlock(&pair->lock);
    } else {
        wake(pair, worker);
        pair_leave(pair, worker);
    }
    pair_unref(pair);
}

static const struct timer_kind pair_timer = {.ref = on_timer_ref, .fire = on_timer};

void pair_init_timer(struct pair *pair)
{
    timer_init(&pair->timer, &pair_timer);
}
