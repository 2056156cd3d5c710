/* What can be seen of the server; see server_info.h. */
#include <stdlib.h>
#include <string.h>

#include "os/limits.h"
#include "os/os.h"
#include "relay/accept/listener.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/queue/drain.h"
#include "relay/queue/pace.h"
#include "relay/server.h"
#include "relay/server_info.h"
#include "relay/server_private.h"

static uint64_t buffers_used(const struct relay *relay)
{
    int64_t used = 0;
    for (unsigned i = 0; i < relay->worker_count; i++)
        used += atomic_load_explicit(&relay->workers[i].cache.used, memory_order_relaxed);
    return used > 0 ? (uint64_t)used : 0; /* the workers are not read at one instant */
}

static void fill_guard(const struct guard *guard, struct server_info *out)
{
    clients_get_info(guard->clients, &out->clients);
    out->bans = bans_count(guard->bans);
    out->tarpit_held = atomic_load(&guard->tarpit.held);
    out->tarpit_max = guard->tarpit.max;
    out->tarpit_total = atomic_load(&guard->tarpit.total);
    out->tarpit_full_total = atomic_load(&guard->tarpit.full_total);
}

void server_get_info(struct server *server, struct server_info *out)
{
    struct relay *relay = &server->relay;
    uint64_t now = os_mono_ms();
    server_hold(server);
    uint64_t stop_at = atomic_load(&relay->lifecycle.stop_at_ms);
    memset(out, 0, sizeof *out);
    out->state = SERVER_RUNNING;
    if (atomic_load(&relay->lifecycle.stopping))
        out->state = lifecycle_is_stopped(relay) ? SERVER_STOPPED : SERVER_STOPPING;
    out->uptime_ms = now - relay->started_ms;
    out->stop_drains = out->state == SERVER_STOPPING && drain_is_on(&relay->drain);
    out->stop_left_ms = out->state == SERVER_STOPPING && stop_at > now ? stop_at - now : 0;
    out->workers = relay->worker_count;
    out->sessions_open = atomic_load(&relay->quota.used);
    out->sessions_peak = atomic_load(&relay->quota.peak);
    out->sessions_max = relay->quota.limit;
    out->descriptors_used = os_descriptor_count();
    out->descriptors_limit = os_descriptor_limit();
    out->resident_bytes = os_resident_bytes();
    out->memory_limit = os_memory_limit();
    out->cpu_us = os_cpu_us();
    struct gauge_backlog backlog;
    gauges_get_backlog(&relay->gauges, &backlog);
    out->backlog_known = backlog.known;
    out->backlog_drops_total = backlog.drops;
    out->backlog_overflows_total = backlog.overflows;
    out->backlog_drops_per_s = backlog.drops_per_s;
    out->backlog_limit = os_backlog_limit();
    out->buffers_used = buffers_used(relay);
    out->buffer_bytes = buffers_memory(&relay->buffers);
    port_get_stats(relay->port, &out->port);
    fill_guard(&relay->guard, out);
    struct standstill_info standstills;
    standstill_get(&relay->standstill, &standstills);
    out->standstills_total = standstills.total;
    out->standstill_last_ms = standstills.last_ms;
    out->standstill_last_ago_ms = standstills.last_ago_ms;
    server_release(server);
}

/* The total adds the histograms of the routes up bucket by bucket. */
static void summarise_routes(struct relay *relay,
                             void (*add)(const struct stat *, struct histogram *),
                             struct histogram_summary *out)
{
    struct histogram *sum = calloc(1, sizeof *sum);
    if (sum == NULL) {
        memset(out, 0, sizeof *out);
        return;
    }
    add(relay->stat, sum);
    histogram_summarise(sum, out);
    free(sum);
}

static void add_would_refuse(const struct relay_route *route, struct server_totals *out)
{
    for (size_t i = 0; i < REASON_COUNT; i++)
        out->would_refuse[i] +=
            atomic_load_explicit(&route->guard.would_refuse[i], memory_order_relaxed);
}

