#include "relay/reload/reload.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "relay/accept/listener.h"
#include "relay/accept/listener_socket.h"
#include "relay/core/schedule.h"
#include "relay/core/sessions.h"
#include "relay/core/worker.h"
#include "relay/relay.h"
#include "relay/reload/reload_private.h"
#include "relay/reload/route_parts.h"
#include "relay/session/pending.h"

#define PATIENCE_MS 10000 /* until it is said that something does not close */

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
        if (reload->routes[i] != NULL) {
            if (guard_rules_make(&reload->rules[i], conf) != ERR_OK)
                return ERR_NOMEM;
            continue;
        }
        if (route_parts_open(&reload->routes[i], reload->relay, conf) != ERR_OK)
            return ERR_NOMEM;
        reload->is_new[i] = true;
    }
    return ERR_OK;
}

/* ---- before the relay is quiesced ---- */

static void undo_plans(struct reload *reload)
{
    for (size_t i = 0; i < reload->planned; i++)
        if (!reload->is_new[i])
            upstreams_plan_free(reload->routes[i], &reload->plans[i]);
    (void)stat_reserve(reload->relay->stat, 0);
}

void reload_free(struct reload *reload, bool undo)
{
    port_choices_free(&reload->ports, undo);
    if (undo)
        undo_plans(reload);
    for (size_t i = 0; undo && reload->is_new != NULL && reload->routes != NULL &&
                       i < reload->conf->route_count;
         i++)
        if (reload->is_new[i])
            route_parts_close(reload->routes[i]);
    for (size_t i = 0; reload->rules != NULL && i < reload->conf->route_count; i++)
        guard_rules_free(&reload->rules[i]);
    for (size_t i = 0; reload->listeners != NULL && i < reload->conf->route_count; i++)
        free(reload->listeners[i]);
    free(reload->routes);
    free(reload->is_new);
    free(reload->rules);
    free(reload->plans);
    free(reload->changed);
    free(reload->listeners);
    free(reload->all);
    free(reload->opened);
    free(reload->more_retired);
    free(reload);
}

void reload_abandon(struct reload *reload)
{
    reload_free(reload, true);
}

enum err reload_prepare(struct reload **out, struct relay *relay, struct conf *conf,
                        struct str *why)
{
    struct reload *reload = calloc(1, sizeof *reload);
    if (reload == NULL)
        return ERR_NOMEM;
    reload->relay = relay;
    reload->conf = conf;
    reload->routes = calloc(conf->route_count, sizeof(struct relay_route *));
    reload->is_new = calloc(conf->route_count, sizeof(bool));
    reload->rules = calloc(conf->route_count, sizeof *reload->rules);
    bool got = reload->routes != NULL && reload->is_new != NULL && reload->rules != NULL;
    enum err err = got ? find_routes(reload) : ERR_NOMEM;
    if (err == ERR_OK && relay->resolver != NULL) /* there is none in tests */
        err = resolver_prepare(relay->resolver, conf, RESOLVE_PATIENCE_MS);
    if (err == ERR_OK)
        err = port_choices_make(&reload->ports, relay, conf, reload->routes, why);
    if (err != ERR_OK) {
        reload_abandon(reload);
        return err;
    }
    *out = reload;
    return ERR_OK;
}

enum err reload_start(struct relay *relay, struct conf *conf, struct str *why)
{
    struct reload *reload;
    enum err err = reload_prepare(&reload, relay, conf, why);
    if (err != ERR_OK)
        return err;
    err = reload_complete(reload, why);
    if (err == ERR_OK)
        reload_apply(reload);
    else
        reload_abandon(reload);
    return err;
}

/* ---- after it ---- */

