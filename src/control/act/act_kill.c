/* Commands that end sessions. */
#include <inttypes.h>

#include "base/addr_net.h"
#include "base/log.h"
#include "config/conf.h"
#include "control/act/act.h"
#include "relay/server.h"
#include "relay/server_operate.h"

void command_kill(struct command_session *session, const struct command_args *args,
                  struct command_result *result)
{
    enum err err = server_kill(session->console->server, args->id);
    if (err == ERR_NOT_FOUND) {
        command_fail(result,
                     "session %" PRIu64 " is not open; `show sessions` lists the open ones",
                     args->id);
        return;
    }
    if (err != ERR_OK) {
        command_fail(result, "session %" PRIu64 " could not be ended: %s", args->id,
                     err_text(err));
        return;
    }
    str_addf(&result->text, "session %" PRIu64 " is ended\n", args->id);
}

/* Ends those that fit. `which` says which, as in "3 sessions of route 'lobby' ended", and `more`
 * what else there is to say. */
static void kill_matching(struct command_session *session, const struct server_filter *filter,
                          const char *which, const char *more, struct command_result *result)
{
    size_t killed;
    enum err err = server_kill_matching(session->console->server, filter, &killed);
    if (err != ERR_OK) {
        command_fail(result, "the sessions could not be ended: %s", err_text(err));
        return;
    }
    log_notice("console: killed %zu sessions %s", killed, which);
    str_addf(&result->text, "%zu session%s %s ended%s\n", killed, killed == 1 ? "" : "s", which,
             more);
}

static const struct server_filter all = {.route = SIZE_MAX, .upstream = SIZE_MAX};

void command_kill_route(struct command_session *session, const struct command_args *args,
                        struct command_result *result)
{
    const struct conf *conf = server_conf(session->console->server);
    struct server_filter filter = all;
    char which[CONF_NAME_MAX + 16];
    filter.route = args->route;
    str_format(which, sizeof which, "of route '%s'", conf->routes[args->route].name);
    kill_matching(session, &filter, which, "; the route goes on", result);
}

void command_kill_upstream(struct command_session *session, const struct command_args *args,
                           struct command_result *result)
{
    const struct conf_route *route =
        &server_conf(session->console->server)->routes[args->route];
    struct server_filter filter = all;
    char which[CONF_NAME_MAX + CONF_HOST_MAX + 64];
    filter.route = args->route;
    filter.upstream = args->upstream;
    str_format(which, sizeof which, "at upstream %s of route '%s'",
               route->upstreams[args->upstream].name, route->name);
    kill_matching(session, &filter, which, "; it takes new ones", result);
}

void command_kill_client(struct command_session *session, const struct command_args *args,
                         struct command_result *result)
{
    struct server_filter filter = all;
    char net[ADDR_NET_TEXT_MAX], which[ADDR_NET_TEXT_MAX + 16];
    if (!command_allows_net(session, "kill client", args, result))
        return;
    filter.net = &args->net;
    str_format(which, sizeof which, "of client %s", addr_net_format_short(&args->net, net));
    kill_matching(session, &filter, which, "", result);
}

void command_kill_older(struct command_session *session, const struct command_args *args,
                        struct command_result *result)
{
    struct server_filter filter = all;
    char exact[STR_HUMAN_MAX], which[STR_HUMAN_MAX + 16];
    filter.older_ms = args->duration_ms;
    str_format(which, sizeof which, "older than %s",
               str_exact_duration(args->duration_ms, exact));
    kill_matching(session, &filter, which, "", result);
}
