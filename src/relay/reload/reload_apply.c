/* A reload when its ports are open: what it takes, then everything changes at once; see reload.h. */
#include <assert.h>
#include <stdlib.h>

#include "config/diff.h"
#include "config/slots.h"
#include "relay/accept/listener.h"
#include "relay/queue/pace.h"
#include "relay/relay.h"
#include "relay/reload/reload.h"
#include "relay/reload/reload_private.h"
#include "relay/reload/route_parts.h"
#include "relay/session/proxy_header.h"

/* ---- what can fail, while the workers go on ---- */

/* It stays so: no session is given an upstream that was removed. */
static bool slot_is_free(void *ctx, size_t slot)
{
    struct relay_route *route = ctx;
    os_mutex_lock(&route->upstreams.lock);
    bool is_free = route_slot_is_free(route->upstreams.route, slot) &&
                   atomic_load(&route->upstreams.each[slot]->quota.used) == 0;
    os_mutex_unlock(&route->upstreams.lock);
    return is_free;
}

static enum err plan_route(struct reload *reload, size_t index)
{
    struct relay_route *route = reload->routes[index];
    struct conf_route *conf = &reload->conf->routes[index];
    reload->listeners[index] = calloc(route_parts_ports(conf), sizeof(struct listener *));
    if (reload->listeners[index] == NULL)
        return ERR_NOMEM;
    struct resolver *resolver = reload->relay->resolver; /* there is none in tests */
    if (reload->is_new[index])
        return resolver == NULL ? ERR_OK : resolver_begin_route(resolver, route);
    reload->changed[index] = diff_any_key(route->conf, conf);
    enum err err = slots_arrange(conf, route->conf, slot_is_free, route);
    return err == ERR_OK ? upstreams_prepare(route, conf, &reload->plans[index]) : err;
}

static enum err make_room(struct reload *reload)
{
    const struct relay *relay = reload->relay;
    size_t routes = reload->conf->route_count;
    size_t all = routes + relay->route_count + relay->removed_count;
    reload->plans = calloc(routes, sizeof *reload->plans);
    reload->changed = calloc(routes, sizeof *reload->changed);
    reload->listeners = calloc(routes, sizeof(struct listener **));
    reload->all = calloc(all, sizeof(struct relay_route *));
    reload->opened = calloc(reload->ports.count + 1, sizeof(struct listener *));
    reload->more_retired = calloc(relay->reloaded.retired_count + reload->ports.left_count + 1,
                                  sizeof(struct listener *));
    bool got = reload->plans != NULL && reload->changed != NULL && reload->listeners != NULL &&
               reload->all != NULL && reload->opened != NULL && reload->more_retired != NULL;
    return got ? ERR_OK : ERR_NOMEM;
}

static enum err plan_all(struct reload *reload, struct str *why)
{
    enum err err = make_room(reload);
    for (size_t i = 0; i < reload->conf->route_count && err == ERR_OK; i++) {
        err = plan_route(reload, i);
        if (err == ERR_OK)
            reload->planned++;
        else if (err == ERR_INVALID)
            str_addf(why, "route '%s': too many upstreams that were removed have sessions\n",
                     reload->conf->routes[i].name);
    }
    return err;
}

/* What is new needs places in the statistics. */
static enum err reserve_scopes(const struct reload *reload)
{
    size_t count = 0;
    for (size_t i = 0; i < reload->conf->route_count; i++)
        count += reload->is_new[i] ? route_parts_scopes(reload->routes[i])
                                   : reload->plans[i].new_count;
    return count == 0 ? ERR_OK : stat_reserve(reload->relay->stat, count);
}

enum err reload_complete(struct reload *reload, struct str *why)
{
    enum err err = plan_all(reload, why);
    if (err == ERR_OK)
        err = reserve_scopes(reload);
    return err == ERR_OK ? port_choices_listen(&reload->ports, why) : err;
}

/* ---- what can't, while the relay is quiesced ---- */

/* Of upstreams that are enabled now. */
static void end_drains(struct relay_route *route, const struct conf_route *conf)
{
    for (size_t i = 0; i < route->conf->upstream_count; i++)
        if (route->conf->upstreams[i].disabled && !conf->upstreams[i].disabled)
            (void)drain_end(&route->upstreams.each[i]->drain);
}

/* The one place where a route that goes on takes over what its configuration says and what is
 * kept elsewhere. Everything else reads route->conf when it needs it. */
static void apply_route(struct reload *reload, size_t index, uint64_t now_ms)
{
    struct relay_route *route = reload->routes[index];
    const struct conf_route *before = route->conf, *conf = &reload->conf->routes[index];
    guard_rules_swap(route, &reload->rules[index], conf);
    end_drains(route, conf);
    upstreams_reconfigure(route, conf, &reload->plans[index], now_ms); /* route->conf is conf */
    route->quota.limit = conf->max_sessions;
    route->headers.limit = proxy_header_most(conf);
    if (reload->changed[index])
        pace_reconfigured(route, before);
}

static void apply_relay(struct relay *relay, const struct conf *conf)
{
    os_mutex_lock(&relay->lifecycle.lock); /* a stop may look at it just now */
    relay->conf = conf;
    os_mutex_unlock(&relay->lifecycle.lock);
    relay->quota.limit = conf->max_sessions;
}

