/* servers.c - the addresses of an upstream come and go. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "route/mix.h"
#include "route/route_private.h"

/* What an answer for a name asks for, and the memory for it. */
struct plan {
    struct addr fresh[ROUTE_SERVERS_MAX];            /* that no server in use has */
    struct route_server *servers[ROUTE_SERVERS_MAX]; /* for them: new, or gone before */
    size_t fresh_count;
    size_t leaving; /* servers in use that the answer does not have */
};

static struct route_server *find_server(const struct upstream *upstream,
                                        const struct addr *addr, bool gone)
{
    for (size_t i = 0; i < upstream->slot_count; i++) {
        struct route_server *server = upstream->servers[i];
        if (server != NULL && server->gone == gone && addr_equal(&server->addr, addr))
            return server;
    }
    return NULL;
}

static struct addr with_port(const struct addr *addr, const struct upstream *upstream)
{
    struct addr result = *addr;
    result.port = upstream->conf->port;
    return result;
}

/* Marks the servers that stay and gives their number. */
static size_t mark_wanted(const struct upstream *upstream, const struct addr *addrs,
                          size_t count, struct plan *plan)
{
    size_t in_use = 0;
    FOR_EACH_SERVER (server, upstream) {
        server->wanted = false;
        in_use++;
    }
    size_t wanted = 0;
    for (size_t i = 0; i < count; i++) {
        struct addr addr = with_port(&addrs[i], upstream);
        struct route_server *server = find_server(upstream, &addr, false);
        if (server == NULL || server->wanted)
            continue;
        server->wanted = true;
        wanted++;
    }
    plan->leaving = in_use - wanted;
    return wanted;
}

static bool is_fresh(const struct upstream *upstream, const struct plan *plan,
                     const struct addr *addr)
{
    for (size_t i = 0; i < plan->fresh_count; i++)
        if (addr_equal(&plan->fresh[i], addr))
            return false; /* is there twice */
    return find_server(upstream, addr, false) == NULL;
}

static void make_plan(const struct upstream *upstream, const struct addr *addrs, size_t count,
                      struct plan *plan)
{
    *plan = (struct plan){0};
    size_t room = ROUTE_SERVERS_MAX - mark_wanted(upstream, addrs, count, plan);
    for (size_t i = 0; i < count && plan->fresh_count < room; i++) {
        struct addr addr = with_port(&addrs[i], upstream);
        if (is_fresh(upstream, plan, &addr))
            plan->fresh[plan->fresh_count++] = addr;
    }
}

/* ---- memory ---- */

size_t servers_count(const struct route *route)
{
    size_t count = 0;
    for (size_t i = 0; i < route->upstream_count; i++)
        for (size_t slot = 0; slot < route->upstreams[i].slot_count; slot++)
            count += route->upstreams[i].servers[slot] != NULL;
    return count;
}

size_t servers_size(const struct conf_route *conf)
{
    return sizeof(struct route_server) + conf->eject.count * sizeof(struct failure);
}

void servers_free_spares(struct route_server **spares, size_t count)
{
    while (count > 0)
        free(spares[--count]);
    free(spares);
}

static struct route_server *new_server(struct route *route)
{
    if (route->spare_count > 0)
        return route->spares[--route->spare_count];
    return calloc(1, servers_size(route->conf));
}

/* Makes room for `more` servers in an array of pointers. */
static bool grow(struct route_server ***array, size_t size)
{
    struct route_server **grown = realloc(*array, size * sizeof **array);
    if (grown == NULL)
        return false;
    *array = grown;
    return true;
}

static bool grow_lists(struct route *route, size_t more)
{
    size_t size = servers_count(route) + more;
    if (size <= route->ready_size)
        return true;
    if (!grow(&route->ready, size) || !grow(&route->choice, size))
        return false;
    struct route_server_info *shown = realloc(route->shown, size * sizeof *shown);
    if (shown == NULL)
        return false;
    route->shown = shown;
    route->ready_size = size;
    return true;
}

/* Makes as many slots free as the plan can need. */
static bool grow_slots(struct upstream *upstream, size_t more)
{
    size_t used = 0;
    for (size_t i = 0; i < upstream->slot_count; i++)
        used += upstream->servers[i] != NULL;
    if (used + more <= upstream->slot_count)
        return true;
    if (!grow(&upstream->servers, used + more))
        return false;
    while (upstream->slot_count < used + more)
        upstream->servers[upstream->slot_count++] = NULL;
    return true;
}

static void free_new(struct plan *plan)
{
    for (size_t i = 0; i < plan->fresh_count; i++)
        if (plan->servers[i] != NULL && !plan->servers[i]->gone)
            free(plan->servers[i]);
}

