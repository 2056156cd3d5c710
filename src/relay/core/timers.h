/* timers.h - the deadlines of all pairs and listeners, on one wheel for all workers.
 *
 * One worker at a time is the leader: it alone waits with a timeout, for the next deadline. The
 * others sleep until there is work. When an earlier deadline than the leader's is armed, a WAKE
 * operation is posted, and the worker that gets it becomes the leader. So one deadline wakes
 * one worker, and a relay whose deadlines are far away sleeps.
 *
 * Threads: any; one lock, held for a list operation or two.
 */
#ifndef PAIRPORT_RELAY_CORE_TIMERS_H
#define PAIRPORT_RELAY_CORE_TIMERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/wheel.h"
#include "os/os.h"
#include "port/port.h"

struct standstill;
struct timer;
struct worker;

struct timer_kind {
    /* Called with the timers locked, just before the timer leaves the wheel: keeps its owner
     * alive until `fire` has run. NULL where the owner outlives the timers. */
    void (*ref)(struct timer *timer);
    /* Called in a worker without locks held. */
    void (*fire)(struct timer *timer, struct worker *worker);
};

struct timer {
    struct wheel_entry entry;
    const struct timer_kind *kind;
};

struct timers {
    struct os_mutex lock; /* guards `wheel` */
    struct wheel wheel;
    struct port *port;             /* not owned */
    struct standstill *standstill; /* not owned; is told when the leader means to be awake */
    _Atomic uint64_t next_ms;      /* nothing is due before */
    _Atomic unsigned leader;       /* number of the worker that waits for next_ms */
    _Atomic bool wake_posted;      /* `wake` is in flight */
    struct op wake;
};

void timers_init(struct timers *timers, struct port *port, struct standstill *standstill,
                 uint64_t now_ms);

void timer_init(struct timer *timer, const struct timer_kind *kind);

/* Arms or moves the timer. */
void timers_arm(struct timers *timers, struct timer *timer, uint64_t due_ms);
/* The timer will not fire any more; one that is firing right now goes on. */
void timers_disarm(struct timers *timers, struct timer *timer);

/* How long worker `number` may sleep in port_wait(): -1 unless it is the leader. */
int timers_wait_ms(struct timers *timers, unsigned number);

/* The WAKE operation came out in worker `number`: it is the leader now. */
void timers_on_wake(struct timers *timers, unsigned number);

/* Fires what is due at `now_ms`; cheap when nothing is. */
void timers_run(struct timers *timers, struct worker *worker, uint64_t now_ms);

#endif
