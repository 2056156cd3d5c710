#include "relay/run.h"

#include <assert.h>

#include "base/log.h"
#include "relay/accept/listener.h"
#include "relay/core/lifecycle.h"
#include "relay/core/schedule.h"
#include "relay/core/sessions.h"
#include "relay/core/worker.h"
#include "relay/relay.h"
#include "relay/server.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"
#include "relay/session/pending.h"

#define SECOND_MS 1000

static void each_listener(struct worker *worker,
                          void (*act)(struct listener *listener, struct worker *worker))
{
    struct relay *relay = worker->relay;
    for (size_t i = 0; i < relay->route_count; i++)
        for (size_t k = 0; k < relay->routes[i]->listener_count; k++)
            act(relay->routes[i]->listeners[k], worker);
}

/* ---- timers ---- */

static void arm_second(struct worker *worker)
{
    uint64_t next = worker->now_ms - worker->now_ms % SECOND_MS + SECOND_MS;
    timers_arm(&worker->relay->timers, &worker->relay->lifecycle.second, next);
}

static void tick(struct relay_route *route, struct worker *worker)
{
    upstreams_tick(route, worker);
    pending_run(route, worker);
}

static void on_second(struct timer *timer, struct worker *worker)
{
    (void)timer;
    stat_sample(worker->relay->stat, worker->now_ms);
    lifecycle_each_log(worker->relay, log_limit_flush);
    for (size_t i = 0; i < worker->relay->route_count + worker->relay->removed_count; i++)
        tick(worker->relay->routes[i], worker);
    gauges_update(worker->relay, worker->now_ms);
    arm_second(worker);
}

static const struct session_filter all = {.route = NULL};

static void end_all(struct relay *relay)
{
    (void)sessions_end(relay, &all, REASON_STOPPED, NULL); /* the timer comes again */
}

static struct drain_of of_all(struct relay *relay)
{
    return (struct drain_of){.relay = relay, .filter = &all, .reason = REASON_STOPPED};
}

static void on_deadline(struct timer *timer, struct worker *worker)
{
    struct relay *relay = worker->relay;
    uint64_t next = atomic_load(&relay->lifecycle.stop_at_ms);
    const struct drain_of of = of_all(relay);
    uint64_t step = drain_step(&relay->drain, &of, worker->now_ms);
    if (worker->now_ms >= next) {
        end_all(relay);
        next = worker->now_ms + SECOND_MS;
    }
    timers_arm(&relay->timers, timer, step < next ? step : next);
}

static const struct timer_kind second_timer = {.ref = NULL, .fire = on_second};
static const struct timer_kind deadline_timer = {.ref = NULL, .fire = on_deadline};

/* ---- start and stop ---- */

static struct op message(struct relay *relay)
{
    return (struct op){.kind = OP_WAKE, .role = OP_ROLE_RUN, .sock = SOCK_NONE, .owner = relay};
}

void run_init(struct relay *relay)
{
    struct lifecycle *life = &relay->lifecycle;
    os_mutex_init(&life->lock, LOCK_LIFECYCLE);
    os_mutex_init(&relay->listening.lock, LOCK_LISTENING);
    os_mutex_init(&relay->drain.lock, LOCK_DRAIN);
    life->start = message(relay);
    life->stop = message(relay);
    life->exit = message(relay);
    timer_init(&life->deadline, &deadline_timer);
    timer_init(&life->second, &second_timer);
    life->workers = relay->worker_count;
    lifecycle_ref(relay); /* the relay itself; ends when it is told to stop */
}

static unsigned start_workers(struct relay *relay, enum err *err)
{
    unsigned started = 0;
    *err = ERR_OK;
    while (started < relay->worker_count && *err == ERR_OK) {
        *err = worker_start(&relay->workers[started]);
        if (*err == ERR_OK)
            started++;
    }
    return started;
}

/* Returns when clients are accepted. */
static void begin(struct relay *relay)
{
    struct lifecycle *life = &relay->lifecycle;
    port_post(relay->port, &life->start);
    os_mutex_lock(&life->lock);
    while (!life->accepting)
        os_cond_wait(&life->changed, &life->lock, UINT32_MAX);
    os_mutex_unlock(&life->lock);
}

