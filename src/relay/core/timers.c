#include "relay/core/timers.h"

#include <limits.h>

#include "relay/core/standstill.h"
#include "relay/core/worker.h"

void timers_init(struct timers *timers, struct port *port, struct standstill *standstill,
                 uint64_t now_ms)
{
    os_mutex_init(&timers->lock, LOCK_TIMERS);
    wheel_init(&timers->wheel, now_ms);
    timers->port = port;
    timers->standstill = standstill;
    atomic_init(&timers->next_ms, WHEEL_NEVER);
    atomic_init(&timers->leader, 0);
    atomic_init(&timers->wake_posted, false);
    timers->wake = (struct op){
        .kind = OP_WAKE, .role = OP_ROLE_TIMERS, .sock = SOCK_NONE, .owner = timers};
}

void timer_init(struct timer *timer, const struct timer_kind *kind)
{
    wheel_entry_init(&timer->entry);
    timer->kind = kind;
}

void timers_arm(struct timers *timers, struct timer *timer, uint64_t due_ms)
{
    os_mutex_lock(&timers->lock);
    wheel_arm(&timers->wheel, &timer->entry, due_ms);
    uint64_t next = wheel_next_ms(&timers->wheel);
    bool sooner = next < atomic_load_explicit(&timers->next_ms, memory_order_relaxed);
    if (sooner)
        atomic_store_explicit(&timers->next_ms, next, memory_order_release);
    os_mutex_unlock(&timers->lock);

    /* The leader may be asleep for longer. One message on its way is enough: whoever gets it
     * reads next_ms afterwards. */
    if (sooner && !atomic_exchange(&timers->wake_posted, true))
        port_post(timers->port, &timers->wake);
}

void timers_disarm(struct timers *timers, struct timer *timer)
{
    os_mutex_lock(&timers->lock);
    wheel_disarm(&timers->wheel, &timer->entry);
    os_mutex_unlock(&timers->lock);
}

int timers_wait_ms(struct timers *timers, unsigned number)
{
    if (atomic_load_explicit(&timers->leader, memory_order_relaxed) != number)
        return -1;
    uint64_t next = atomic_load_explicit(&timers->next_ms, memory_order_acquire);
    if (next == WHEEL_NEVER) {
        standstill_expect(timers->standstill, UINT64_MAX);
        return -1;
    }
    uint64_t now = os_mono_ms();
    if (next <= now)
        return 0; /* if that is late, it was to be awake before */
    standstill_expect(timers->standstill, next);
    return next - now < INT_MAX ? (int)(next - now) : INT_MAX;
}

void timers_on_wake(struct timers *timers, unsigned number)
{
    atomic_store(&timers->leader, number);
    /* An exchange, so that what was armed before a message was found on its way is seen. */
    (void)atomic_exchange(&timers->wake_posted, false);
}

/* Takes one due timer out, with its owner held, and publishes when the next one is due. */
static struct timer *take_due(struct timers *timers, uint64_t now_ms)
{
    os_mutex_lock(&timers->lock);
    struct wheel_entry *entry = wheel_expire(&timers->wheel, now_ms);
    struct timer *timer = NULL;
    if (entry != NULL) {
        timer = (struct timer *)((char *)entry - offsetof(struct timer, entry));
        if (timer->kind->ref != NULL)
            timer->kind->ref(timer);
    }
    atomic_store_explicit(&timers->next_ms, wheel_next_ms(&timers->wheel),
                          memory_order_release);
    os_mutex_unlock(&timers->lock);
    return timer;
}

void timers_run(struct timers *timers, struct worker *worker, uint64_t now_ms)
{
    while (atomic_load_explicit(&timers->next_ms, memory_order_relaxed) <= now_ms) {
        struct timer *timer = take_due(timers, now_ms);
        if (timer == NULL)
            return; /* a cascade of the wheel, or another worker took it */
        timer->kind->fire(timer, worker);
    }
}
