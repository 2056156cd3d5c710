/* When a pair's timer is to fire; what it does then is in pair_on_timer.c. */
#include "relay/core/elapsed.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/server_info.h"
#include "relay/session/pair_private.h"
#include "relay/session/waiting.h"

#define CHECK_HELD_MS 1000 /* waiting for an upstream */

void pair_arm_again(struct pair *pair, struct worker *worker)
{
    if (pair->life == PAIR_END_WANTED)
        return; /* it is armed for now, and not to be put off */
    struct timers *timers = &worker->relay->timers;
    uint64_t due = pair->check_ms;
    if (flow_has_time(&pair->up) && pair->up.park_until_ms < due)
        due = pair->up.park_until_ms;
    if (flow_has_time(&pair->down) && pair->down.park_until_ms < due)
        due = pair->down.park_until_ms;
    timers_arm(timers, &pair->timer, due);
    /* Somebody who armed it for now, without the lock, must not have been overruled: see pace.c. */
    bool frozen = pair->up.park == FLOW_FROZEN || pair->down.park == FLOW_FROZEN;
    if ((frozen && !atomic_load(&pair->route->frozen)) || pair_is_repaced(pair) ||
        atomic_load(&pair->wait.displaced))
        timers_arm(timers, &pair->timer, worker->now_ms);
}

void pair_arm(struct pair *pair, struct worker *worker, uint64_t in_ms)
{
    pair->check_ms = worker->now_ms + in_ms;
    pair_arm_again(pair, worker);
}

void pair_arm_parked(struct pair *pair, struct worker *worker)
{
    uint64_t check_ms = worker->now_ms + CHECK_STALL_MS;
    if (check_ms < pair->check_ms)
        pair->check_ms = check_ms;
    pair_arm_again(pair, worker);
}

void pair_arm_stalled(struct pair *pair, struct worker *worker)
{
    if (pair->route->conf->max_backlog_age_ms > 0 &&
        worker->now_ms + CHECK_STALL_MS < pair->check_ms)
        pair_arm(pair, worker, CHECK_STALL_MS);
}

void pair_arm_waiting(struct pair *pair, struct worker *worker)
{
    uint64_t left = elapsed_ms(pair->attempt.due_ms, worker->now_ms), most = CHECK_SOON_MS;
    enum reason over;
    if (pair->phase == PHASE_HELD) {
        left = waiting_left_ms(pair, worker->now_ms, &over);
        most = CHECK_HELD_MS;
    } else if (pair->phase != PHASE_CONNECT) {
        return;
    }
    /* Of a try that was cancelled the completion is on its way. */
    pair_arm(pair, worker,
             left < most && pair->attempt.state != ATTEMPT_TIMED_OUT ? left : most);
}

void pair_arm_proxy_header(struct pair *pair, struct worker *worker)
{
    uint64_t due_ms = proxy_header_due_ms(pair);
    pair_arm(pair, worker, due_ms > worker->now_ms ? due_ms - worker->now_ms : 0);
}