enum err run_start(struct relay *relay, struct str *why)
{
    struct lifecycle *life = &relay->lifecycle;
    enum err err;
    unsigned started = start_workers(relay, &err);

    os_mutex_lock(&life->lock);
    while (life->entered < started)
        os_cond_wait(&life->changed, &life->lock, UINT32_MAX);
    if (err == ERR_OK)
        err = life->enter_err;
    os_mutex_unlock(&life->lock);
    if (err == ERR_OK && relay->inherit != NULL && relay->inherit->ready != NULL)
        err = relay->inherit->ready(relay->inherit->ctx, why);
    if (err == ERR_OK) {
        if (relay->inherit != NULL && relay->inherit->first_id > 0)
            atomic_store(&relay->next_id, relay->inherit->first_id - 1);
        begin(relay);
        return ERR_OK;
    }

    /* Those that run end as at any stop. */
    os_mutex_lock(&life->lock);
    life->workers = started;
    bool some_run = life->left < started;
    os_mutex_unlock(&life->lock);
    if (some_run)
        port_post(relay->port, &life->exit);
    for (unsigned i = 0; i < started; i++)
        worker_join(&relay->workers[i]);
    return err;
}

static void stop_after(struct relay *relay, uint64_t timeout_ms)
{
    struct lifecycle *life = &relay->lifecycle;
    standstill_check_outside(&relay->standstill);
    os_mutex_lock(&life->lock);
    bool again = atomic_load(&life->stopping);
    atomic_store(&life->stop_at_ms, os_mono_ms() + (again ? 0 : timeout_ms));
    atomic_store(&life->stopping, true);
    os_mutex_unlock(&life->lock);

    if (!again) {
        port_post(relay->port, &life->stop);
    } else if (lifecycle_try_ref(relay)) {
        timers_arm(&relay->timers, &life->deadline, 0);
        lifecycle_unref(relay);
    }
}

void run_stop(struct relay *relay, bool now)
{
    os_mutex_lock(&relay->lifecycle.lock); /* a reload may swap it just now */
    uint64_t timeout_ms = relay->conf->stop_timeout_ms;
    os_mutex_unlock(&relay->lifecycle.lock);
    stop_after(relay, now ? 0 : timeout_ms);
}

void run_stop_over(struct relay *relay, uint64_t over_ms)
{
    const struct server_drain_plan plan = {.over_ms = over_ms, .kill = true};
    const struct drain_of of = of_all(relay);
    struct server_drain_info info;
    standstill_check_outside(&relay->standstill);
    /* The first step counts again what could not be counted now. */
    if (!atomic_load(&relay->lifecycle.stopping))
        (void)drain_begin(&relay->drain, &of, &plan, os_mono_ms(), &info);
    stop_after(relay, over_ms);
}

bool run_hand_over(struct relay *relay, uint32_t timeout_ms)
{
    struct lifecycle *life = &relay->lifecycle;
    standstill_check_outside(&relay->standstill);
    uint64_t until = os_mono_ms() + timeout_ms;
    atomic_store(&life->handing_over, true);
    if (!atomic_load(&life->stopping)) /* only one hands over, but it may be stopping already */
        run_stop(relay, false);
    return listening_await_none(relay, until); /* the worker that closes a socket wakes it */
}

void run_on_wake(struct worker *worker, struct op *op)
{
    struct relay *relay = worker->relay;
    struct lifecycle *life = &relay->lifecycle;
    if (op == &life->start) {
        atomic_store(&life->running, true);
        stat_sample(relay->stat, worker->now_ms);
        arm_second(worker);
        for (size_t i = 0; i < relay->route_count; i++) {
            pending_tell_throttle(relay->routes[i], worker);
            schedule_route(relay->routes[i]);
        }
        each_listener(worker, listener_start);
        os_mutex_lock(&life->lock);
        life->accepting = true;
        os_cond_wake_all(&life->changed);
        os_mutex_unlock(&life->lock);
        return;
    }
    assert(op == &life->stop);
    each_listener(worker, listener_stop);
    probes_stop(worker);
    guard_stop(worker);
    timers_arm(&relay->timers, &life->deadline,
               drain_is_on(&relay->drain) ? 0 : atomic_load(&life->stop_at_ms));
    lifecycle_unref(relay); /* the relay itself */
}
