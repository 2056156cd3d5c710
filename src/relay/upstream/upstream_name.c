#include "relay/upstream/upstream_name.h"

#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "os/os.h"
#include "relay/core/schedule.h"
#include "relay/relay.h"

#define FAILED_MIN_MS 1000  /* after the first failure; twice that after the next, and so on */
#define FAILED_MAX_MS 60000 /* or resolve_interval, whatever is less */

_Static_assert(DNS_ADDRS_MAX == ROUTE_SERVERS_MAX,
               "an upstream uses all addresses of its name");

enum err upstream_name_set_addrs(struct relay_route *route, size_t upstream,
                                 const struct addr *addrs, size_t count)
{
    os_mutex_lock(&route->upstreams.lock);
    enum err err =
        route_set_addrs(route->upstreams.route, upstream, addrs, count, os_mono_ms(), NULL);
    os_mutex_unlock(&route->upstreams.lock);
    schedule_route(route);
    return err;
}

static void set_unresolved(struct relay_route *route, size_t upstream)
{
    os_mutex_lock(&route->upstreams.lock);
    route_set_unresolved(route->upstreams.route, upstream, os_mono_ms());
    os_mutex_unlock(&route->upstreams.lock);
    schedule_route(route);
}

/* ---- an answer ---- */

static bool is_unknown(const struct dns_answer *answer, const struct addr *addr)
{
    return (addr->family == ADDR_IPV4 ? answer->ipv4 : answer->ipv6) == DNS_FAILED;
}

/* The addresses of the answer, then those in use of which it knows nothing. */
static size_t merge(const struct upstream_name *name, const struct dns_answer *answer,
                    struct addr out[ROUTE_SERVERS_MAX])
{
    struct addr used[ROUTE_SERVERS_MAX];
    struct relay_route *route = name->route;
    size_t count = answer->count;
    memcpy(out, answer->addrs, count * sizeof *out);
    os_mutex_lock(&route->upstreams.lock);
    size_t used_count = route_get_addrs(route->upstreams.route, name->upstream, used);
    os_mutex_unlock(&route->upstreams.lock);
    for (size_t i = 0; i < used_count && count < ROUTE_SERVERS_MAX; i++)
        if (is_unknown(answer, &used[i]))
            out[count++] = used[i];
    return count;
}

enum err upstream_name_apply(const struct upstream_name *name, const struct dns_answer *answer)
{
    struct addr addrs[ROUTE_SERVERS_MAX];
    size_t count = merge(name, answer, addrs);
    bool certain = answer->ipv4 != DNS_FAILED || answer->ipv6 != DNS_FAILED;
    enum err err = answer->count > 0 ? ERR_OK : ERR_RESOLVE;
    if (count == 0)
        set_unresolved(name->route, name->upstream);
    else if (certain) {
        enum err set = upstream_name_set_addrs(name->route, name->upstream, addrs, count);
        err = err == ERR_OK ? set : err;
    }
    return err;
}

/* ---- what is known ---- */

static uint64_t after_failure(const struct upstream_name *name, uint32_t interval_ms,
                              uint64_t now_ms)
{
    unsigned doublings = name->failures - 1 < 10 ? name->failures - 1 : 10;
    uint64_t most =
        interval_ms != 0 && interval_ms < FAILED_MAX_MS ? interval_ms : FAILED_MAX_MS;
    uint64_t delay = (uint64_t)FAILED_MIN_MS << doublings;
    return now_ms + (delay < most ? delay : most);
}

static uint64_t after_success(uint32_t ttl_ms, uint32_t interval_ms, uint64_t now_ms)
{
    uint32_t delay = ttl_ms < interval_ms ? ttl_ms : interval_ms;
    if (interval_ms == 0)
        return UINT64_MAX;
    return now_ms + (delay > NAME_NOT_BEFORE_MS ? delay : NAME_NOT_BEFORE_MS);
}

static uint64_t next_due(const struct upstream_name *name, uint32_t ttl_ms, uint64_t now_ms)
{
    uint32_t interval_ms = name->route->conf->resolve_interval_ms;
    bool is_over =
        interval_ms == 0 && name->state == NAME_FAILED && name->info.resolved_ms != 0;
    if (name->state == NAME_GOOD)
        return after_success(ttl_ms, interval_ms, now_ms);
    return is_over ? UINT64_MAX : after_failure(name, interval_ms, now_ms);
}

static enum name_state state_of(const struct dns_answer *answer, enum err err)
{
    if (err != ERR_OK)
        return NAME_FAILED;
    bool failed = answer->ipv4 == DNS_FAILED || answer->ipv6 == DNS_FAILED;
    return failed ? NAME_PARTIAL : NAME_GOOD;
}

enum name_state upstream_name_note(struct upstream_name *name, const struct dns_answer *answer,
                                   enum err err, uint64_t now_ms)
{
    enum name_state before = name->state;
    struct resolver_info *info = &name->info;
    name->tried_ms = now_ms;
    if (err == ERR_OK)
        info->resolved_ms = now_ms;
    if (answer->more)
        return before; /* the rest is told by the last answer */
    name->asking = false;
    name->state = state_of(answer, err);
    name->failures = name->state == NAME_GOOD ? 0 : name->failures + 1;
    info->failures_total += err != ERR_OK;
    const char *why = answer->why[0] != '\0' ? answer->why : err_text(err);
    str_format(info->why, sizeof info->why, "%s", name->state == NAME_GOOD ? "" : why);
    name->due_ms = next_due(name, answer->ttl_ms, now_ms);
    return before;
}

void upstream_name_log(const struct upstream_name *name, enum name_state before)
{
    const char *route = name->route->conf->name;
    const char *upstream = name->route->conf->upstreams[name->upstream].name;
    const struct resolver_info *info = &name->info;
    if (name->state == before)
        return;
    switch (name->state) {
    case NAME_GOOD:
        log_notice("route '%s': upstream '%s' can be resolved again", route, upstream);
        break;
    case NAME_PARTIAL:
        log_warning("route '%s': upstream '%s' is resolved in part: %s; its other addresses "
                    "are used, and of this kind those that were known",
                    route, upstream, info->why);
        break;
    case NAME_FAILED:
        log_error("route '%s': upstream '%s' can't be resolved: %s; %s", route, upstream,
                  info->why,
                  info->resolved_ms != 0 ? "its last addresses stay in use"
                                         : "no session goes there until it can");
        break;
    }
}

void upstream_name_known(struct upstream_name *name, uint32_t ttl_ms, uint64_t now_ms)
{
    name->tried_ms = name->info.resolved_ms = now_ms;
    name->due_ms = next_due(name, ttl_ms, now_ms);
}

void upstream_name_reschedule(struct upstream_name *name, uint32_t interval_ms, uint64_t now_ms)
{
    if (interval_ms == 0 && name->info.resolved_ms != 0)
        name->due_ms = UINT64_MAX;
    else if (interval_ms != 0 && now_ms + interval_ms < name->due_ms)
        name->due_ms = now_ms + interval_ms;
}
