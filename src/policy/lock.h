/* lock.h - a lock that is held for a few dozen instructions at most.
 *
 * Who finds it taken spins: nothing that can block, allocate or take another lock may be done
 * while it is held. Zero-initialised memory is an open lock.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_POLICY_LOCK_H
#define PAIRPORT_POLICY_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>

struct lock {
    _Atomic bool taken;
};

static inline void lock_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline void lock_take(struct lock *lock)
{
    while (atomic_exchange_explicit(&lock->taken, true, memory_order_acquire)) {
        /* Reading leaves the cache line with its holder until there is something to gain. */
        while (atomic_load_explicit(&lock->taken, memory_order_relaxed))
            lock_relax();
    }
}

static inline void lock_give(struct lock *lock)
{
    atomic_store_explicit(&lock->taken, false, memory_order_release);
}

#endif
