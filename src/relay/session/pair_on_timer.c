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

#define CHECK_DATA_MS 10000 /* both directions are open */
#define SECOND_MS     1000

/* ---- what it checks ---- */

/* Checks that may be late fall on whole seconds, so that all sessions share one wakeup. */
static void arm_on_second(struct pair *pair, struct worker *worker, uint64_t in_ms)
{
    uint64_t due = worker->now_ms + in_ms;
    pair_arm(pair, worker, in_ms + (SECOND_MS - due % SECOND_MS) % SECOND_MS);
}

/* A side that no READ waits on may be broken without anybody noticing. */
static void check_reset(struct pair *pair, struct worker *worker, struct side *side)
{
    if (!side->reset && !flow_reads(pair_flow_from(pair, side)) && sock_peer_reset(side->sock))
        pair_side_failed(pair, worker, side, ERR_RESET);
}

static void on_timer_connecting(struct pair *pair, struct worker *worker)
{
    check_reset(pair, worker, &pair->client);
    if (pair->client.reset)
        return;
    pair_connect_step(pair, worker, connecting_on_timer(pair, worker));
    pair_arm_waiting(pair, worker);
}

static void on_timer_header(struct pair *pair, struct worker *worker)
{
    if (worker->now_ms < proxy_header_due_ms(pair) && !atomic_load(&pair->wait.displaced)) {
        pair_arm_proxy_header(pair, worker);
        return;
    }
    pair_proxy_header_step(pair, worker, proxy_header_late(pair, worker));
    if (pair->phase == PHASE_ACCEPT)
        pair_arm(pair, worker, CHECK_CLOSE_MS); /* its READ is being cancelled */
}

static void on_timer_held(struct pair *pair, struct worker *worker)
{
    check_reset(pair, worker, &pair->client);
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
static void check_options(struct pair *pair, bool lasts)
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

/* While connected: arms the next check, or ends the session. */
static void check_deadlines(struct pair *pair, struct worker *worker, uint64_t next)
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

static void check_resets(struct pair *pair, struct worker *worker)
{
    check_reset(pair, worker, &pair->client);
    check_reset(pair, worker, &pair->upstream);
}

static bool may_miss_a_reset(const struct flow *flow)
{
    return flow_writes(flow) || flow->park != FLOW_NOT_PARKED;
}

static void on_timer_data(struct pair *pair, struct worker *worker)
{
    check_options(pair, true);
    flow_release_idle(&pair->up, worker);
    flow_release_idle(&pair->down, worker);
    pair_update_delivered(pair, worker);
    uint64_t next = CHECK_DATA_MS;
    if (may_miss_a_reset(&pair->up) || may_miss_a_reset(&pair->down)) {
        check_resets(pair, worker);
        next = CHECK_STALL_MS;
    }
    check_deadlines(pair, worker, next);
}

static void on_timer_half_closed(struct pair *pair, struct worker *worker)
{
    pair_update_delivered(pair, worker);
    check_deadlines(pair, worker, CHECK_SOON_MS);
    if (pair_is_closing(pair))
        return;
    flow_release_idle(&pair->up, worker);
    flow_release_idle(&pair->down, worker);
    check_resets(pair, worker);
}

static void check(struct pair *pair, struct worker *worker)
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
        check_resets(pair, worker);
        return; /* review() passes it on and arms the timer */
    }
    switch (pair->phase) {
    case PHASE_ACCEPT: on_timer_header(pair, worker); break;
    case PHASE_HELD: on_timer_held(pair, worker); break;
    case PHASE_CONNECT: on_timer_connecting(pair, worker); break;
    case PHASE_DATA: on_timer_data(pair, worker); break;
    case PHASE_HALF_CLOSED: on_timer_half_closed(pair, worker); break;
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

/* The timer fired for a parked flow, for a check, or for both. */
static void wake(struct pair *pair, struct worker *worker)
{
    bool went_on = false;
    if (pair_is_repaced(pair))
        forget_pace(pair);
    check_options(pair, false);
    if (pair->life != PAIR_END_WANTED) {
        went_on |= go_on(pair, worker, &pair->up);
        went_on |= go_on(pair, worker, &pair->down);
    }
    if (!went_on || worker->now_ms >= pair->check_ms ||
        pair->seen.thaws != atomic_load(&pair->route->thaws))
        check(pair, worker);
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
