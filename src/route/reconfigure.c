/* reconfigure.c - a route goes on with another configuration. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config/diff.h"
#include "config/slots.h"
#include "route/mix.h"
#include "route/route_private.h"

/* Room for the servers of an upstream. */
struct room {
    struct route_server **servers; /* owned; NULL: what it has is enough */
    size_t count;
};

struct route_plan {
    const struct conf_route *conf; /* not owned */
    struct upstream *upstreams;    /* owned, conf->upstream_count of them, to be filled */
    size_t *order;                 /* owned, likewise */
    /* Where the number of failures that eject a server is another one: memory for the servers
     * that stay, of the size that they need then. Owned, as its elements; else NULL. */
    struct route_server **servers;
    size_t server_count;

    /* For addresses that come with the plan; all owned, NULL where there are none. */
    struct room *rooms; /* conf->upstream_count of them */
    struct route_server **spares;
    size_t spare_count;
    struct route_server **ready, **choice; /* as in struct route, with room for all */
    struct route_server_info *shown;
    size_t ready_size;
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

static bool make_room(struct route_plan *plan, const struct route *route, size_t index,
                      size_t more)
{
    struct room *room = &plan->rooms[index];
    if (more == 0)
        return true;
    if (slots_stay(route->conf, plan->conf, index))
        room->count = route->upstreams[index].slot_count;
    room->count += more;
    room->servers = calloc(room->count, sizeof(struct route_server *));
    return room->servers != NULL;
}

static bool make_lists(struct route_plan *plan, const struct route *route, size_t more)
{
    plan->ready_size = servers_count(route) + more;
    plan->ready = calloc(plan->ready_size, sizeof(struct route_server *));
    plan->choice = calloc(plan->ready_size, sizeof(struct route_server *));
    plan->shown = calloc(plan->ready_size, sizeof *plan->shown);
    return plan->ready != NULL && plan->choice != NULL && plan->shown != NULL;
}

static bool make_spares(struct route_plan *plan, size_t count)
{
    plan->spares = calloc(count, sizeof(struct route_server *));
    if (plan->spares == NULL)
        return false;
    for (; plan->spare_count < count; plan->spare_count++) {
        plan->spares[plan->spare_count] = calloc(1, servers_size(plan->conf));
        if (plan->spares[plan->spare_count] == NULL)
            return false;
    }
    return true;
}

/* What was made until memory ran out goes with the plan. */
enum err route_plan_addrs(struct route_plan *plan, const struct route *route,
                          const size_t counts[])
{
    size_t all = 0;
    assert(plan->rooms == NULL);
    for (size_t i = 0; i < plan->conf->upstream_count; i++)
        all += counts[i];
    if (all == 0)
        return ERR_OK;
    plan->rooms = calloc(plan->conf->upstream_count, sizeof *plan->rooms);
    if (plan->rooms == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < plan->conf->upstream_count; i++)
        if (!make_room(plan, route, i, counts[i]))
            return ERR_NOMEM;
    return make_lists(plan, route, all) && make_spares(plan, all) ? ERR_OK : ERR_NOMEM;
}

void route_plan_free(struct route_plan *plan)
{
    if (plan == NULL)
        return;
    for (size_t i = 0; plan->rooms != NULL && i < plan->conf->upstream_count; i++)
        free(plan->rooms[i].servers);
    free(plan->rooms);
    servers_free_spares(plan->spares, plan->spare_count);
    free(plan->ready);
    free(plan->choice);
    free(plan->shown);
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

static void take_room(struct route_plan *plan, struct upstream *upstream, size_t index)
{
    struct room *room = plan->rooms == NULL ? NULL : &plan->rooms[index];
    if (room == NULL || room->servers == NULL)
        return;
    for (size_t slot = 0; slot < upstream->slot_count; slot++)
        room->servers[slot] = upstream->servers[slot];
    free(upstream->servers);
    upstream->servers = room->servers;
    upstream->slot_count = room->count;
    room->servers = NULL;
}

static void swap_lists(struct route_server ***a, struct route_server ***b)
{
    struct route_server **kept = *a;
    *a = *b;
    *b = kept;
}

/* What is in route->ready is collected anew at the end. */
static void take_spares(struct route *route, struct route_plan *plan)
{
    servers_free_spares(route->spares, route->spare_count); /* maybe of another size */
    route->spares = plan->spares;
    route->spare_count = plan->spare_count;
    plan->spares = NULL;
    plan->spare_count = 0;
    if (plan->ready_size <= route->ready_size)
        return;
    struct route_server_info *shown = route->shown;
    for (size_t i = 0; i < route->ready_count; i++)
        plan->ready[i] = route->ready[i];
    swap_lists(&route->ready, &plan->ready);
    swap_lists(&route->choice, &plan->choice);
    route->shown = plan->shown;
    plan->shown = shown;
    route->ready_size = plan->ready_size;
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
        take_room(plan, to, index);
        return;
    }
    *to = route->upstreams[index];
    take_room(plan, to, index);
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
        FOR_EACH_SERVER (server, upstream)
            state_forget_check(route, server);
    if (back || (was_disabled && upstream->admin != ROUTE_DISABLED))
        admin_begin_again(route, upstream, "reload");
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
    take_spares(route, plan);
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

    bool checks_change = diff_key(before, conf, "health");
    for (size_t i = 0; i < conf->upstream_count; i++) {
        struct upstream *upstream = &route->upstreams[i];
        take_values(route, upstream, &conf->upstreams[i]);
        change_servers(route, upstream, checks_change);
        state_update_upstream(route, upstream, NULL);
    }
    ready_refresh(route);
}

bool route_slot_is_free(const struct route *route, size_t upstream)
{
    assert(upstream < route->upstream_count);
    return route->upstreams[upstream].conf->removed &&
           route->upstreams[upstream].sessions == 0 && route->changes_count == 0;
}
