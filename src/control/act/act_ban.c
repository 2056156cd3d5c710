/* `ban` and `unban`. */
#include <inttypes.h>

#include "control/act/act.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"

static void add_ended(const struct server_ban_result *ban, bool keep, struct str *out)
{
    if (keep)
        str_add(out, "; open sessions go on\n");
    else if (ban->end_err != ERR_OK)
        str_addf(out, "; its sessions could not be ended: %s\n", err_text(ban->end_err));
    else
        str_addf(out, "; %zu session%s ended\n", ban->ended, ban->ended == 1 ? "" : "s");
}

/* What the ban does not do. */
static void add_limits(const struct server_ban_result *ban, struct str *out)
{
    char net[ADDR_NET_TEXT_MAX], more[48] = "";
    if (ban->exempt_routes > 1)
        str_format(more, sizeof more, ", and %zu more route%s like it", ban->exempt_routes - 1,
                   ban->exempt_routes == 2 ? "" : "s");
    if (ban->exempt_routes > 0)
        str_addf(out,
                 "note: %s is on guard_exempt of route '%s'%s: its clients still come in\n",
                 addr_net_format_short(&ban->exempt, net), ban->exempt_route, more);
    if (ban->dry_routes > 0)
        str_addf(out, "note: %zu route%s `guard = dry_run` and let%s banned clients in\n",
                 ban->dry_routes, ban->dry_routes == 1 ? " has" : "s have",
                 ban->dry_routes == 1 ? "s" : "");
}

void command_ban(struct command_session *session, const struct command_args *args,
                 struct command_result *result)
{
    struct server_ban_result ban;
    char net[ADDR_NET_TEXT_MAX], lasts[STR_HUMAN_MAX];
    addr_net_format_short(&args->net, net);
    if (!command_allows_net(session, "ban", args, result))
        return;
    enum err err = server_ban(session->console->server, &args->net, args->duration_ms,
                              args->reason, args->keep, &ban);
    if (err == ERR_RANGE) {
        command_fail(result,
                     "%s could not be banned: there are %d bans, and no more fit; ban a wider "
                     "network instead of single addresses",
                     net, BANS_MAX);
        return;
    }
    if (err != ERR_OK) {
        command_fail(result, "%s could not be banned: %s", net, err_text(err));
        return;
    }
    str_addf(&result->text, "%s is banned %s%s%s", net,
             args->duration_ms == 0 ? "for ever" : "for ",
             args->duration_ms == 0 ? "" : str_exact_duration(args->duration_ms, lasts),
             ban.replaced ? ", in the place of an older ban" : "");
    add_ended(&ban, args->keep, &result->text);
    add_limits(&ban, &result->text);
}

void command_unban(struct command_session *session, const struct command_args *args,
                   struct command_result *result)
{
    struct server *server = session->console->server;
    struct ban other;
    char net[ADDR_NET_TEXT_MAX], wider[ADDR_NET_TEXT_MAX];
    addr_net_format_short(&args->net, net);
    if (server_unban(server, &args->net))
        str_addf(&result->text, "%s is not banned any more\n", net);
    else if (server_find_ban(server, &args->net.addr, &other))
        command_fail(result,
                     "there is no ban of %s itself, but one of %s; `show bans` lists all", net,
                     addr_net_format_short(&other.net, wider));
    else
        command_fail(result, "there is no ban of %s; `show bans` lists all", net);
}
