/* The guard's memory, and what changes it; see guard.h. */
#include "config/diff.h"
#include "relay/core/worker.h"
#include "relay/guard/ban_keeper.h"
#include "relay/guard/guard.h"
#include "relay/relay.h"

#define BAN_LOG_MS 1000 /* one line a second tells of bans, and of how many there were */

enum err guard_open(struct relay *relay)
{
    struct guard *guard = &relay->guard;
    const struct conf *conf = relay->conf;
    enum err err = bans_open(&guard->bans, os_random());
    if (err != ERR_OK)
        return err;
    err = clients_open(&guard->clients, conf->client_table, os_random());
    if (err != ERR_OK)
        goto close_bans;
    err = tarpit_open(&guard->tarpit, &relay->timers, conf->tarpit_max);
    if (err != ERR_OK)
        goto close_clients;
    guard->ban_log.window_ms = BAN_LOG_MS;
    ban_clock_start(&guard->ban_clock, relay->started_ms);
    return ERR_OK;

close_clients:
    clients_close(guard->clients);
close_bans:
    bans_close(guard->bans);
    return err;
}

void guard_close(struct relay *relay)
{
    tarpit_close(&relay->guard.tarpit);
    clients_close(relay->guard.clients);
    bans_close(relay->guard.bans);
}

/* ---- routes ---- */

enum err guard_rules_make(struct guard_rules *out, const struct conf_route *conf)
{
    struct acl *acl = NULL;
    enum err err =
        conf->access_count == 0 ? ERR_OK : acl_open(&acl, conf->access, conf->access_count);
    if (err == ERR_OK)
        out->acl = acl;
    return err;
}

static bool has_same_paces(const struct conf_route *a, const struct conf_route *b)
{
    return !diff_key(a, b, "rate_up_per_client") && !diff_key(a, b, "rate_down_per_client");
}

void guard_rules_swap(struct relay_route *route, struct guard_rules *rules,
                      const struct conf_route *conf)
{
    struct acl *old = route->guard.acl;
    route->guard.acl = rules->acl;
    rules->acl = old;
    if (!has_same_paces(route->conf, conf))
        clients_fill(route->relay->guard.clients, route->guard.number);
}

void guard_rules_free(struct guard_rules *rules)
{
    acl_close(rules->acl);
    rules->acl = NULL;
}

enum err guard_route_open(struct relay_route *route)
{
    struct guard_rules rules;
    enum err err = guard_rules_make(&rules, route->conf);
    if (err != ERR_OK)
        return err;
    route->guard.number = atomic_fetch_add(&route->relay->guard.numbers, 1) + 1;
    route->guard.acl = rules.acl;
    return ERR_OK;
}

void guard_route_close(struct relay_route *route)
{
    acl_close(route->guard.acl);
    route->guard.acl = NULL;
}

/* ---- the end ---- */

void guard_stop(struct worker *worker)
{
    tarpit_stop(&worker->relay->guard.tarpit);
}
