/* reserve.c - which workers serve, and which ones sleep meanwhile.
 *
 * If all idle workers waited for epoll together, every event that comes while one of them works
 * would wake the next one, for something that the first would have taken a few microseconds
 * later; and waking a thread costs about as much as relaying a message. Two workers that share a
 * load one could carry also pass its sockets to and fro between two processors, and where no
 * processor is idle they only take turns. So as few workers serve as the load needs, one as a
 * rule; the others are in reserve.
 *
 * Of the workers that serve, at most one waits in epoll_wait() when there is nothing to do: the
 * leader. A second one looks once whether there are events, and goes into reserve if there are
 * none.
 *
 * When the leader stops waiting while other workers are in reserve, a timer is set, unless it
 * runs. The reserve that it wakes looks whether there is a leader. As long as there is none, one
 * looks again every other millisecond:
 *  - Nobody has asked epoll since the last look: the worker that serves is stuck in a slow
 *    handler, or its processor was taken away. The one that looks serves for a short time.
 *  - No look in some time has found a leader: one more worker is needed, and serves if a
 *    processor was partly idle, or if no more than half of the processors have one.
 * A leader that finds very many events at once calls a worker, too, within half of the
 * processors; one that finds many clients in a backlog calls one in any case, since the system
 * drops clients when that is full. A worker that came to help goes back after a while; if the need lasts, the next
 * look finds it again.
 *
 * Without load all sleep: a leader that waits does not stop, so no timer is set again.
 *
 * No sleeper is forgotten: a leader first stops being it, then looks whether there are reserves
 * and whether the timer runs; a reserve counts itself, then looks whether there is a leader, and
 * sets the timer if not; a worker that the timer woke says that it does not run, then looks. All
 * these are sequentially consistent, so one of both sides sees the other. And the last worker
 * that serves cannot go into reserve; when it leaves the port, it calls one.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "os/posix/error.h"
#include "port/epoll/epoll.h"

enum { TIMER_DATA, CALL_DATA }; /* words of the reserve's epoll instance */

#define CHECK_US       2000u  /* from one look to the next while there is no leader */
#define CHECK_LIGHT_US 10000u /* the same when little is going on */
#define LIGHT          64u    /* fetches between two looks: fewer are little */

/* So many looks in a row must find no leader; the last MEASURED of them, about 50 ms, tell
 * whether a processor is idle, by a quarter at least. */
enum { LOOKS = 32, MEASURED = 25 };
#define IDLE_PART 4u

#define IN_PLACE_US 10000u   /* how long a worker serves in place of a stuck one */
#define HELP_US     1000000u /* and who was called or needed */

enum err reserve_open(struct port *port)
{
    os_mutex_init(&port->watch_lock, LOCK_RESERVE);
    port->half = os_cpu_count() / 2;
    port->reserve_fd = epoll_create1(EPOLL_CLOEXEC);
    if (port->reserve_fd < 0)
        return error_last();
    enum err err = ERR_OK;
    port->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (port->timer_fd < 0) {
        err = error_last();
        goto close_reserve;
    }
    port->call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (port->call_fd < 0) {
        err = error_last();
        goto close_timer;
    }
    err = watch_counter(port->reserve_fd, port->timer_fd, TIMER_DATA);
    if (err == ERR_OK)
        err = watch_counter(port->reserve_fd, port->call_fd, CALL_DATA);
    if (err == ERR_OK)
        return ERR_OK;

    close(port->call_fd);
close_timer:
    close(port->timer_fd);
close_reserve:
    close(port->reserve_fd);
    return err;
}

void reserve_close(struct port *port)
{
    close(port->call_fd);
    close(port->timer_fd);
    close(port->reserve_fd);
}

/* ---- the timer ---- */

static void set_watch(struct port *port)
{
    if (atomic_load(&port->watch_set) || atomic_exchange(&port->watch_set, true))
        return;
    uint64_t due = os_mono_us() + CHECK_US;
    uint64_t after = atomic_load_explicit(&port->watch_after_us, memory_order_relaxed);
    if (due < after)
        due = after;
    struct itimerspec at = {
        .it_value = {(time_t)(due / 1000000), (long)(due % 1000000) * 1000},
    };
    if (timerfd_settime(port->timer_fd, TFD_TIMER_ABSTIME, &at, NULL) != 0)
        atomic_store(&port->watch_set, false); /* whoever comes next tries again */
}

/* What all processors together have been idle, in microseconds; 0 when it is not known. */
static uint64_t idle_us(void)
{
    FILE *file = fopen("/proc/uptime", "re");
    if (file == NULL)
        return 0;
    double up, idle;
    int count = fscanf(file, "%lf %lf", &up, &idle);
    (void)fclose(file);
    return count == 2 ? (uint64_t)(idle * 1e6) : 0;
}

