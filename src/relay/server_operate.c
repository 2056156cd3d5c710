/* What an operator changes of routes, upstreams and sessions; see server_operate.h. */
#include <inttypes.h>

#include "base/log.h"
#include "base/str.h"
#include "os/os.h"
#include "relay/core/schedule.h"
#include "relay/core/sessions.h"
#include "relay/pair.h"
#include "relay/queue/pace.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"
#include "relay/server_private.h"
#include "relay/upstream/resolver.h"

/* ---- pause ---- */

bool server_pause(struct server *server, size_t route, bool frozen, const char *by)
{
    struct relay_route *of = server->relay.routes[route];
    bool freezes = frozen && !pace_is_frozen(of);
    bool paused = throttle_pause(of, by, os_mono_ms());
    if (freezes)
        pace_freeze(of);
    if (paused)
        log_notice("%s: route '%s' is paused: new clients wait%s", by, of->conf->name,
                   freezes ? ", and its sessions are frozen" : "");
    else if (freezes)
        log_notice("%s: the sessions of route '%s' are frozen", by, of->conf->name);
    return paused || freezes;
}

static void log_resumed(const struct relay_route *route, const char *by,
                        const struct server_resumed *was)
{
    char human[STR_HUMAN_MAX];
    if (was->was_paused)
        log_notice("%s: route '%s' is resumed after %s, %" PRIu32 " clients wait", by,
                   route->conf->name, str_human_duration(was->paused_ms, human), was->waiting);
    if (was->was_drained)
        log_notice("%s: route '%s' takes new clients again", by, route->conf->name);
}

void server_resume(struct server *server, size_t route, const char *by,
                   struct server_resumed *out)
{
    struct relay_route *of = server->relay.routes[route];
    *out = (struct server_resumed){.waiting = queue_count(&of->queue)};
    out->was_drained = drain_end(&of->drain);
    out->was_paused = throttle_resume(of, os_mono_ms(), &out->paused_ms);
    if (pace_is_frozen(of))
        pace_thaw(of);
    schedule_route(of); /* those that wait get their turn */
    log_resumed(of, by, out);
}

/* ---- drain ---- */

/* ": 12 sessions are left, ended evenly over 10m" */
static void log_drain(const char *by, const char *subject, const struct server_drain_plan *plan,
                      const struct server_drain_info *info)
{
    char exact[STR_HUMAN_MAX];
    bool at_once = plan->kill && plan->over_ms == 0;
    if (at_once)
        log_notice("%s: %s is drained: %" PRIu64 " sessions ended", by, subject,
                   info->ended_total);
    else
        log_notice("%s: %s is drained: %zu sessions left%s%s", by, subject, info->left,
                   info->over ? ", ended evenly over " : "",
                   info->over ? str_exact_duration(plan->over_ms, exact) : "");
}

enum err server_drain_route(struct server *server, size_t route,
                            const struct server_drain_plan *plan, const char *by,
                            struct server_drain_info *out)
{
    struct relay_route *of = server->relay.routes[route];
    char subject[CONF_NAME_MAX + 16];
    enum err err = drain_begin_route(of, plan, os_mono_ms(), out);
    str_format(subject, sizeof subject, "route '%s'", of->conf->name);
    log_drain(by, subject, plan, out);
    schedule_route(of); /* those that wait are told, and the drain takes its steps */
    return err;
}

enum err server_drain_upstream(struct server *server, size_t route, size_t upstream,
                               const struct server_drain_plan *plan, const char *by,
                               struct server_drain_info *out)
{
    struct relay_route *of = server->relay.routes[route];
    char subject[CONF_NAME_MAX + CONF_HOST_MAX + 64];
    bool changed = server_set_admin(server, route, upstream, ROUTE_DRAIN);
    enum err err = drain_begin_upstream(of, upstream, plan, os_mono_ms(), out);
    out->again = !changed;
    str_format(subject, sizeof subject, "route '%s': upstream '%s'", of->conf->name,
               of->conf->upstreams[upstream].name);
    log_drain(by, subject, plan, out);
    schedule_route(of);
    return err;
}

/* ---- kill ---- */

enum err server_kill(struct server *server, uint64_t id)
{
    struct pair *pair = table_find(&server->relay.table, id);
    if (pair == NULL)
        return ERR_NOT_FOUND;
    bool asked = pair_end(pair, REASON_KILLED);
    pair_unref(pair);
    return asked ? ERR_OK : ERR_NOT_FOUND;
}

enum err server_kill_matching(struct server *server, const struct server_filter *filter,
                              size_t *killed)
{
    struct relay *relay = &server->relay;
    const struct session_filter sessions = {
        .route = filter->route == SIZE_MAX ? NULL : relay->routes[filter->route],
        .at_upstream = filter->upstream != SIZE_MAX,
        .upstream = filter->upstream,
        .net = filter->net,
        .older_ms = filter->older_ms,
    };
    return sessions_end(relay, &sessions, REASON_KILLED, killed);
}

/* ---- upstreams ---- */

bool server_set_admin(struct server *server, size_t route, size_t upstream,
                      enum route_admin admin)
{
    struct relay_route *of = server->relay.routes[route];
    os_mutex_lock(&of->upstreams.lock);
    bool changed = route_set_admin(of->upstreams.route, upstream, admin, os_mono_ms());
    os_mutex_unlock(&of->upstreams.lock);
    if (admin == ROUTE_READY && drain_end(&of->upstreams.each[upstream]->drain))
        changed = true;
    schedule_route(of); /* logs it, and lets those in that wait */
    return changed;
}

bool server_set_weight(struct server *server, size_t route, size_t upstream, uint32_t weight)
{
    struct relay_route *of = server->relay.routes[route];
    os_mutex_lock(&of->upstreams.lock);
    bool changed = route_set_weight(of->upstreams.route, upstream, weight);
    os_mutex_unlock(&of->upstreams.lock);
    if (changed)
        log_notice("console: route '%s': upstream '%s' has weight %u now", of->conf->name,
                   of->conf->upstreams[upstream].name, weight);
    schedule_route(of);
    return changed;
}

bool server_set_max_sessions(struct server *server, size_t route, size_t upstream,
                             uint32_t max_sessions)
{
    struct relay_route *of = server->relay.routes[route];
    os_mutex_lock(&of->upstreams.lock);
    bool changed = route_set_max_sessions(of->upstreams.route, upstream, max_sessions);
    os_mutex_unlock(&of->upstreams.lock);
    if (changed)
        log_notice("console: route '%s': upstream '%s' takes at most %u sessions now (0: any "
                   "number)",
                   of->conf->name, of->conf->upstreams[upstream].name, max_sessions);
    schedule_route(of);
    return changed;
}

enum err server_resolve(struct server *server, size_t route, size_t upstream)
{
    const struct relay_route *of = server->relay.routes[route];
    return resolver_hurry(server->relay.resolver, of, upstream) ? ERR_OK : ERR_INVALID;
}