/* Finds a server for each fresh address: the gone one that had it, or a new one. */
static bool find_memory(struct route *route, struct upstream *upstream, struct plan *plan)
{
    if (!grow_lists(route, plan->fresh_count) || !grow_slots(upstream, plan->fresh_count))
        return false;
    for (size_t i = 0; i < plan->fresh_count; i++) {
        plan->servers[i] = find_server(upstream, &plan->fresh[i], true);
        if (plan->servers[i] == NULL)
            plan->servers[i] = new_server(route);
        if (plan->servers[i] == NULL) {
            free_new(plan);
            return false;
        }
    }
    return true;
}

/* ---- coming and going ---- */

/* The lowest number that no server of the route has. */
static uint32_t free_number(const struct route *route)
{
    bool taken[ROUTE_TRIED_MAX] = {false};
    for (size_t i = 0; i < route->upstream_count; i++)
        for (size_t slot = 0; slot < route->upstreams[i].slot_count; slot++)
            if (route->upstreams[i].servers[slot] != NULL)
                taken[route->upstreams[i].servers[slot]->number % ROUTE_TRIED_MAX] = true;
    for (uint32_t number = 0; number < ROUTE_TRIED_MAX; number++)
        if (!taken[number])
            return number;
    return (uint32_t)servers_count(route);
}

static void enter(struct route *route, struct upstream *upstream, struct route_server *server,
                  const struct addr *addr)
{
    size_t slot = 0;
    while (upstream->servers[slot] != NULL)
        slot++;
    const char *name = upstream->conf->name;
    server->upstream = upstream;
    server->hash = mix_bytes(mix_bytes(0, name, strlen(name)), addr, sizeof *addr);
    server->number = free_number(route);
    server->state = ROUTE_NEW;
    server->since_ms = route->now_ms;
    server->slot = slot;
    server->addr = *addr;
    upstream->servers[slot] = server;
}

/* A new server, or one that had gone, begins. */
static void begin(struct route *route, struct route_server *server, bool first_answer)
{
    server->gone = false;
    server->connect_failures = 0;
    server->wanted = true;
    server->ramps = false;
    state_begin_health(route, server);
    if (first_answer)
        server->state = ROUTE_UP;
    else
        state_update_server(route, server, "the name has this address now");
}

static void retire(struct route *route, struct route_server *server)
{
    server->gone = true;
    server->ready = false;
    server->ejected_until_ms = 0;
    server->failure_count = 0;
    state_forget_check(route, server);
    state_update_server(route, server, "the name has this address no longer");
    if (server->sessions != 0)
        return; /* goes with the last of them */
    server->upstream->servers[server->slot] = NULL;
    free(server);
}

static bool has_server(const struct upstream *upstream)
{
    FOR_EACH_SERVER (server, upstream)
        return true;
    return false;
}

/* New servers come before old ones go, so that the upstream is not down in between. */
static void carry_out(struct route *route, struct upstream *upstream, struct plan *plan)
{
    bool first_answer = !has_server(upstream);
    for (size_t i = 0; i < plan->fresh_count; i++) {
        if (plan->servers[i]->upstream == NULL)
            enter(route, upstream, plan->servers[i], &plan->fresh[i]);
        begin(route, plan->servers[i], first_answer);
    }
    FOR_EACH_SERVER (server, upstream)
        if (!server->wanted)
            retire(route, server);
    state_update_upstream(route, upstream, upstream->unresolvable ? "the name resolves" : NULL);
    upstream->unresolvable = false;
    ready_refresh(route);
}

enum err route_set_addrs(struct route *route, size_t upstream, const struct addr *addrs,
                         size_t count, uint64_t now_ms, bool *changed)
{
    assert(upstream < route->upstream_count && count > 0);
    route_see_time(route, now_ms);
    struct upstream *target = &route->upstreams[upstream];
    struct plan plan;
    make_plan(target, addrs, count, &plan);
    bool differs = plan.fresh_count != 0 || plan.leaving != 0;
    if (differs) {
        if (!find_memory(route, target, &plan))
            return ERR_NOMEM;
        carry_out(route, target, &plan);
    }
    if (changed != NULL)
        *changed = differs;
    return ERR_OK;
}

size_t route_get_addrs(const struct route *route, size_t upstream,
                       struct addr out[ROUTE_SERVERS_MAX])
{
    assert(upstream < route->upstream_count);
    size_t count = 0;
    FOR_EACH_SERVER (server, &route->upstreams[upstream])
        out[count++] = server->addr;
    return count;
}

void route_set_unresolved(struct route *route, size_t upstream, uint64_t now_ms)
{
    assert(upstream < route->upstream_count);
    route_see_time(route, now_ms);
    struct upstream *target = &route->upstreams[upstream];
    if (has_server(target))
        return;
    target->unresolvable = true;
    state_update_upstream(route, target, "the name does not resolve");
}
