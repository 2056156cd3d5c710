#include "relay/upstream/upstreams.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "relay/core/sessions.h"
#include "relay/core/worker.h"
#include "relay/queue/held.h"
#include "relay/relay.h"
#include "relay/session/pair.h"
#include "relay/upstream/probe.h"
#include "relay/upstream/resolver.h"

#define PORTS_LOW_PERCENT 80 /* of the local ports: time to warn */
#define PORTS_FEW         512

static struct relay_route *route_of(struct timer *timer)
{
    return (struct relay_route *)((char *)timer -
                                  offsetof(struct relay_route, upstreams.timer));
}

/* ---- what follows ---- */

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

void upstreams_see_gate(struct relay_route *route, struct worker *worker)
{
    os_mutex_lock(&route->upstreams.lock);
    bool up = route_is_up(route->upstreams.route, worker->now_ms);
    os_mutex_unlock(&route->upstreams.lock);
    gate_see(route, up, worker->now_ms);
    gate_settle(route, worker->now_ms);
}

static void follow(struct relay_route *route, struct worker *worker)
{
    struct relay *relay = route->relay;
    uint32_t stirs = atomic_load(&route->upstreams.stirs);
    see_changes(route);
    upstreams_see_gate(route, worker);
    uint64_t next_ms = held_serve(route, worker);
    uint64_t drain_ms = drain_step_route(route, worker->now_ms);
    next_ms = drain_ms < next_ms ? drain_ms : next_ms;
    if (!atomic_load(&relay->lifecycle.stopping) && route->index != SIZE_MAX) {
        uint64_t check_ms = begin_checks(route, worker);
        next_ms = check_ms < next_ms ? check_ms : next_ms;
    }
    if (next_ms != UINT64_MAX)
        timers_arm(&relay->timers, &route->upstreams.timer, next_ms);
    /* Who stirred meanwhile may have armed it before that. */
    if (atomic_load(&route->upstreams.stirs) != stirs)
        timers_arm(&relay->timers, &route->upstreams.timer, 0);
}

static void on_timer(struct timer *timer, struct worker *worker)
{
    follow(route_of(timer), worker);
}

static const struct timer_kind upstreams_timer = {.hold = NULL, .fire = on_timer};

void upstreams_stir(struct relay_route *route)
{
    struct relay *relay = route->relay;
    if (!lifecycle_keep(relay))
        return; /* what has happened is seen when the workers begin, or it is too late */
    atomic_fetch_add(&route->upstreams.stirs, 1);
    timers_arm(&relay->timers, &route->upstreams.timer, 0);
    lifecycle_part_ended(relay);
}

static struct source_use *source_use(struct relay_route *route, size_t upstream,
                                     unsigned number)
{
    return &route->upstreams.each[upstream]->sources[number];
}

static void look_at_source(struct relay_route *route, size_t upstream, unsigned number)
{
    const struct conf_route *conf = route->conf;
    struct source_use *use = source_use(route, upstream, number);
    char source[ADDR_TEXT_MAX];
    uint32_t used = atomic_load_explicit(&use->used, memory_order_relaxed);
    if (used < PORTS_FEW)
        return; /* no system has so few */
    uint32_t limit = upstreams_source_limit(route, upstream);
    if (limit == 0 || (uint64_t)used * 100 < (uint64_t)limit * PORTS_LOW_PERCENT)
        return;
    log_limited(&use->log, LOG_WARNING,
                "route '%s': upstream '%s': %u of %u local ports of %s are in use; give the "
                "route more addresses with source = IP,IP",
                conf->name, conf->upstreams[upstream].name, used, limit,
                conf->source_count == 0 ? "this machine"
                                        : addr_format_ip(&conf->sources[number], source));
}

/* Before connects fail for want of local ports. */
static void look_at_ports(struct relay_route *route)
{
    size_t source_count = upstreams_source_count(route->conf);
    for (size_t i = 0; i < route->conf->upstream_count; i++)
        for (unsigned k = 0; k < source_count; k++)
            look_at_source(route, i, k);
}

void upstreams_tick(struct relay_route *route, struct worker *worker)
{
    os_mutex_lock(&route->upstreams.lock);
    route_tick(route->upstreams.route, worker->now_ms);
    os_mutex_unlock(&route->upstreams.lock);
    look_at_ports(route);
    follow(route, worker);
}

/* ---- places ---- */

enum route_outcome upstreams_pick(struct pair *pair, struct worker *worker,
                                  struct route_target *target)
{
    struct relay_route *route = pair->route;
    os_mutex_lock(&route->upstreams.lock);
    enum route_outcome outcome = route_pick(route->upstreams.route, &pair->cursor,
                                            &pair->client.peer, worker->now_ms, target);
    os_mutex_unlock(&route->upstreams.lock);
    if (outcome == ROUTE_PICKED) {
        pair->has_place = true;
        pair->server_fails = target->fails;
        pair->upstream_index = (uint16_t)target->upstream;
        pair->server_index = (uint32_t)target->server;
    }
    return outcome;
}