void server_get_totals(struct server *server, struct server_totals *out)
{
    struct relay *relay = &server->relay;
    memset(out, 0, sizeof *out);
    out->sessions_open = atomic_load(&relay->quota.used);
    out->sessions_peak = atomic_load(&relay->quota.peak);
    stat_read_total(relay->stat, &out->sums);
    stat_rates_total(relay->stat, 1, &out->rate_1s);
    stat_rates_total(relay->stat, 10, &out->rate_10s);
    stat_rates_total(relay->stat, 60, &out->rate_60s);
    summarise_routes(relay, stat_add_connect_us, &out->connect_us);
    summarise_routes(relay, stat_add_length_ms, &out->length_ms);
    for (size_t i = 0; i < relay->route_count + relay->removed_count; i++)
        add_would_refuse(relay->routes[i], out);
    for (size_t i = 0; i < REASON_COUNT; i++)
        out->would_refuse[i] += relay->would_refuse_gone[i];
}

static void fill_totals(struct relay *relay, size_t scope, const struct quota *quota,
                        struct server_totals *out)
{
    out->sessions_open = atomic_load(&quota->used);
    out->sessions_peak = atomic_load(&quota->peak);
    stat_read(relay->stat, scope, &out->sums);
    stat_rates(relay->stat, scope, 1, &out->rate_1s);
    stat_rates(relay->stat, scope, 10, &out->rate_10s);
    stat_rates(relay->stat, scope, 60, &out->rate_60s);
    histogram_summarise(stat_connect_us(relay->stat, scope), &out->connect_us);
    histogram_summarise(stat_length_ms(relay->stat, scope), &out->length_ms);
}

static enum err fill_sources(struct relay_route *route, size_t index,
                             struct server_upstream_info *out)
{
    const struct conf_route *conf = route->conf;
    out->source_count = upstreams_source_count(conf);
    out->sources = calloc(out->source_count, sizeof *out->sources);
    if (out->sources == NULL)
        return ERR_NOMEM;
    uint32_t limit = upstreams_source_limit(route, index);
    for (size_t i = 0; i < out->source_count; i++) {
        if (conf->source_count > 0)
            out->sources[i].source = conf->sources[i];
        out->sources[i].used = atomic_load_explicit(
            &route->upstreams.each[index]->sources[i].used, memory_order_relaxed);
        out->sources[i].limit = limit;
    }
    return ERR_OK;
}

/* What the route has of its servers is its own: here is a copy. */
static enum err fill_state(struct relay_route *route, size_t index,
                           struct route_upstream_info *out)
{
    os_mutex_lock(&route->upstreams.lock);
    route_get_upstream(route->upstreams.route, index, os_mono_ms(), out);
    struct route_server_info *servers = calloc(out->server_count + 1, sizeof *servers);
    if (servers != NULL && out->server_count > 0)
        memcpy(servers, out->servers, out->server_count * sizeof *servers);
    os_mutex_unlock(&route->upstreams.lock);
    out->servers = servers;
    return servers == NULL ? ERR_NOMEM : ERR_OK;
}

static enum err fill_upstream(struct relay *relay, struct relay_route *route, size_t index,
                              struct server_upstream_info *out)
{
    struct relay_upstream *upstream = route->upstreams.each[index];
    struct resolver_info resolved;
    out->conf = &route->conf->upstreams[index];
    if (fill_state(route, index, &out->state) != ERR_OK)
        return ERR_NOMEM;
    drain_get_upstream_info(route, index, os_mono_ms(), &out->drain);
    fill_totals(relay, upstream->scope, &upstream->quota, &out->totals);
    out->is_name = resolver_get_info(relay->resolver, route, index, &resolved);
    out->resolved_ms = resolved.resolved_ms;
    out->resolve_failures_total = resolved.failures_total;
    str_format(out->resolve_why, sizeof out->resolve_why, "%s", resolved.why);
    return fill_sources(route, index, out);
}

static void fill_listeners(const struct relay_route *route, struct server_route_info *out)
{
    size_t at = 0;
    for (size_t i = 0; i < out->listener_count; i++) {
        const struct conf_listen *conf = &route->conf->listens[i];
        out->listeners[i].addr = conf->addr;
        out->listeners[i].port_count = conf->port_count;
        out->listeners[i].dual_stack = conf->dual_stack;
        for (uint16_t k = 0; k < conf->port_count; k++, at++)
            if (atomic_load(&route->listeners[at]->starved))
                out->listeners[i].starved = true;
    }
}

