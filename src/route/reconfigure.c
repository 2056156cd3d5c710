/* reconfigure.c - a route goes on with another configuration. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/slots.h"
#include "config/value/keys.h"
#include "config/value/value.h"
#include "route/mix.h"
#include "route/route_private.h"

struct route_plan {
    const struct conf_route *conf; /* not owned */
    struct upstream *upstreams;    /* owned, conf->upstream_count of them, to be filled */
    size_t *order;                 /* owned, likewise */
    /* Where the number of failures that eject a server is another one: memory for the servers
     * that stay, of the size that they need then. Owned, as its elements; else NULL. */
    struct route_server **servers;
    size_t server_count;
};

/* ---- what needs memory ---- */

static bool prepare_servers(struct route_plan *plan, const struct route *route)
{
    if (plan->conf->eject.count == route->conf->eject.count)
        return true;
    size_t count = servers_count(route);
    plan->servers = calloc(count + 1, sizeof(struct route_server *));
    if (plan->servers == NULL)
        return false;
    for (; plan->server_count < count; plan->server_count++) {
        struct route_server *server = calloc(1, servers_size(plan->conf));
        if (server == NULL)
            return false;
        plan->servers[plan->server_count] = server;
    }
    return true;
}

enum err route_prepare(struct route_plan **out, const struct route *route,
                       const struct conf_route *conf)
{
    assert(conf->upstream_count >= route->upstream_count);
    struct route_plan *plan = calloc(1, sizeof *plan);
    if (plan == NULL)
        return ERR_NOMEM;
    plan->conf = conf;
    plan->upstreams = calloc(conf->upstream_count, sizeof *plan->upstreams);
    plan->order = calloc(conf->upstream_count, sizeof *plan->order);
    if (plan->upstreams == NULL || plan->order == NULL || !prepare_servers(plan, route)) {
        route_plan_free(plan);
        return ERR_NOMEM;
    }
    *out = plan;
    return ERR_OK;
}

void route_plan_free(struct route_plan *plan)
{
    if (plan == NULL)
        return;
    while (plan->server_count > 0)
        free(plan->servers[--plan->server_count]);
    free(plan->servers);
    free(plan->order);
    free(plan->upstreams);
    free(plan);
}

/* ---- carrying it out ---- */

static void move_server(struct route_plan *plan, struct upstream *owner, size_t slot)
{
    struct route_server *server = owner->servers[slot];
    if (plan->servers != NULL) {
        struct route_server *moved = plan->servers[--plan->server_count];
        *moved = *server; /* without its failures, which count anew */
        moved->failure_count = 0;
        free(server);
        owner->servers[slot] = server = moved;
    }
    server->upstream = owner;
}

static void drop_servers(struct upstream *upstream)
{
    assert(upstream->sessions == 0);
    for (size_t slot = 0; slot < upstream->slot_count; slot++)
        free(upstream->servers[slot]);
    free(upstream->servers);
}

static void fill_slot(struct route *route, struct route_plan *plan, size_t index)
{
    const struct conf_upstream *conf = &plan->conf->upstreams[index];
    struct upstream *to = &plan->upstreams[index];
    if (!slots_stay(route->conf, plan->conf, index)) {
        if (index < route->upstream_count) {
            drop_servers(&route->upstreams[index]);
            changes_forget(route, index);
        }
        *to = upstream_as_configured(conf, route->now_ms);
        return;
    }
    *to = route->upstreams[index];
    for (size_t slot = 0; slot < to->slot_count; slot++)
        if (to->servers[slot] != NULL)
            move_server(plan, to, slot);
}

/* What the operator has set is left alone where the file says what it said before. */
static void take_values(struct route *route, struct upstream *upstream,
                        const struct conf_upstream *conf)
{
    const struct conf_upstream *before = upstream->conf;
    bool back = before->removed && !conf->removed;
    bool was_disabled = upstream->admin == ROUTE_DISABLED;
    bool was_full = upstream_is_full(upstream);
    upstream->conf = conf;
    if (back || conf->weight != before->weight)
        upstream->weight = conf->weight;
    if (back || conf->max_sessions != before->max_sessions)
        upstream->max_sessions = conf->max_sessions;
    if (upstream_is_full(upstream) && !was_full)
        upstream->full_since_ms = route->now_ms;
    if (back || conf->disabled != before->disabled)
        upstream->admin = conf->disabled ? ROUTE_DISABLED : ROUTE_READY;
    if (upstream->admin == ROUTE_DISABLED || conf->removed)
        FOR_EACH_SERVER(server, upstream)
    state_forget_check(route, server);
    if (back || (was_disabled && upstream->admin != ROUTE_DISABLED))
        admin_begin_again(route, upstream, "reload");
}

static bool same_health(const struct conf_route *a, const struct conf_route *b)
{
    return value_equal(key_find(KEY_ROUTE, "health"), a, b);
}

static void change_server(struct route *route, struct route_server *server, bool checks_change)
{
    const struct conf_route *conf = route->conf;
    server->health.conf = &conf->health;
    server->ramps = server->ramps && server->upstream->conf->slow_start_ms != 0;
    if (server->gone)
        return;
    if (checks_change) {
        state_forget_check(route, server); /* it was one of the old kind */
        health_change(&server->health, &conf->health, mix_next(&route->random), route->now_ms);
    }
    if (conf->eject.count == 0)
        server->ejected_until_ms = 0;
    state_update_server(route, server, "reload");
}

static void change_servers(struct route *route, struct upstream *upstream, bool checks_change)
{
    for (size_t slot = 0; slot < upstream->slot_count; slot++)
        if (upstream->servers[slot] != NULL)
            change_server(route, upstream->servers[slot], checks_change);
}

void route_reconfigure(struct route *route, struct route_plan *plan, uint64_t now_ms)
{
    const struct conf_route *before = route->conf;
    const struct conf_route *conf = plan->conf;
    route_see_time(route, now_ms);
    for (size_t i = 0; i < conf->upstream_count; i++)
        fill_slot(route, plan, i);
    free(route->upstreams);
    free(route->order);
    route->upstreams = plan->upstreams;
    route->upstream_count = conf->upstream_count;
    route->order = plan->order;
    route->conf = conf;
    plan->upstreams = NULL;
    plan->order = NULL;
    route_plan_free(plan);
    route_put_in_order(conf, route->order);
    route->check_next = 0;

    bool checks_change = !same_health(before, conf);
    for (size_t i = 0; i < conf->upstream_count; i++) {
        struct upstream *upstream = &route->upstreams[i];
        take_values(route, upstream, &conf->upstreams[i]);
        change_servers(route, upstream, checks_change);
        state_update_upstream(route, upstream, NULL);
    }
    ready_refresh(route);
    route_note_opening(route);
}

bool route_slot_is_free(const struct route *route, size_t upstream)
{
    assert(upstream < route->upstream_count);
    return route->upstreams[upstream].conf->removed &&
           route->upstreams[upstream].sessions == 0 && route->changes_count == 0;
}