void upstreams_give(struct pair *pair)
{
    struct relay_route *route = pair->route;
    if (!pair->has_place)
        return;
    pair->has_place = false;
    os_mutex_lock(&route->upstreams.lock);
    route_give(route->upstreams.route, pair->upstream_index, pair->server_index);
    os_mutex_unlock(&route->upstreams.lock);
    if (held_count(&route->held) > 0)
        upstreams_stir(route);
}

void upstreams_connected(struct pair *pair, uint64_t now_ms)
{
    struct upstreams *upstreams = &pair->route->upstreams;
    assert(pair->has_place);
    os_mutex_lock(&upstreams->lock);
    route_note_connect(upstreams->route, pair->upstream_index, pair->server_index, ERR_OK,
                       now_ms);
    os_mutex_unlock(&upstreams->lock);
}

void upstreams_failed(struct pair *pair, enum err err, uint64_t now_ms)
{
    struct relay_route *route = pair->route;
    struct addr client = guard_client_net(route->relay->conf, &pair->client.peer).addr;
    assert(pair->has_place);
    os_mutex_lock(&route->upstreams.lock);
    if (err != ERR_OK)
        route_note_connect(route->upstreams.route, pair->upstream_index, pair->server_index,
                           err, now_ms);
    route_note_failure(route->upstreams.route, pair->upstream_index, pair->server_index,
                       &client, now_ms);
    os_mutex_unlock(&route->upstreams.lock);
    resolver_hurry(route->relay->resolver, route, pair->upstream_index);
    upstreams_stir(route);
}

/* ---- local addresses ---- */

bool upstreams_next_source(struct relay_route *route, const struct addr *to,
                           struct addr *source, unsigned *number)
{
    const struct conf_route *conf = route->conf;
    *number = 0;
    if (conf->source_count == 0)
        return false;
    unsigned first =
        atomic_fetch_add_explicit(&route->upstreams.next_source, 1, memory_order_relaxed);
    for (size_t i = 0; i < conf->source_count; i++) {
        unsigned at = (unsigned)((first + i) % conf->source_count);
        if (conf->sources[at].family != to->family)
            continue;
        *source = conf->sources[at];
        *number = at;
        return true;
    }
    return false;
}

uint32_t upstreams_source_limit(struct relay_route *route, size_t upstream)
{
    struct addr addrs[ROUTE_SERVERS_MAX];
    os_mutex_lock(&route->upstreams.lock);
    size_t servers = route_get_addrs(route->upstreams.route, upstream, addrs);
    os_mutex_unlock(&route->upstreams.lock);
    uint64_t limit = (uint64_t)os_ephemeral_ports() * (servers > 0 ? servers : 1) *
                     route->conf->upstreams[upstream].port_count;
    return limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX;
}

void upstreams_source_begins(struct relay_route *route, size_t upstream, unsigned number)
{
    atomic_fetch_add_explicit(&source_use(route, upstream, number)->used, 1,
                              memory_order_relaxed);
}

void upstreams_source_ended(struct relay_route *route, size_t upstream, unsigned number)
{
    atomic_fetch_sub_explicit(&source_use(route, upstream, number)->used, 1,
                              memory_order_relaxed);
}

/* ---- open and close ---- */

enum err upstream_open(struct relay_upstream **out, struct relay *relay, size_t source_count)
{
    struct relay_upstream *upstream = calloc(1, sizeof *upstream);
    if (upstream == NULL)
        return ERR_NOMEM;
    upstream->quota.limit = UINT32_MAX;
    upstream->sources = calloc(source_count, sizeof *upstream->sources);
    if (upstream->sources == NULL ||
        stat_begin_scope(relay->stat, STAT_UPSTREAM, &upstream->scope) != ERR_OK) {
        free(upstream->sources);
        free(upstream);
        return ERR_NOMEM;
    }
    *out = upstream;
    return ERR_OK;
}

void upstream_close(struct relay_upstream *upstream, struct relay *relay)
{
    stat_end_scope(relay->stat, upstream->scope);
    free(upstream->sources);
    free(upstream);
}

enum err upstreams_open(struct relay_route *route)
{
    struct upstreams *upstreams = &route->upstreams;
    const struct conf_route *conf = route->conf;
    size_t source_count = upstreams_source_count(conf);
    timer_init(&upstreams->timer, &upstreams_timer);
    upstreams->each = calloc(conf->upstream_count, sizeof(struct relay_upstream *));
    if (upstreams->each == NULL)
        return ERR_NOMEM;
    for (; upstreams->count < conf->upstream_count; upstreams->count++) {
        enum err err =
            upstream_open(&upstreams->each[upstreams->count], route->relay, source_count);
        if (err != ERR_OK)
            goto undo;
    }
    if (route_open(&upstreams->route, conf, os_random(), os_mono_ms()) == ERR_OK)
        return ERR_OK;
undo:
    upstreams_close(route);
    return ERR_NOMEM;
}

void upstreams_close(struct relay_route *route)
{
    struct upstreams *upstreams = &route->upstreams;
    for (size_t i = 0; i < upstreams->count; i++)
        upstream_close(upstreams->each[i], route->relay);
    free(upstreams->each);
    upstreams->each = NULL;
    upstreams->count = 0;
    route_close(upstreams->route);
    upstreams->route = NULL;
}