void reload_on_wake(struct worker *worker)
{
    struct relay *relay = worker->relay;
    struct reloaded *reloaded = &relay->reloaded;
    for (size_t i = 0; i < reloaded->retired_count; i++)
        listener_retire(reloaded->retired[i], worker);
    for (size_t i = 0; i < relay->route_count + relay->removed_count; i++) {
        pending_tell_throttle(relay->routes[i], worker);
        schedule_route(relay->routes[i]);
    }
    for (size_t i = 0; i < reloaded->opened_count; i++)
        listener_start(reloaded->opened[i], worker);
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

/* Those of removed routes that say so. */
static void kill_sessions(struct relay *relay)
{
    for (size_t i = 0; i < relay->removed_count; i++) {
        const struct relay_route *route = relay->routes[relay->route_count + i];
        const struct session_filter its = {.route = route};
        size_t ended = 0;
        if (route->conf->on_remove != CONF_KILL)
            continue;
        if (sessions_end(relay, &its, REASON_ROUTE_REMOVED, &ended) != ERR_OK)
            log_error("route '%s': its sessions could not be ended: %s", route->conf->name,
                      err_text(ERR_NOMEM));
        if (ended > 0)
            log_notice("route '%s' was removed, %zu of its sessions ended", route->conf->name,
                       ended);
    }
}

/* So that the next reload, or another program, can listen there at once. The worker that closes
 * the socket of a listener wakes this. */
static void await_closed(const struct relay *relay)
{
    const struct reloaded *reloaded = &relay->reloaded;
    uint64_t until = os_mono_ms() + PATIENCE_MS;
    for (size_t i = 0; i < reloaded->retired_count; i++)
        if (!listener_await_closed(reloaded->retired[i], until)) {
            log_warning("reload: a port that is no longer listened on is still closing");
            return;
        }
}

/* ---- ports whose place can't be taken while they listen ---- */

/* Listeners that were closed before the relay is quiesced. */
struct closed_early {
    struct listener **each; /* owned; not what is in it */
    size_t count;
};

static bool is_in_the_way(const struct port_choices *ports, const struct listener *listener)
{
    for (size_t i = 0; i < ports->count; i++)
        if (ports->each[i].blocked &&
            listener_overlaps(listener, ports->each[i].listen, ports->each[i].offset))
            return true;
    return false;
}

static enum err open_blocked(struct port_choice *choice, struct str *why)
{
    enum err err =
        listener_open_again(&choice->listener, choice->route, choice->listen, choice->offset);
    choice->opened = err == ERR_OK;
    if (err != ERR_OK) {
        listener_tell_failure(why, choice->route_name, choice->listen, choice->offset, err);
        return err;
    }
    char text[ADDR_TEXT_MAX];
    str_addf(why,
             "listen %s takes the place of an address that overlaps with it: on this system "
             "that port was closed for a moment, and clients of that moment may have been "
             "refused\n",
             addr_format(&choice->listener->addr, text));
    return ERR_OK;
}

/* Closes what is in the way of others, and opens those. An error leaves `closed` to be opened
 * again, after the reload is abandoned. */
static enum err close_early(struct reload *reload, struct closed_early *closed, struct str *why)
{
    struct port_choices *ports = &reload->ports;
    enum err err = ERR_OK;
    closed->each = calloc(ports->left_count + 1, sizeof(struct listener *));
    if (closed->each == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < ports->left_count; i++)
        if (is_in_the_way(ports, ports->left[i]))
            closed->each[closed->count++] = ports->left[i];
    for (size_t i = 0; i < closed->count; i++)
        listener_stop(closed->each[i], &reload->relay->workers[0]);
    for (size_t i = 0; i < closed->count; i++)
        if (!listener_await_closed(closed->each[i], os_mono_ms() + PATIENCE_MS))
            err = ERR_TIMEDOUT;
    if (err != ERR_OK)
        str_add(why, "a port that is no longer listened on does not close\n");
    for (size_t i = 0; i < ports->count && err == ERR_OK; i++)
        if (ports->each[i].blocked)
            err = open_blocked(&ports->each[i], why);
    return err;
}

/* Nothing came of the reload. */
static void open_again(struct relay *relay, const struct closed_early *closed)
{
    struct reloaded *reloaded = &relay->reloaded;
    struct listener **opened =
        closed->count == 0 ? NULL : calloc(closed->count, sizeof(struct listener *));
    size_t count = 0;
    for (size_t i = 0; i < closed->count; i++) {
        char text[ADDR_TEXT_MAX];
        enum err err = opened == NULL ? ERR_NOMEM : ERR_OK;
        if (err == ERR_OK)
            err = listener_reopen(closed->each[i]);
        if (err == ERR_OK)
            opened[count++] = closed->each[i];
        else
            log_error("reload: %s could not be listened on again: %s",
                      addr_format(&closed->each[i]->addr, text), err_text(err));
    }
    if (closed->count == 0)
        return;
    free(reloaded->opened); /* they have begun long ago */
    reloaded->opened = opened;
    reloaded->opened_count = count;
    have_it_done(relay);
}

/* False: the relay ends, and `reload` is as it was. */
static bool apply_quiesced(struct relay *relay, struct reload *reload)
{
    if (!quiesce_begin(relay) || atomic_load(&relay->lifecycle.stopping))
        return false;
    reload_apply(reload);
    return true;
}

/* Consumes `reload`. */
static enum err change(struct relay *relay, struct reload *reload, struct str *why)
{
    quiesce_keep_out(relay);
    enum err err = reload_complete(reload, why);
    if (err == ERR_OK && !apply_quiesced(relay, reload))
        err = ERR_CLOSED;
    quiesce_end(relay);
    if (err != ERR_OK)
        reload_abandon(reload);
    return err;
}

static enum err run_kept(struct relay *relay, struct conf *conf, struct str *why)
{
    struct reload *reload;
    struct closed_early closed = {.count = 0};
    size_t told = why->len;
    enum err err = reload_prepare(&reload, relay, conf, why);
    if (err != ERR_OK && why->len == told)
        str_addf(why, "the reload can't be prepared: %s\n", err_text(err));
    if (err != ERR_OK)
        return err;
    err = close_early(reload, &closed, why);
    if (err == ERR_OK)
        err = change(relay, reload, why);
    else
        reload_abandon(reload);
    if (err != ERR_OK)
        open_again(relay, &closed);
    free(closed.each);
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
    if (lifecycle_try_ref(relay)) {
        err = run_kept(relay, conf, why);
        lifecycle_unref(relay);
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
    relay->reloaded = (struct reloaded){
        .message = {
            .kind = OP_WAKE, .role = OP_ROLE_RELOAD, .sock = SOCK_NONE, .owner = relay}};
    os_mutex_init(&relay->reloaded.lock, LOCK_RELOADED);
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