static void apply_routes(struct reload *reload)
{
    uint64_t now_ms = os_mono_ms();
    for (size_t i = 0; i < reload->conf->route_count; i++)
        if (reload->is_new[i])
            route_parts_begin(reload->routes[i]);
        else
            apply_route(reload, i, now_ms);
}

/* Retired listeners that have ended are freed, those that end now join the others. */
static void retire_listeners(struct reload *reload)
{
    struct reloaded *reloaded = &reload->relay->reloaded;
    size_t count = 0;
    for (size_t i = 0; i < reloaded->retired_count; i++) {
        if (listener_is_closed(reloaded->retired[i]))
            listener_free(reloaded->retired[i]);
        else
            reload->more_retired[count++] = reloaded->retired[i];
    }
    for (size_t i = 0; i < reload->ports.left_count; i++)
        reload->more_retired[count++] = reload->ports.left[i];
    free(reloaded->retired);
    reloaded->retired = reload->more_retired;
    reloaded->retired_count = count;
    reload->more_retired = NULL;
}

static void take_listener(struct reload *reload, const struct port_choice *choice)
{
    struct reloaded *reloaded = &reload->relay->reloaded;
    struct listener *listener = choice->listener;
    listener->route = choice->route;
    listener->port_offset = choice->offset;
    bool nodelay = choice->route->conf->nodelay;
    if (listener->nodelay != nodelay)
        sock_set_nodelay(listener->sock, nodelay); /* what is accepted there inherits it */
    listener->nodelay = nodelay;
    if (choice->opened)
        reloaded->opened[reloaded->opened_count++] = listener;
}

/* Gives each route its listeners, which are in the order of the routes. */
static void share_out_listeners(struct reload *reload)
{
    struct reloaded *reloaded = &reload->relay->reloaded;
    free(reloaded->opened);
    reloaded->opened = reload->opened;
    reloaded->opened_count = 0;
    reload->opened = NULL;
    size_t at = 0;
    for (size_t i = 0; i < reload->conf->route_count; i++) {
        struct relay_route *route = reload->routes[i];
        size_t count = route_parts_ports(&reload->conf->routes[i]);
        free(route->listeners);
        route->listeners = reload->listeners[i];
        route->listener_count = count;
        reload->listeners[i] = NULL;
        for (size_t k = 0; k < count; k++, at++) {
            take_listener(reload, &reload->ports.each[at]);
            route->listeners[k] = reload->ports.each[at].listener;
        }
    }
    assert(at == reload->ports.count);
}

/* Nothing points to a route that was removed: no session, no listener, no check. */
static bool is_over(struct relay *relay, const struct relay_route *route)
{
    const struct reloaded *reloaded = &relay->reloaded;
    for (size_t i = 0; i < reloaded->retired_count; i++)
        if (reloaded->retired[i]->route == route && !listener_is_closed(reloaded->retired[i]))
            return false;
    return atomic_load(&route->quota.used) == 0 && !probes_use(&relay->probes, route);
}

static void forget_listeners(struct relay_route *route)
{
    free(route->listeners); /* they are retired, or another route's */
    route->listeners = NULL;
    route->listener_count = 0;
}

/* Nobody can name it any more: those that an operator has it keep waiting go on. */
static void release_route(struct relay_route *route)
{
    uint64_t lasted_ms;
    (void)throttle_resume(route, os_mono_ms(), &lasted_ms);
    pace_thaw(route);
}

static void end_route(struct relay *relay, struct relay_route *route)
{
    for (size_t i = 0; i < REASON_COUNT; i++)
        relay->would_refuse_gone[i] += atomic_load(&route->guard.would_refuse[i]);
    timers_disarm(&relay->timers, &route->pending);
    route_parts_close(route);
}

/* The routes of the configuration, behind them those that are still needed without it. */
static void take_routes(struct reload *reload)
{
    struct relay *relay = reload->relay;
    size_t before = relay->route_count + relay->removed_count;
    size_t count = reload->conf->route_count, removed = 0;
    for (size_t i = 0; i < before; i++)
        relay->routes[i]->index = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        reload->routes[i]->index = i;
        reload->all[i] = reload->routes[i];
    }
    for (size_t i = 0; i < before; i++) {
        struct relay_route *route = relay->routes[i];
        if (route->index != SIZE_MAX)
            continue;
        forget_listeners(route);
        release_route(route);
        if (is_over(relay, route))
            end_route(relay, route);
        else
            reload->all[count + removed++] = route;
    }
    free(relay->routes);
    relay->routes = reload->all;
    relay->route_count = count;
    relay->removed_count = removed;
    reload->all = NULL;
}

void reload_apply(struct reload *reload)
{
    struct relay *relay = reload->relay;
    apply_routes(reload);
    apply_relay(relay, reload->conf);
    port_choices_linger(&reload->ports);
    retire_listeners(reload);
    share_out_listeners(reload);
    take_routes(reload);
    if (relay->resolver != NULL)
        resolver_reload(relay->resolver);
    reload_free(reload, false);
}