static bool is_room_for_another(const struct port *port, const struct watch *watch)
{
    if (atomic_load(&port->serving) < port->half)
        return true;
    uint64_t elapsed = os_mono_us() - watch->began_us;
    uint64_t idle = idle_us();
    return watch->began_idle_us != 0 && idle > watch->began_idle_us &&
           idle - watch->began_idle_us >= elapsed / IDLE_PART;
}

/* There is no leader. Returns for how long one more has to serve, 0: not at all. */
static unsigned judge(struct port *port, struct watch *watch, unsigned fetched)
{
    watch->busy++;
    if (watch->busy > 1 && fetched == 0) {
        watch->busy = 0;
        return IN_PLACE_US;
    }
    if (watch->busy == LOOKS - MEASURED) {
        watch->began_us = os_mono_us();
        watch->began_idle_us = idle_us();
    }
    if (watch->busy < LOOKS)
        return 0;
    watch->busy = 0;
    return is_room_for_another(port, watch) ? HELP_US : 0;
}

/* A look by the one whom the timer woke. Returns as judge(). */
static unsigned check_load(struct port *port)
{
    unsigned help_us = 0;
    atomic_store(&port->watch_set, false);
    if (!os_mutex_try(&port->watch_lock))
        return 0; /* the timer that the other one sets comes again */
    struct watch *watch = &port->watch;
    unsigned fetches = atomic_load(&port->fetches);
    unsigned fetched = fetches - watch->fetches;
    bool nobody = !atomic_load(&port->has_leader);
    watch->fetches = fetches;
    atomic_store_explicit(&port->watch_after_us,
                          !nobody && fetched < LIGHT ? os_mono_us() + CHECK_LIGHT_US : 0,
                          memory_order_relaxed);
    if (nobody)
        help_us = judge(port, watch, fetched);
    else
        watch->busy = 0;
    os_mutex_unlock(&port->watch_lock);
    /* After the lock: whoever is woken by it gets it. A leader that came and stopped meanwhile
     * may have set it as well. */
    if (!atomic_load(&port->has_leader))
        set_watch(port);
    return help_us;
}

/* ---- serving ---- */

void reserve_enter(struct port *port)
{
    atomic_fetch_add(&port->serving, 1);
}

static void call_one(struct port *port)
{
    if (atomic_load(&port->reserves) != 0 && !atomic_exchange(&port->called, true))
        wake_one(port->call_fd);
}

void reserve_leave(struct port *port)
{
    if (atomic_fetch_sub(&port->serving, 1) == 1 && port->shared)
        call_one(port);
}

/* From serving to the reserve. False: nobody else serves. */
static bool step_back(struct port *port)
{
    unsigned serving = atomic_load(&port->serving);
    do {
        if (serving <= 1)
            return false;
    } while (!atomic_compare_exchange_weak(&port->serving, &serving, serving - 1));
    return true;
}

bool reserve_is_due(struct port *port, struct worker *worker)
{
    if (worker->extra_until_us == 0 || os_mono_us() < worker->extra_until_us)
        return false;
    if (atomic_load(&port->serving) > 1)
        return true;
    worker->extra_until_us = 0; /* the others went before */
    return false;
}

/* Sleeps until something comes. Returns for how long the worker has to serve, 0: the time is
 * over. */
static unsigned sleep_until_needed(struct port *port, struct worker *worker, int timeout_ms)
{
    uint64_t end_us = timeout_ms < 0 ? 0 : os_mono_us() + (uint64_t)timeout_ms * 1000;
    for (;;) {
        struct epoll_event event;
        if (wait_on(worker, port->reserve_fd, &event, 1, timeout_ms) != 1)
            return 0;
        if (event.data.u64 == CALL_DATA) {
            atomic_store(&port->called, false);
            return HELP_US;
        }
        unsigned help_us = check_load(port);
        if (help_us != 0)
            return help_us;
        if (timeout_ms >= 0) {
            uint64_t now = os_mono_us();
            timeout_ms = now < end_us ? (int)((end_us - now + 999) / 1000) : 0;
        }
    }
}

void reserve_sleep(struct port *port, struct worker *worker, int timeout_ms)
{
    atomic_fetch_add(&port->reserves, 1);
    if (step_back(port)) {
        if (!atomic_load(&port->has_leader))
            set_watch(port);
        unsigned help_us = sleep_until_needed(port, worker, timeout_ms);
        worker->extra_until_us = os_mono_us() + help_us;
        atomic_fetch_add(&port->serving, 1);
    }
    atomic_fetch_sub(&port->reserves, 1);
}

bool reserve_lead(struct port *port)
{
    return !atomic_exchange(&port->has_leader, true);
}

void reserve_stop_leading(struct port *port)
{
    atomic_store(&port->has_leader, false);
    if (atomic_load(&port->reserves) != 0)
        set_watch(port);
}

void port_step_aside(struct port *port)
{
    if (port->shared)
        call_one(port);
}

void reserve_call(struct port *port)
{
    if (atomic_load(&port->serving) < port->half)
        call_one(port);
}
