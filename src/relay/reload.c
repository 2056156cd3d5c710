#include "relay/reload.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/slots.h"
#include "relay/listener.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/reload_listeners.h"
#include "relay/worker.h"

#define LOOK_MS     1     /* at what is still closing */
#define PATIENCE_MS 10000 /* until it is said that something does not close */

struct reload {
    struct relay *relay;
    struct conf *conf;           /* not owned */
    struct relay_route **routes; /* of conf->routes: the relay's own, or new ones */
    bool *is_new;                /* nobody knows it yet */
    struct port_choices ports;

    /* what is needed at the standstill */
    struct upstreams_plan *plans;   /* one for each route; of new ones empty */
    struct listener ***listeners;   /* one list for each route */
    struct relay_route **all;       /* room for those of `conf` and all that the relay has */
    size_t planned;                 /* routes that have a plan, or have begun */
    struct listener **opened;       /* room for all that was opened */
    struct listener **more_retired; /* room for all that there are then */
};

/* ---- routes ---- */

/* Also one that was removed and still has sessions. */
static struct relay_route *find_route(const struct relay *relay, const char *name)
{
    for (size_t i = 0; i < relay->route_count + relay->removed_count; i++)
        if (strcmp(relay->routes[i]->conf->name, name) == 0)
            return relay->routes[i];
    return NULL;
}

static enum err find_routes(struct reload *reload)
{
    for (size_t i = 0; i < reload->conf->route_count; i++) {
        const struct conf_route *conf = &reload->conf->routes[i];
        reload->routes[i] = find_route(reload->relay, conf->name);
        if (reload->routes[i] != NULL)
            continue;
        if (relay_route_open(&reload->routes[i], reload->relay, conf) != ERR_OK)
            return ERR_NOMEM;
        reload->is_new[i] = true;
    }
    return ERR_OK;
}

static size_t count_ports(const struct conf_route *conf)
{
    size_t count = 0;
    for (size_t i = 0; i < conf->listen_count; i++)
        count += conf->listens[i].port_count;
    return count;
}

/* ---- before the standstill ---- */

static void free_reload(struct reload *reload, bool undo)
{
    port_choices_free(&reload->ports, undo);
    for (size_t i = 0; undo && reload->is_new != NULL && i < reload->conf->route_count; i++)
        if (reload->is_new[i])
            relay_route_close(reload->routes[i]);
    for (size_t i = 0; reload->listeners != NULL && i < reload->conf->route_count; i++)
        free(reload->listeners[i]);
    free(reload->routes);
    free(reload->is_new);
    free(reload->plans);
    free(reload->listeners);
    free(reload->all);
    free(reload->opened);
    free(reload->more_retired);
    free(reload);
}

void reload_abandon(struct reload *reload)
{
    free_reload(reload, true);
}

static enum err prepare_resolver(const struct reload *reload)
{
    size_t upstreams = 0;
    if (reload->relay->resolver == NULL)
        return ERR_OK; /* as in tests */
    for (size_t i = 0; i < reload->conf->route_count; i++)
        upstreams += reload->conf->routes[i].upstream_count;
    return resolver_prepare(reload->relay->resolver, upstreams);
}

enum err reload_prepare(struct reload **out, struct relay *relay, struct conf *conf,
                        struct str *why)
{
    struct reload *reload = calloc(1, sizeof *reload);
    size_t told = why->len;
    if (reload == NULL)
        return ERR_NOMEM;
    reload->relay = relay;
    reload->conf = conf;
    reload->routes = calloc(conf->route_count, sizeof(struct relay_route *));
    reload->is_new = reload->routes == NULL ? NULL : calloc(conf->route_count, sizeof(bool));
    enum err err = reload->is_new == NULL ? ERR_NOMEM : find_routes(reload);
    if (err == ERR_OK)
        err = prepare_resolver(reload);
    if (err == ERR_OK)
        err = port_choices_make(&reload->ports, relay, conf, reload->routes, why);
    if (err != ERR_OK) {
        if (why->len == told)
            str_addf(why, "the reload can't be prepared: %s\n", err_text(err));
        reload_abandon(reload);
        return err;
    }
    *out = reload;
    return ERR_OK;
}

