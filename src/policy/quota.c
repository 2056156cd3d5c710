#include "policy/quota.h"

#include <assert.h>

/* The counters say how many, they publish nothing else, so no order of memory is asked for. */
static void raise_peak(struct quota *quota, uint32_t used)
{
    uint32_t peak = atomic_load_explicit(&quota->peak, memory_order_relaxed);
    while (peak < used &&
           !atomic_compare_exchange_weak_explicit(&quota->peak, &peak, used,
                                                  memory_order_relaxed, memory_order_relaxed))
        continue; /* `peak` was read again */
}

bool quota_is_full(const struct quota *quota)
{
    return atomic_load_explicit(&quota->used, memory_order_relaxed) >= quota->limit;
}

void quota_force(struct quota *quota)
{
    uint32_t used = atomic_fetch_add_explicit(&quota->used, 1, memory_order_relaxed);
    raise_peak(quota, used + 1);
}

bool quota_take(struct quota *quota)
{
    uint32_t used = atomic_load_explicit(&quota->used, memory_order_relaxed);
    do {
        if (used >= quota->limit)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(
        &quota->used, &used, used + 1, memory_order_relaxed, memory_order_relaxed));
    raise_peak(quota, used + 1);
    return true;
}

void quota_give(struct quota *quota)
{
    uint32_t before = atomic_fetch_sub_explicit(&quota->used, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
}
