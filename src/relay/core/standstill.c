#include "relay/core/standstill.h"

#include <inttypes.h>

#include "base/log.h"
#include "relay/core/elapsed.h"
#include "relay/core/worker.h"
#include "relay/relay.h"

void lateness_init(struct lateness *lateness)
{
    *lateness = (struct lateness){.last_ms = 0};
    atomic_init(&lateness->awake_by_ms, UINT64_MAX);
    atomic_init(&lateness->unseen, false);
}

/* Written only when it changes: all workers read it at each turn. */
void lateness_expect(struct lateness *lateness, uint64_t by_ms)
{
    if (atomic_load_explicit(&lateness->awake_by_ms, memory_order_relaxed) != by_ms)
        atomic_store_explicit(&lateness->awake_by_ms, by_ms, memory_order_release);
}

/* Of several threads that come late the first one finds it; for the others the time is left out
 * already. */
static void leave_out(struct lateness *lateness)
{
    os_mutex_lock(&lateness->lock);
    uint64_t now_ms = os_mono_ms();
    uint64_t late_ms = elapsed_ms(now_ms, atomic_load(&lateness->awake_by_ms));
    bool late = late_ms > LATENESS_MS;
    if (late) {
        os_mono_leave_out(late_ms);
        lateness->last_ms = late_ms;
        lateness->last_at_ms = now_ms - late_ms;
        atomic_fetch_add(&lateness->total, 1);
        atomic_store(&lateness->catching_up, true);
        atomic_store(&lateness->unseen, true);
    }
    os_mutex_unlock(&lateness->lock);
    if (late)
        log_warning("the relay stood still for %" PRIu64 ".%" PRIu64
                    " s: it was stopped, or had no processor; deadlines are moved by that",
                    late_ms / 1000, late_ms % 1000 / 100);
}

bool lateness_look(struct worker *worker)
{
    struct lateness *lateness = &worker->relay->lateness;
    uint64_t by_ms = atomic_load_explicit(&lateness->awake_by_ms, memory_order_acquire);
    uint64_t total = atomic_load_explicit(&lateness->total, memory_order_relaxed);
    if (elapsed_ms(worker->now_ms, by_ms) > LATENESS_MS) {
        leave_out(lateness);
        worker->now_ms = os_mono_ms();
    } else if (worker->standstills != total) {
        /* Another one has left it out, after this one had read the clock maybe. */
        worker->standstills = total;
        worker->now_ms = os_mono_ms();
    } else if (worker->now_ms > by_ms) {
        /* Awake: should the one who was to be so hang, the others do not stand still. */
        (void)atomic_compare_exchange_strong(&lateness->awake_by_ms, &by_ms, worker->now_ms);
    }
    return atomic_load_explicit(&lateness->unseen, memory_order_relaxed) &&
           atomic_exchange(&lateness->unseen, false);
}

void lateness_look_outside(struct lateness *lateness)
{
    uint64_t by_ms = atomic_load_explicit(&lateness->awake_by_ms, memory_order_relaxed);
    if (elapsed_ms(os_mono_ms(), by_ms) > LATENESS_MS)
        leave_out(lateness);
}

void lateness_caught_up(struct lateness *lateness)
{
    atomic_store_explicit(&lateness->catching_up, false, memory_order_release);
}

void lateness_get(struct lateness *lateness, struct lateness_info *out)
{
    os_mutex_lock(&lateness->lock);
    *out = (struct lateness_info){
        .total = atomic_load(&lateness->total),
        .last_ms = lateness->last_ms,
        .last_ago_ms =
            lateness->last_ms > 0 ? elapsed_ms(os_mono_ms(), lateness->last_at_ms) : 0,
    };
    os_mutex_unlock(&lateness->lock);
}