/* ---- at the standstill: what can fail ---- */

static bool slot_is_free(void *ctx, size_t slot)
{
    const struct relay_route *route = ctx;
    return route_slot_is_free(route->upstreams.route, slot) &&
           atomic_load(&route->upstreams.each[slot]->quota.used) == 0;
}

static enum err plan_route(struct reload *reload, size_t index)
{
    struct relay_route *route = reload->routes[index];
    struct conf_route *conf = &reload->conf->routes[index];
    reload->listeners[index] = calloc(count_ports(conf), sizeof(struct listener *));
    if (reload->listeners[index] == NULL)
        return ERR_NOMEM;
    if (reload->is_new[index])
        return relay_route_begin(route);
    enum err err = slots_arrange(conf, route->conf, slot_is_free, route);
    return err == ERR_OK ? upstreams_prepare(route, conf, &reload->plans[index]) : err;
}

static enum err make_room(struct reload *reload)
{
    const struct relay *relay = reload->relay;
    size_t routes = reload->conf->route_count;
    size_t all = routes + relay->route_count + relay->removed_count;
    reload->plans = calloc(routes, sizeof *reload->plans);
    reload->listeners = calloc(routes, sizeof(struct listener **));
    reload->all = calloc(all, sizeof(struct relay_route *));
    reload->opened = calloc(reload->ports.count + 1, sizeof(struct listener *));
    reload->more_retired = calloc(relay->reloaded.retired_count + reload->ports.left_count + 1,
                                  sizeof(struct listener *));
    bool got = reload->plans != NULL && reload->listeners != NULL && reload->all != NULL &&
               reload->opened != NULL && reload->more_retired != NULL;
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
    if (err == ERR_NOMEM)
        str_addf(why, "the reload can't be carried out: %s\n", err_text(err));
    return err;
}

static void undo_plans(struct reload *reload)
{
    for (size_t i = 0; i < reload->planned; i++)
        if (!reload->is_new[i])
            upstreams_plan_free(reload->routes[i], &reload->plans[i]);
}

/* ---- at the standstill: what can't ---- */

/* The one place where a route that goes on takes over what its configuration says and what is
 * kept elsewhere. Everything else reads route->conf when it needs it. */
