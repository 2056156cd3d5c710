/* The operator's hand on the guard, and what can be seen of it; see server_operate.h and
 * server_info.h. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "os/os.h"
#include "relay/core/sessions.h"
#include "relay/guard/ban_keeper.h"
#include "relay/guard/guard.h"
#include "relay/server.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"
#include "relay/server_private.h"

static uint64_t ban_now(const struct relay *relay)
{
    return ban_clock_now(&relay->guard.ban_clock);
}

/* ---- bans ---- */

static bool overlap(const struct addr_net *a, const struct addr_net *b)
{
    return addr_net_has(a, &b->addr) || addr_net_has(b, &a->addr);
}

static void find_exempt(const struct relay *relay, const struct addr_net *net,
                        struct server_ban_result *out)
{
    for (size_t i = 0; i < relay->route_count; i++) {
        const struct conf_route *conf = relay->routes[i]->conf;
        size_t k = 0;
        while (k < conf->exempt_count && !overlap(&conf->exempts[k], net))
            k++;
        if (k < conf->exempt_count && out->exempt_routes++ == 0) {
            out->exempt = conf->exempts[k];
            str_format(out->exempt_route, sizeof out->exempt_route, "%s", conf->name);
        }
        if (conf->guard == CONF_GUARD_DRY_RUN)
            out->dry_routes++;
    }
}

static void log_ban(const struct ban *ban, uint64_t for_ms)
{
    char net[ADDR_NET_TEXT_MAX], lasts[STR_HUMAN_MAX];
    str_exact_duration(for_ms, lasts);
    log_notice("console: %s is banned%s%s%s%s", addr_net_format_short(&ban->net, net),
               for_ms == 0 ? "" : " for ", for_ms == 0 ? "" : lasts,
               ban->reason[0] == '\0' ? "" : ": ", ban->reason);
}

static bool is_not_exempt(const struct relay_route *route, const struct addr *client)
{
    return !guard_is_exempt(route->conf, client);
}

static void end_sessions(struct relay *relay, const struct addr_net *net,
                         struct server_ban_result *out)
{
    const struct session_filter filter = {.net = net, .wanted = is_not_exempt};
    out->end_err = sessions_end(relay, &filter, REASON_BAN, &out->ended);
}

enum err server_ban(struct server *server, const struct addr_net *net, uint64_t for_ms,
                    const char *reason, bool keep, struct server_ban_result *out)
{
    struct relay *relay = &server->relay;
    struct ban ban = {.net = *net, .set_ms = ban_now(relay)};
    ban.until_ms = for_ms == 0 ? BAN_FOR_EVER : ban.set_ms + for_ms;
    str_format(ban.by, sizeof ban.by, "console");
    str_format(ban.reason, sizeof ban.reason, "%s", reason);
    memset(out, 0, sizeof *out);
    enum err err = bans_add(relay->guard.bans, &ban, ban.set_ms, &out->replaced);
    if (err != ERR_OK)
        return err;
    log_ban(&ban, for_ms);
    ban_keeper_hurry(relay->guard.keeper);
    if (!keep)
        end_sessions(relay, net, out);
    find_exempt(relay, net, out);
    return ERR_OK;
}

bool server_unban(struct server *server, const struct addr_net *net)
{
    struct guard *guard = &server->relay.guard;
    bool removed = bans_remove(guard->bans, net);
    if (!ban_keeper_remove_aside(guard->keeper, net) && !removed)
        return false;
    char text[ADDR_NET_TEXT_MAX];
    log_notice("console: %s is not banned any more", addr_net_format_short(net, text));
    ban_keeper_hurry(guard->keeper);
    return true;
}

bool server_find_ban(struct server *server, const struct addr *addr, struct ban *out)
{
    const struct relay *relay = &server->relay;
    if (!bans_has(relay->guard.bans, addr, ban_now(relay), false, out))
        return false;
    ban_clock_to_wall(out, ban_clock_shift(&relay->guard.ban_clock));
    return true;
}

enum err server_get_bans(struct server *server, struct server_bans *out)
{
    struct guard *guard = &server->relay.guard;
    struct ban_keeper_info info;
    memset(out, 0, sizeof *out);
    enum err err = bans_list(guard->bans, ban_now(&server->relay), &out->bans, &out->count);
    if (err != ERR_OK)
        return err;
    int64_t shift_ms = ban_clock_shift(&guard->ban_clock);
    for (size_t i = 0; i < out->count; i++)
        ban_clock_to_wall(&out->bans[i], shift_ms);
    ban_keeper_get_info(guard->keeper, &info);
    str_format(out->path, sizeof out->path, "%s", info.path);
    out->keep_err = info.err;
    out->read_err = info.read_err;
    out->handed_over = info.handed_over;
    out->locked_out = info.locked_out;
    out->holder = info.holder;
    out->aside = info.aside;
    return ERR_OK;
}

void server_free_bans(struct server_bans *bans)
{
    free(bans->bans);
    bans->bans = NULL;
}

void server_take_state_over(struct server *server)
{
    ban_keeper_take_over(server->relay.guard.keeper);
}

/* ---- clients ---- */

/* SIZE_MAX: the route is gone. */
static size_t route_of(const struct relay *relay, uint32_t number)
{
    for (size_t i = 0; i < relay->route_count; i++)
        if (relay->routes[i]->guard.number == number)
            return i;
    return SIZE_MAX;
}

static void fill_client(const struct relay *relay, const struct client_info *client,
                        size_t route, struct server_client_info *out)
{
    *out = (struct server_client_info){
        .route = route,
        .net = {.addr = client->addr, .bits = client->bits},
        .sessions = client->sessions,
        .entered_total = client->entered_total,
        .refused_total = client->refused_total,
        .quiet_ms = client->quiet_ms,
        .banned = bans_has(relay->guard.bans, &client->addr, ban_now(relay), false, NULL),
    };
}

enum err server_get_clients(struct server *server, size_t route,
                            struct server_client_info **out, size_t *count)
{
    struct relay *relay = &server->relay;
    struct client_info *all;
    size_t all_count, used = 0;
    enum err err = clients_list(relay->guard.clients, os_mono_ms(), &all, &all_count);
    if (err != ERR_OK)
        return err;
    struct server_client_info *clients = calloc(all_count + 1, sizeof *clients);
    for (size_t i = 0; clients != NULL && i < all_count; i++) {
        size_t at = route_of(relay, all[i].route);
        if (at != SIZE_MAX && (route == SIZE_MAX || at == route))
            fill_client(relay, &all[i], at, &clients[used++]);
    }
    free(all);
    if (clients == NULL)
        return ERR_NOMEM;
    *out = clients;
    *count = used;
    return ERR_OK;
}
