/* wait.c - port_wait(): which worker waits for epoll, and which ones sleep meanwhile.
 *
 * If all idle workers waited for epoll together, every event that comes while one of them
 * works would wake the next one, for something that the first would have taken a few
 * microseconds later; and waking a thread costs about as much as relaying a message. So only
 * one of the idle workers waits for epoll, the sentry. The others sleep in the reserve, and
 * come when there is more to do than one can:
 *
 *  - The sentry returns with a crowd: it calls one from the reserve before it goes to work.
 *  - It stays away for long, in a slow handler or because work does not end. Whenever a
 *    sentry leaves its post and somebody is in reserve, a timer is set (unless it runs). Who
 *    is woken by it takes the post if it is free; if it is not, nothing was wrong.
 *
 * A worker that finds the post taken looks once whether there are events, and goes into
 * reserve only if there are none. So under full load nobody sleeps, under little load one
 * works and its caches stay warm, and without load all sleep: the last timer is followed
 * by no other, since a sentry that waits does not leave its post.
 *
 * No sleeper is forgotten: a sentry frees the post, then looks whether there are reserves and
 * whether the timer runs; a reserve counts itself, then looks whether the post is free, and
 * only sleeps if not; who was woken by the timer says that it does not run, then tries for the
 * post. All these are sequentially consistent, so one of both sides sees the other.
 */
#include <assert.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "os/posix/error.h"
#include "port/epoll/epoll.h"

/* Events fetched by one epoll_wait. They belong to the worker that fetched them, so with
 * siblings a batch is kept small: at about 5 us a message it is done in well under a
 * millisecond. */
enum { BATCH_ALONE = 64, BATCH_SHARED = 32 };

/* So many results at once are a crowd that is worth a second worker. */
enum { CROWD = 16 };

#define RELIEF_NS 5000000 /* how long a post stays empty before somebody looks after it */

/* A worker with results of its own asks epoll again after so many turns or so many results
 * handed out, so that a socket that is always busy cannot starve the others. */
enum { ASK_AFTER_TURNS = 8, ASK_AFTER_HANDED = 64 };

/* A ready list grows beyond this only by a storm of cancellations or accepts; what exceeds
 * SPILL_KEEP then goes to the inbox for everybody. */
enum { SPILL_ABOVE = 256, SPILL_KEEP = 64 };

enum { TIMER_DATA, CALL_DATA }; /* words of the reserve's epoll instance */

/* ---- the reserve ---- */

enum err reserve_open(struct port *port)
{
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

/* One call of epoll_wait that is counted. */
static int wait_on(struct worker *worker, int epoll_fd, struct epoll_event *events, int max,
                   int timeout_ms)
{
    counter_step(&worker->counters.waits);
    if (timeout_ms != 0) /* may sleep; whether it did, the system does not tell */
        counter_step(&worker->counters.wakeups);
    return epoll_wait(epoll_fd, events, max, timeout_ms); /* EINTR: nothing after all */
}

static void sleep_in_reserve(struct port *port, struct worker *worker, int timeout_ms)
{
    atomic_fetch_add(&port->reserves, 1);
    if (atomic_load(&port->sentry)) {
        struct epoll_event event;
        if (wait_on(worker, port->reserve_fd, &event, 1, timeout_ms) == 1)
            atomic_store(event.data.u64 == TIMER_DATA ? &port->timer_set : &port->called,
                         false);
    }
    atomic_fetch_sub(&port->reserves, 1);
}

static void leave_post(struct port *port)
{
    atomic_store(&port->sentry, false);
    if (atomic_load(&port->reserves) == 0 || atomic_load(&port->timer_set) ||
        atomic_exchange(&port->timer_set, true))
        return;
    struct itimerspec relief = {.it_value = {.tv_nsec = RELIEF_NS}};
    int rc = timerfd_settime(port->timer_fd, 0, &relief, NULL);
    assert(rc == 0 && "fails only for a bad descriptor or time");
    (void)rc;
}

static void call_reserve(struct port *port)
{
    if (atomic_load(&port->reserves) != 0 && !atomic_exchange(&port->called, true))
        wake_one(port->call_fd);
}

/* ---- events ---- */

static void take_events(struct port *port, struct worker *worker,
                        const struct epoll_event *events, int count)
{
    worker->turns = 0;
    worker->handed = 0;
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == INBOX_DATA)
            inbox_take(port, worker);
        else
            op_on_edge(port, worker, events[i].data.u64, events[i].events);
    }
}

/* Takes what is there, without waiting. True: something was. */
static bool look(struct port *port, struct worker *worker)
{
    struct epoll_event events[BATCH_ALONE];
    int batch = port->shared ? BATCH_SHARED : BATCH_ALONE;
    int count = wait_on(worker, port->epoll_fd, events, batch, 0);
    take_events(port, worker, events, count);
    return count > 0;
}

/* Waits until something is there, or until there is reason to come back and see. */
static void wait_idle(struct port *port, struct worker *worker, int timeout_ms)
{
    struct epoll_event events[BATCH_ALONE];
    if (!port->shared) {
        int count = wait_on(worker, port->epoll_fd, events, BATCH_ALONE, timeout_ms);
        take_events(port, worker, events, count);
        return;
    }
    if (atomic_exchange(&port->sentry, true)) {
        if (!look(port, worker))
            sleep_in_reserve(port, worker, timeout_ms);
        return;
    }
    int count = wait_on(worker, port->epoll_fd, events, BATCH_SHARED, timeout_ms);
    leave_post(port);
    take_events(port, worker, events, count);
    if (worker->ready_count >= CROWD)
        call_reserve(port);
}

/* ---- results ---- */

static void spill(struct port *port, struct worker *worker)
{
    struct queue keep = {0};
    for (int i = 0; i < SPILL_KEEP; i++)
        queue_push(&keep, queue_pop(&worker->ready));
    inbox_splice(port, &worker->ready);
    worker->ready = keep;
    worker->ready_count = SPILL_KEEP;
}

static int hand_out(struct port *port, struct worker *worker, struct op *ops[], int max)
{
    int count = 0;
    while (count < max) {
        struct op *op = queue_pop(&worker->ready);
        if (op == NULL)
            break;
        worker->ready_count--;
        if (native_of(op)->put_off) {
            op_resume(port, worker, op);
            continue;
        }
        op->in_flight = false;
        counter_step(&worker->counters.completions[op->kind]);
        ops[count++] = op;
    }
    worker->turns++;
    worker->handed += (unsigned)count;
    return count;
}

int port_wait(struct port *port, struct op *ops[], int max, int timeout_ms)
{
    struct worker *worker = worker_of(port);
    assert(worker != NULL && max > 0);

    if (worker->ready_count > SPILL_ABOVE && port->shared)
        spill(port, worker);
    if (worker->ready.head == NULL && timeout_ms != 0)
        wait_idle(port, worker, timeout_ms);
    else if (worker->ready.head == NULL || worker->turns >= ASK_AFTER_TURNS ||
             worker->handed >= ASK_AFTER_HANDED)
        (void)look(port, worker);
    return hand_out(port, worker, ops, max);
}