static void apply_route(struct relay_route *route, const struct conf_route *conf,
                        struct upstreams_plan *plan, uint64_t now_ms)
{
    upstreams_reconfigure(route, conf, plan, now_ms); /* route->conf is `conf` from here on */
    route->quota.limit = conf->max_sessions;
    route->held.quota.limit = conf->queue_max;
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
        if (!reload->is_new[i])
            apply_route(reload->routes[i], &reload->conf->routes[i], &reload->plans[i], now_ms);
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
        size_t count = count_ports(&reload->conf->routes[i]);
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

static void end_route(struct relay *relay, struct relay_route *route)
{
    timers_disarm(&relay->timers, &route->upstreams.timer);
    relay_route_close(route);
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

enum err reload_apply(struct reload *reload, struct str *why)
{
    struct relay *relay = reload->relay;
    enum err err = plan_all(reload, why);
    if (err != ERR_OK) {
        undo_plans(reload);
        free_reload(reload, true);
        return err;
    }
    apply_routes(reload);
    apply_relay(relay, reload->conf);
    retire_listeners(reload);
    share_out_listeners(reload);
    take_routes(reload);
    if (relay->resolver != NULL)
        resolver_reload(relay->resolver);
    free_reload(reload, false);
    return ERR_OK;
}

/* ---- after it ---- */

void reload_on_wake(struct worker *worker)
{
    struct relay *relay = worker->relay;
    struct reloaded *reloaded = &relay->reloaded;
    for (size_t i = 0; i < reloaded->retired_count; i++)
        listener_stop(reloaded->retired[i], worker);
    for (size_t i = 0; i < reloaded->opened_count; i++)
        listener_start(reloaded->opened[i], worker);
    for (size_t i = 0; i < relay->route_count; i++)
        upstreams_stir(relay->routes[i]);
    os_mutex_lock(&reloaded->lock);
    reloaded->done = true;
    os_cond_wake_all(&reloaded->changed);
    os_mutex_unlock(&reloaded->lock);
}

static void have_it_done(struct relay *relay)
{
    struct reloaded *reloaded = &relay->reloaded;
    os_mutex_lock(&reloaded->lock);
    reloaded->done = false;
    os_mutex_unlock(&reloaded->lock);
    port_post(relay->port, &reloaded->message);
    os_mutex_lock(&reloaded->lock);
    while (!reloaded->done)
        os_cond_wait(&reloaded->changed, &reloaded->lock, UINT32_MAX);
    os_mutex_unlock(&reloaded->lock);
}

static bool is_to_end(const struct relay_route *route)
{
    return route->index == SIZE_MAX && route->conf->on_remove == CONF_KILL;
}

static void kill_sessions(struct relay *relay)
{
    struct pair **pairs;
    size_t count, ended = 0;
    bool any = false;
    for (size_t i = 0; i < relay->removed_count; i++)
        any = any || is_to_end(relay->routes[relay->route_count + i]);
    if (!any)
        return;
    if (table_all(&relay->table, &pairs, &count) != ERR_OK) {
        log_error("the sessions of removed routes could not be ended: %s", err_text(ERR_NOMEM));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (is_to_end(pairs[i]->route) && pair_end(pairs[i], REASON_ROUTE_REMOVED))
            ended++;
        pair_unhold(pairs[i]);
    }
    free(pairs);
    if (ended > 0)
        log_notice("reload: %zu sessions of removed routes ended", ended);
}

/* So that the next reload, or another program, can listen there at once. */
static void await_closed(const struct relay *relay)
{
    const struct reloaded *reloaded = &relay->reloaded;
    uint64_t until = os_mono_ms() + PATIENCE_MS;
    for (size_t i = 0; i < reloaded->retired_count; i++) {
        while (!listener_is_closed(reloaded->retired[i])) {
            if (os_mono_ms() >= until) {
                log_warning("reload: a port that is no longer listened on is still closing");
                return;
            }
            os_sleep_ms(LOOK_MS);
        }
    }
}

static enum err run_kept(struct relay *relay, struct conf *conf, struct str *why)
{
    struct reload *reload;
    enum err err = reload_prepare(&reload, relay, conf, why);
    if (err != ERR_OK)
        return err;
    if (!standstill_begin(relay)) {
        reload_abandon(reload);
        return ERR_CLOSED;
    }
    bool stopping = atomic_load(&relay->lifecycle.stopping);
    if (!stopping)
        err = reload_apply(reload, why);
    standstill_end(relay);
    if (stopping) {
        reload_abandon(reload);
        return ERR_CLOSED;
    }
    if (err != ERR_OK)
        return err;
    have_it_done(relay);
    kill_sessions(relay);
    await_closed(relay);
    return ERR_OK;
}

enum err reload_run(struct relay *relay, struct conf *conf, struct str *why)
{
    enum err err = ERR_CLOSED;
    if (lifecycle_keep(relay)) {
        err = run_kept(relay, conf, why);
        lifecycle_part_ended(relay);
    }
    if (err == ERR_CLOSED)
        str_add(why, "the relay is stopping\n");
    return err;
}

bool reload_uses(const struct relay *relay, const struct conf *conf)
{
    for (size_t i = 0; i < relay->removed_count; i++) {
        const struct conf_route *used = relay->routes[relay->route_count + i]->conf;
        for (size_t k = 0; k < conf->route_count; k++)
            if (used == &conf->routes[k])
                return true;
    }
    return false;
}

void reload_init(struct relay *relay)
{
    relay->reloaded =
        (struct reloaded){.message = {.kind = OP_WAKE, .sock = SOCK_NONE, .owner = relay}};
}

void reload_close(struct relay *relay)
{
    struct reloaded *reloaded = &relay->reloaded;
    for (size_t i = 0; i < reloaded->retired_count; i++)
        listener_free(reloaded->retired[i]);
    free(reloaded->retired);
    free(reloaded->opened);
    *reloaded = (struct reloaded){.retired_count = 0};
}
