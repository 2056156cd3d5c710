#include "relay/core/standstill.h"

#include <inttypes.h>

#include "base/log.h"
#include "relay/core/elapsed.h"
#include "relay/core/worker.h"
#include "relay/relay.h"

void standstill_init(struct standstill *standstill)
{
    *standstill = (struct standstill){.last_ms = 0};
    os_mutex_init(&standstill->lock, LOCK_STANDSTILL);
    atomic_init(&standstill->awake_by_ms, UINT64_MAX);
    atomic_init(&standstill->unseen, false);
}

/* Written only when it changes: all workers read it at each turn. */
void standstill_expect(struct standstill *standstill, uint64_t by_ms)
{
    if (atomic_load_explicit(&standstill->awake_by_ms, memory_order_relaxed) != by_ms)
        atomic_store_explicit(&standstill->awake_by_ms, by_ms, memory_order_release);
}

/* Of several threads that come late the first one finds it; for the others the time is left out
 * already. */
static void leave_out(struct standstill *standstill)
{
    os_mutex_lock(&standstill->lock);
    uint64_t now_ms = os_mono_ms();
    uint64_t late_ms = elapsed_ms(now_ms, atomic_load(&standstill->awake_by_ms));
    bool late = late_ms > STANDSTILL_MS;
    if (late) {
        os_mono_leave_out(late_ms);
        standstill->last_ms = late_ms;
        standstill->last_at_ms = now_ms - late_ms;
        atomic_fetch_add(&standstill->total, 1);
        atomic_store(&standstill->catching_up, true);
        atomic_store(&standstill->unseen, true);
    }
    os_mutex_unlock(&standstill->lock);
    if (late)
        log_warning("the relay stood still for %" PRIu64 ".%" PRIu64
                    " s: it was stopped, or had no processor; deadlines are moved by that",
                    late_ms / 1000, late_ms % 1000 / 100);
}

bool standstill_check(struct worker *worker)
{
    struct standstill *standstill = &worker->relay->standstill;
    uint64_t by_ms = atomic_load_explicit(&standstill->awake_by_ms, memory_order_acquire);
    uint64_t total = atomic_load_explicit(&standstill->total, memory_order_relaxed);
    if (elapsed_ms(worker->now_ms, by_ms) > STANDSTILL_MS) {
        leave_out(standstill);
        worker->now_ms = os_mono_ms();
    } else if (worker->standstills != total) {
        /* Another one has left it out, after this one had read the clock maybe. */
        worker->standstills = total;
        worker->now_ms = os_mono_ms();
    } else if (worker->now_ms > by_ms) {
        /* Awake: should the one who was to be so hang, the others do not stand still. */
        (void)atomic_compare_exchange_strong(&standstill->awake_by_ms, &by_ms, worker->now_ms);
    }
    return atomic_load_explicit(&standstill->unseen, memory_order_relaxed) &&
           atomic_exchange(&standstill->unseen, false);
}

void standstill_check_outside(struct standstill *standstill)
{
    uint64_t by_ms = atomic_load_explicit(&standstill->awake_by_ms, memory_order_relaxed);
    if (elapsed_ms(os_mono_ms(), by_ms) > STANDSTILL_MS)
        leave_out(standstill);
}

void standstill_caught_up(struct standstill *standstill)
{
    atomic_store_explicit(&standstill->catching_up, false, memory_order_release);
}

void standstill_get(struct standstill *standstill, struct standstill_info *out)
{
    os_mutex_lock(&standstill->lock);
    *out = (struct standstill_info){
        .total = atomic_load(&standstill->total),
        .last_ms = standstill->last_ms,
        .last_ago_ms =
            standstill->last_ms > 0 ? elapsed_ms(os_mono_ms(), standstill->last_at_ms) : 0,
    };
    os_mutex_unlock(&standstill->lock);
}
