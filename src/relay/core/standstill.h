/* standstill.h - notices when the whole relay did not run for a while: it was stopped (SIGSTOP,
 * a frozen container), moved to another machine, asleep with its machine, or got no processor.
 *
 * While the relay runs, some worker always plans to be awake by a known time, for the next
 * timer. When the first worker wakes more than a second later than that, sessions must not
 * suffer: bytes and answers that arrived meanwhile are still in their sockets. So the missed
 * time is left out of the clock for all (os_mono_leave_out()), which moves every deadline by
 * it. No timer fires until a worker has taken all events that are there, and health checks that
 * ran at the time are repeated.
 *
 * A signal, a command or an answer may wake an outside thread at the same moment. The times
 * that it stores must not lie within the missed time, so outside threads check before they read
 * the clock.
 *
 * Threads: workers, but for standstill_check_outside() and standstill_get().
 */
#ifndef PAIRPORT_RELAY_CORE_STANDSTILL_H
#define PAIRPORT_RELAY_CORE_STANDSTILL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/os.h"

struct worker;

#define STANDSTILL_MS 1000 /* what is no standstill yet */

struct standstill {
    _Atomic uint64_t awake_by_ms; /* some worker means to be; UINT64_MAX: none is waited for */
    _Atomic uint64_t total;       /* standstills so far */
    _Atomic bool catching_up;     /* what came meanwhile is not taken yet: no timer may fire */
    _Atomic bool unseen;          /* and no worker has begun to take it */
    struct os_mutex lock; /* guards what follows, and changes of the above but the first */
    uint64_t last_ms;     /* how long the last one was */
    uint64_t last_at_ms;  /* when it was noticed */
};

void standstill_init(struct standstill *standstill);

/* The worker that waits for the timers means to be awake by then; UINT64_MAX: whenever. */
void standstill_expect(struct standstill *standstill, uint64_t by_ms);

/* The worker has just waited, and has read the clock: worker->now_ms, which is without the time
 * of a standstill afterwards. True: there was one, and this worker is the first to know;
 * standstill_caught_up() has to follow when all events are taken. */
bool standstill_check(struct worker *worker);
void standstill_caught_up(struct standstill *standstill);

/* The same for any other thread, before it reads the clock for the relay: what is to be done then
 * is left to the workers. Takes no lock unless there was a standstill. */
void standstill_check_outside(struct standstill *standstill);

static inline bool standstill_is_catching_up(const struct standstill *standstill)
{
    return atomic_load_explicit(&standstill->catching_up, memory_order_acquire);
}

struct standstill_info {
    uint64_t total;
    uint64_t last_ms;     /* 0: there was none */
    uint64_t last_ago_ms; /* since it was over */
};
/* Any thread. */
void standstill_get(struct standstill *standstill, struct standstill_info *out);

#endif