static void fill_throttle(struct relay_route *route, struct server_route_info *out)
{
    uint64_t now_ms = os_mono_ms();
    struct throttle_info throttle;
    throttle_get_info(&route->throttle, now_ms, &throttle);
    out->paused = throttle.paused;
    out->frozen = pace_is_frozen(route);
    out->ramps = throttle.ramps;
    out->paused_ms = throttle.paused_ms;
    str_format(out->paused_by, sizeof out->paused_by, "%s", throttle.paused_by);
    drain_get_route_info(route, now_ms, &out->drain);
    out->headers = atomic_load(&route->headers.used);
    out->headers_max = route->headers.limit;
    out->held = queue_count(&route->queue);
    out->held_left = atomic_load(&route->queue.left_count);
    out->held_max = route->conf->queue_max;
    out->held_peak = atomic_load(&route->queue.quota.peak);
    out->held_total = atomic_load(&route->queue.total);
}

static enum err fill_route(struct relay *relay, struct relay_route *route,
                           struct server_route_info *out)
{
    const struct conf_route *conf = route->conf;
    out->conf = conf;
    out->listeners = calloc(conf->listen_count, sizeof *out->listeners);
    out->upstreams = calloc(conf->upstream_count, sizeof *out->upstreams);
    if (out->listeners == NULL || out->upstreams == NULL)
        return ERR_NOMEM;
    out->listener_count = conf->listen_count;
    out->upstream_count = conf->upstream_count;
    fill_totals(relay, route->scope, &route->quota, &out->totals);
    add_would_refuse(route, &out->totals);
    fill_throttle(route, out);
    fill_listeners(route, out);
    for (size_t i = 0; i < conf->upstream_count; i++) {
        enum err err = fill_upstream(relay, route, i, &out->upstreams[i]);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err server_get_routes(struct server *server, struct server_route_info **out, size_t *count)
{
    struct relay *relay = &server->relay;
    struct server_route_info *routes = calloc(relay->route_count, sizeof *routes);
    if (routes == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < relay->route_count; i++) {
        enum err err = fill_route(relay, relay->routes[i], &routes[i]);
        if (err != ERR_OK) {
            server_free_routes(routes, relay->route_count);
            return err;
        }
    }
    *out = routes;
    *count = relay->route_count;
    return ERR_OK;
}

void server_free_routes(struct server_route_info *routes, size_t count)
{
    if (routes == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        free(routes[i].listeners);
        for (size_t k = 0; k < routes[i].upstream_count; k++) {
            free(routes[i].upstreams[k].sources);
            free(routes[i].upstreams[k].state.servers);
        }
        free(routes[i].upstreams);
    }
    free(routes);
}

enum err server_get_removed(struct server *server, struct server_removed_info **out,
                            size_t *count)
{
    struct relay *relay = &server->relay;
    struct server_removed_info *removed = calloc(relay->removed_count + 1, sizeof *removed);
    if (removed == NULL)
        return ERR_NOMEM;
    size_t filled = 0;
    for (size_t i = 0; i < relay->removed_count; i++) {
        struct relay_route *route = relay->routes[relay->route_count + i];
        struct server_removed_info *info = &removed[filled];
        info->conf = route->conf;
        fill_totals(relay, route->scope, &route->quota, &info->totals);
        info->held = queue_count(&route->queue);
        filled +=
            info->totals.sessions_open > 0; /* else it is kept until the next reload only */
    }
    *out = removed;
    *count = filled;
    return ERR_OK;
}

enum err server_get_sessions(struct server *server, size_t route,
                             struct server_session_info **out, size_t *count)
{
    struct pair **pairs;
    size_t pair_count;
    enum err err = table_all(&server->relay.table, &pairs, &pair_count);
    if (err != ERR_OK)
        return err;

    struct server_session_info *sessions = calloc(pair_count + 1, sizeof *sessions);
    size_t used = 0;
    for (size_t i = 0; i < pair_count; i++) {
        bool wanted = route == SIZE_MAX || pairs[i]->route->index == route;
        if (sessions != NULL && wanted && pair_get_info(pairs[i], false, &sessions[used]))
            used++;
        pair_unref(pairs[i]);
    }
    free(pairs);
    if (sessions == NULL)
        return ERR_NOMEM;
    *out = sessions;
    *count = used;
    return ERR_OK;
}

enum err server_get_session(struct server *server, uint64_t id, struct server_session_info *out)
{
    struct pair *pair = table_find(&server->relay.table, id);
    if (pair == NULL)
        return ERR_NOT_FOUND;
    bool open = pair_get_info(pair, true, out);
    pair_unref(pair);
    return open ? ERR_OK : ERR_NOT_FOUND;
}
