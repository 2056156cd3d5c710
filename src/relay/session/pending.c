#include "relay/session/pending.h"

#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "relay/core/sessions.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/upstream/probe.h"

static struct relay_route *route_of(struct timer *timer)
{
    return (struct relay_route *)((char *)timer - offsetof(struct relay_route, pending));
}

/* ---- changes of servers ---- */

static void log_change(const struct relay_route *route, const struct route_change *change)
{
    char addr[ADDR_TEXT_MAX], lasted[STR_HUMAN_MAX];
    const char *name = route->conf->upstreams[change->upstream].name;
    addr_format(&change->addr, addr);
    /* An address that shows in the name need not be said again. */
    bool more = change->has_server &&
                route->conf->upstreams[change->upstream].port_count == 1 &&
                strcmp(addr, name) != 0;
    log_write(change->up_before && !change->up ? LOG_WARNING : LOG_NOTICE,
              "route '%s': upstream '%s'%s%s is %s, was %s for %s: %s", route->conf->name, name,
              more ? ", server " : "", more ? addr : "", change->to, change->from,
              str_human_duration(change->lasted_ms, lasted), change->cause);
}

/* The sessions of a server that went down. */
static void kill_sessions(struct relay_route *route, const struct route_change *change)
{
    struct session_filter there = {.route = route,
                                   .at_upstream = true,
                                   .upstream = change->upstream,
                                   .at_server = true,
                                   .server = change->server};
    size_t ended;
    if (sessions_end(route->relay, &there, REASON_UPSTREAM_DOWN, &ended) != ERR_OK) {
        log_error("route '%s': the sessions of upstream '%s' could not be ended: %s",
                  route->conf->name, route->conf->upstreams[change->upstream].name,
                  err_text(ERR_NOMEM));
        return;
    }
    if (ended > 0)
        log_notice("route '%s': upstream '%s' is down, %zu of its sessions ended",
                   route->conf->name, route->conf->upstreams[change->upstream].name, ended);
}

static void see_changes(struct relay_route *route)
{
    struct upstreams *upstreams = &route->upstreams;
    for (;;) {
        struct route_change change;
        uint64_t dropped = 0;
        os_mutex_lock(&upstreams->lock);
        bool some = route_take_change(upstreams->route, &change, &dropped);
        os_mutex_unlock(&upstreams->lock);
        if (dropped > 0)
            log_warning("route '%s': %llu earlier changes of upstreams were not logged",
                        route->conf->name, (unsigned long long)dropped);
        if (!some)
            return;
        log_change(route, &change);
        if (change.to_state == ROUTE_DOWN && change.has_server &&
            route->conf->on_down == CONF_KILL)
            kill_sessions(route, &change);
    }
}

/* Begins the checks that are due; gives when the next one is. */
static uint64_t begin_checks(struct relay_route *route, struct worker *worker)
{
    uint64_t next_ms = UINT64_MAX;
    while (probes_have_room(&route->relay->probes)) { /* a second later at most */
        struct route_check check;
        os_mutex_lock(&route->upstreams.lock);
        bool due = route_take_check(route->upstreams.route, worker->now_ms, &check, &next_ms);
        os_mutex_unlock(&route->upstreams.lock);
        if (!due)
            return next_ms;
        probe_begin(worker, route, &check);
    }
    return UINT64_MAX;
}

/* ---- turns of clients that wait ---- */

static void give_some_turns(struct relay_route *route, struct worker *worker)
{
    struct pair *pair;
    bool more = true;
    while (more && (pair = queue_next(route, worker->now_ms)) != NULL) {
        more = pair_serve(pair, worker);
        pair_unref(pair);
        if (!more)
            queue_take_back_turn(route);
    }
}

/* As long as upstreams take them. Returns when a turn may follow that only waits for time;
 * UINT64_MAX: none. */
static uint64_t give_turns(struct relay_route *route, struct worker *worker)
{
    if (queue_begin_turns(&route->queue)) {
        do
            give_some_turns(route, worker);
        while (!queue_end_turns(&route->queue));
    }
    return queue_next_ms(route, worker->now_ms);
}

/* ---- all of it ---- */

void pending_tell_throttle(struct relay_route *route, struct worker *worker)
{
    os_mutex_lock(&route->upstreams.lock);
    bool up = route_is_up(route->upstreams.route, worker->now_ms);
    os_mutex_unlock(&route->upstreams.lock);
    throttle_set_up(route, up, worker->now_ms);
    throttle_settle(route, worker->now_ms);
}

void pending_run(struct relay_route *route, struct worker *worker)
{
    struct relay *relay = route->relay;
    uint32_t scheduled = atomic_load(&route->scheduled);
    see_changes(route);
    pending_tell_throttle(route, worker);
    uint64_t next_ms = give_turns(route, worker);
    uint64_t drain_ms = drain_step_route(route, worker->now_ms);
    next_ms = drain_ms < next_ms ? drain_ms : next_ms;
    if (!atomic_load(&relay->lifecycle.stopping) && route->index != SIZE_MAX) {
        uint64_t check_ms = begin_checks(route, worker);
        next_ms = check_ms < next_ms ? check_ms : next_ms;
    }
    if (next_ms != UINT64_MAX)
        timers_arm(&relay->timers, &route->pending, next_ms);
    /* Who scheduled it meanwhile may have armed it before that. */
    if (atomic_load(&route->scheduled) != scheduled)
        timers_arm(&relay->timers, &route->pending, 0);
}

static void on_timer(struct timer *timer, struct worker *worker)
{
    pending_run(route_of(timer), worker);
}

static const struct timer_kind pending_timer = {.ref = NULL, .fire = on_timer};

void pending_init(struct relay_route *route)
{
    timer_init(&route->pending, &pending_timer);
}
