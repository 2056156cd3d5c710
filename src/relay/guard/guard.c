/* May this client pass; see guard.h. */
#include "relay/guard/guard.h"

#include <inttypes.h>
#include <string.h>

#include "relay/core/worker.h"
#include "relay/guard/ban_keeper.h"
#include "relay/relay.h"

bool guard_is_exempt(const struct conf_route *conf, const struct addr *client)
{
    for (size_t i = 0; i < conf->exempt_count; i++)
        if (addr_net_has(&conf->exempts[i], client))
            return true;
    return false;
}

/* ---- the questions ---- */

static enum reason ask_access(const struct relay_route *route, const struct addr *client)
{
    const struct acl *acl = route->guard.acl;
    return acl == NULL || acl_admits(acl, client) ? REASON_NONE : REASON_DENIED;
}

static enum reason ask_bans(struct worker *worker, const struct addr *client)
{
    struct guard *guard = &worker->relay->guard;
    uint64_t now = ban_clock_at(&guard->ban_clock, worker->now_ms);
    return bans_has(guard->bans, client, now, true, NULL) ? REASON_BANNED : REASON_NONE;
}

static enum reason ask_rates(struct worker *worker, struct relay_route *route)
{
    struct relay *relay = worker->relay;
    if (!bucket_take(&relay->guard.connects, &relay->conf->connect_rate, worker->now_ms))
        return REASON_RATE_RELAY;
    if (bucket_take(&route->guard.connects, &route->conf->connect_rate, worker->now_ms))
        return REASON_NONE;
    bucket_give(&relay->guard.connects, &relay->conf->connect_rate);
    return REASON_RATE_ROUTE;
}

/* One client alone must not use the rates up that are for all. */
static void give_rates_back(struct relay *relay, struct relay_route *route)
{
    bucket_give(&relay->guard.connects, &relay->conf->connect_rate);
    bucket_give(&route->guard.connects, &route->conf->connect_rate);
}

static uint8_t client_bits(const struct conf *conf, const struct addr *client)
{
    return (uint8_t)(client->family == ADDR_IPV4 ? conf->client_bits_ipv4
                                                 : conf->client_bits_ipv6);
}

struct addr_net guard_client_net(const struct conf *conf, const struct addr *client)
{
    struct addr_net net = {.addr = *client, .bits = client_bits(conf, client)};
    addr_net_mask(&net.addr, net.bits);
    net.addr.port = 0;
    net.addr.scope = 0;
    return net;
}

static enum reason ask_client(struct worker *worker, struct relay_route *route,
                              const struct addr *client, struct client **entry, bool *ban)
{
    const struct conf_route *conf = route->conf;
    const struct client_limits limits = {.max_sessions = conf->max_sessions_per_client,
                                         .connect_rate = conf->connect_rate_per_client,
                                         .ban_after = conf->ban_after};
    switch (clients_enter(worker->relay->guard.clients, route->guard.number, client,
                          client_bits(worker->relay->conf, client), &limits, worker->now_ms,
                          entry, ban)) {
    case CLIENT_ADMITTED: return REASON_NONE;
    case CLIENT_TOO_MANY: return REASON_LIMIT_CLIENT;
    case CLIENT_TOO_OFTEN: return REASON_RATE_CLIENT;
    }
    return REASON_NONE;
}

struct guard_answer guard_ask(struct worker *worker, struct relay_route *route,
                              const struct addr *client, struct client **entry)
{
    const struct conf_route *conf = route->conf;
    struct guard_answer answer = {.dry = conf->guard == CONF_GUARD_DRY_RUN};
    bool exempt = guard_is_exempt(conf, client);
    *entry = NULL;
    answer.reason = ask_access(route, client);
    if (answer.reason == REASON_NONE && !exempt)
        answer.reason = ask_bans(worker, client);
    if (answer.reason != REASON_NONE)
        return answer;
    answer.reason = ask_rates(worker, route);
    if (answer.reason != REASON_NONE || exempt)
        return answer;
    answer.reason = ask_client(worker, route, client, entry, &answer.ban);
    if (answer.reason != REASON_NONE)
        give_rates_back(worker->relay, route);
    return answer;
}

/* ---- what follows ---- */

static void note_dry(struct worker *worker, struct relay_route *route,
                     const struct addr *client, enum reason reason)
{
    struct guard_route *guard = &route->guard;
    atomic_fetch_add_explicit(&guard->would_refuse[reason], 1, memory_order_relaxed);
    if (log_limit_holds(&guard->would_log, LOG_WARNING, worker->now_ms))
        return;
    char text[ADDR_TEXT_MAX];
    log_limited(&guard->would_log, LOG_WARNING, "route '%s': client %s would be refused: %s",
                route->conf->name, addr_format(client, text), reason_sentence(reason));
}

static struct ban ban_for(struct worker *worker, struct relay_route *route,
                          const struct addr *client)
{
    const struct conf_eject *after = &route->conf->ban_after;
    struct ban ban = {.net = guard_client_net(worker->relay->conf, client)};
    char within[STR_HUMAN_MAX];
    ban.set_ms = ban_clock_at(&worker->relay->guard.ban_clock, worker->now_ms);
    ban.until_ms = ban.set_ms + after->for_ms;
    str_format(ban.by, sizeof ban.by, "ban_after of route '%s'", route->conf->name);
    str_format(ban.reason, sizeof ban.reason, "%" PRIu32 " refusals in %s", after->count,
               str_exact_duration(after->within_ms, within));
    return ban;
}

static void ban_client(struct worker *worker, struct relay_route *route,
                       const struct addr *client, bool dry)
{
    struct guard *guard = &worker->relay->guard;
    struct ban ban = ban_for(worker, route, client);
    char text[ADDR_NET_TEXT_MAX], lasts[STR_HUMAN_MAX];
    addr_net_format_short(&ban.net, text);
    str_exact_duration(route->conf->ban_after.for_ms, lasts);
    if (dry) {
        log_limited(&guard->ban_log, LOG_WARNING, "route '%s': %s would be banned for %s: %s",
                    route->conf->name, text, lasts, ban.reason);
        return;
    }
    enum err err = bans_add(guard->bans, &ban, ban.set_ms, NULL);
    if (err == ERR_OK)
        log_limited(&guard->ban_log, LOG_WARNING, "route '%s': %s is banned for %s: %s",
                    route->conf->name, text, lasts, ban.reason);
    else
        log_limited(&guard->ban_log, LOG_WARNING, "route '%s': %s could not be banned: %s",
                    route->conf->name, text,
                    err == ERR_RANGE ? "there are too many bans" : err_text(err));
    ban_keeper_wake(guard->keeper, err == ERR_OK);
}

void guard_apply(struct worker *worker, struct relay_route *route, const struct addr *client,
                 struct guard_answer answer)
{
    if (answer.reason != REASON_NONE && answer.dry)
        note_dry(worker, route, client, answer.reason);
    if (answer.ban)
        ban_client(worker, route, client, answer.dry);
}

/* A ban that no operator has set. */
static bool is_automatic(const struct ban *ban)
{
    static const char by[] = "ban_after ";
    return strncmp(ban->by, by, sizeof by - 1) == 0;
}

bool guard_has_banned(const struct relay_route *route, const struct addr *client)
{
    const struct conf_route *conf = route->conf;
    const struct guard *guard = &route->relay->guard;
    struct ban ban;
    return conf->guard == CONF_GUARD_ENFORCE && !guard_is_exempt(conf, client) &&
           bans_has(guard->bans, client, ban_clock_now(&guard->ban_clock), false, &ban) &&
           is_automatic(&ban);
}
