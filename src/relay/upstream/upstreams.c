#include "relay/upstream/upstreams.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "relay/core/schedule.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/queue/queue.h"
#include "relay/relay.h"
#include "relay/upstream/resolver.h"

#define PORTS_LOW_PERCENT 80 /* of the local ports: time to warn */
#define PORTS_FEW         512

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
}

/* ---- places ---- */

enum route_outcome upstreams_pick(struct pair *pair, struct worker *worker,
                                  struct route_target *target)
{
    struct relay_route *route = pair->route;
    os_mutex_lock(&route->upstreams.lock);
    enum route_outcome outcome = route_pick(route->upstreams.route, &pair->attempt.cursor,
                                            &pair->client.peer, worker->now_ms, target);
    os_mutex_unlock(&route->upstreams.lock);
    if (outcome == ROUTE_PICKED) {
        pair->attempt.has_place = true;
        pair->attempt.server_fails = target->fails;
        pair->attempt.upstream_index = (uint16_t)target->upstream;
        pair->attempt.server_index = (uint32_t)target->server;
    }
    return outcome;
}

void upstreams_give(struct pair *pair)
{
    struct relay_route *route = pair->route;
    if (!pair->attempt.has_place)
        return;
    pair->attempt.has_place = false;
    os_mutex_lock(&route->upstreams.lock);
    route_give(route->upstreams.route, pair->attempt.upstream_index,
               pair->attempt.server_index);
    os_mutex_unlock(&route->upstreams.lock);
    if (queue_count(&route->queue) > 0)
        schedule_route(route);
}

void upstreams_connected(struct pair *pair, uint64_t now_ms)
{
    struct upstreams *upstreams = &pair->route->upstreams;
    assert(pair->attempt.has_place);
    os_mutex_lock(&upstreams->lock);
    route_note_connect(upstreams->route, pair->attempt.upstream_index,
                       pair->attempt.server_index, ERR_OK, now_ms);
    os_mutex_unlock(&upstreams->lock);
}

void upstreams_failed(struct pair *pair, enum err err, uint64_t now_ms)
{
    struct relay_route *route = pair->route;
    struct addr client = guard_client_net(route->relay->conf, &pair->client.peer).addr;
    assert(pair->attempt.has_place);
    os_mutex_lock(&route->upstreams.lock);
    if (err != ERR_OK)
        route_note_connect(route->upstreams.route, pair->attempt.upstream_index,
                           pair->attempt.server_index, err, now_ms);
    route_note_failure(route->upstreams.route, pair->attempt.upstream_index,
                       pair->attempt.server_index, &client, now_ms);
    os_mutex_unlock(&route->upstreams.lock);
    resolver_hurry(route->relay->resolver, route, pair->attempt.upstream_index);
    schedule_route(route);
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

enum err upstream_open(struct relay_upstream **out, size_t source_count)
{
    struct relay_upstream *upstream = calloc(1, sizeof *upstream);
    if (upstream == NULL)
        return ERR_NOMEM;
    os_mutex_init(&upstream->drain.lock, LOCK_DRAIN);
    upstream->scope = SIZE_MAX;
    upstream->quota.limit = UINT32_MAX;
    upstream->sources = calloc(source_count, sizeof *upstream->sources);
    if (upstream->sources == NULL) {
        free(upstream);
        return ERR_NOMEM;
    }
    *out = upstream;
    return ERR_OK;
}

void upstream_close(struct relay_upstream *upstream, struct relay *relay)
{
    if (upstream->scope != SIZE_MAX)
        stat_end_scope(relay->stat, upstream->scope);
    free(upstream->sources);
    free(upstream);
}

enum err upstreams_open(struct relay_route *route)
{
    struct upstreams *upstreams = &route->upstreams;
    const struct conf_route *conf = route->conf;
    size_t source_count = upstreams_source_count(conf);
    os_mutex_init(&upstreams->lock, LOCK_UPSTREAMS);
    upstreams->each = calloc(conf->upstream_count, sizeof(struct relay_upstream *));
    if (upstreams->each == NULL)
        return ERR_NOMEM;
    for (; upstreams->count < conf->upstream_count; upstreams->count++) {
        enum err err = upstream_open(&upstreams->each[upstreams->count], source_count);
        if (err != ERR_OK)
            goto undo;
    }
    if (route_open(&upstreams->route, conf, os_random(), os_mono_ms()) == ERR_OK)
        return ERR_OK;
undo:
    upstreams_close(route);
    return ERR_NOMEM;
}

void upstreams_begin(struct relay_route *route)
{
    struct upstreams *upstreams = &route->upstreams;
    for (size_t i = 0; i < upstreams->count; i++) {
        if (upstreams->each[i]->scope != SIZE_MAX)
            continue;
        enum err err =
            stat_begin_scope(route->relay->stat, STAT_UPSTREAM, &upstreams->each[i]->scope);
        assert(err == ERR_OK);
        (void)err;
    }
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
