#include "relay/core/lifecycle.h"

#include "base/log.h"
#include "relay/core/worker.h"
#include "relay/relay.h"

void lifecycle_each_log(struct relay *relay,
                        void (*account)(struct log_limit *limit, enum log_level level,
                                        const char *what))
{
    account(&relay->descriptor_log, LOG_ERROR, "listeners that can't take clients");
    account(&relay->memory_log, LOG_ERROR, "memory that sessions did not get");
    account(&relay->guard.ban_log, LOG_WARNING, "clients banned by ban_after");
    for (size_t i = 0; i < relay->route_count + relay->removed_count; i++) {
        struct relay_route *route = relay->routes[i];
        char what[2 * CONF_HOST_MAX];
        str_format(what, sizeof what, "route '%s': clients refused", route->conf->name);
        account(&route->refuse_log, LOG_WARNING, what);
        str_format(what, sizeof what, "route '%s': clients that would be refused",
                   route->conf->name);
        account(&route->guard.would_log, LOG_WARNING, what);
        for (size_t k = 0; k < route->conf->upstream_count; k++) {
            str_format(what, sizeof what, "route '%s': upstream '%s': failed connects",
                       route->conf->name, route->conf->upstreams[k].name);
            account(&route->upstreams.each[k]->connect_log, LOG_WARNING, what);
            for (size_t n = 0; n < upstreams_source_count(route->conf); n++)
                account(&route->upstreams.each[k]->sources[n].log, LOG_WARNING,
                        "upstreams with few local ports left");
        }
    }
}

/* ---- references ---- */

void lifecycle_ref(struct relay *relay)
{
    atomic_fetch_add(&relay->lifecycle.refs, 1);
}

void lifecycle_unref(struct relay *relay)
{
    if (atomic_fetch_sub(&relay->lifecycle.refs, 1) == 1)
        port_post(relay->port, &relay->lifecycle.exit);
}

bool lifecycle_try_ref(struct relay *relay)
{
    struct lifecycle *life = &relay->lifecycle;
    uint32_t refs = atomic_load(&life->refs);
    while (refs > 0 && atomic_load(&life->running))
        if (atomic_compare_exchange_weak(&life->refs, &refs, refs + 1))
            return true;
    return false;
}

/* ---- workers ---- */

void lifecycle_worker_entered(struct worker *worker, enum err err)
{
    struct lifecycle *life = &worker->relay->lifecycle;
    os_mutex_lock(&life->lock);
    life->entered++;
    if (err != ERR_OK) {
        life->enter_err = err;
        life->leaving++;
        life->left++;
    }
    os_cond_wake_all(&life->changed);
    os_mutex_unlock(&life->lock);
}

/* Who is the last is decided when it gets the message. Later would be too late: the next one
 * has it before this one has counted itself as gone. */
bool lifecycle_worker_leaves(struct worker *worker)
{
    struct lifecycle *life = &worker->relay->lifecycle;
    os_mutex_lock(&life->lock);
    bool last = ++life->leaving == life->workers;
    os_mutex_unlock(&life->lock);
    return last;
}

void lifecycle_worker_left(struct worker *worker, bool last)
{
    struct relay *relay = worker->relay;
    if (last)
        lifecycle_each_log(relay, log_limit_end);
    else
        port_post(relay->port, &relay->lifecycle.exit);
    os_mutex_lock(&relay->lifecycle.lock);
    relay->lifecycle.left++;
    os_cond_wake_all(&relay->lifecycle.changed);
    os_mutex_unlock(&relay->lifecycle.lock);
}

/* ---- the end ---- */

bool lifecycle_is_stopped(struct relay *relay)
{
    return lifecycle_wait_stopped(relay, 0);
}

bool lifecycle_wait_stopped(struct relay *relay, uint32_t timeout_ms)
{
    struct lifecycle *life = &relay->lifecycle;
    uint64_t until = os_mono_ms() + timeout_ms;
    os_mutex_lock(&life->lock);
    while (life->left < life->workers) {
        uint64_t now = os_mono_ms();
        if (timeout_ms != UINT32_MAX && now >= until)
            break;
        uint32_t wait = timeout_ms == UINT32_MAX ? UINT32_MAX : (uint32_t)(until - now);
        os_cond_wait(&life->changed, &life->lock, wait);
    }
    bool stopped = life->left == life->workers;
    os_mutex_unlock(&life->lock);
    return stopped;
}
