/* Commands that hold a route's clients back, let them in again, or empty the route. The server
 * writes each change to the log. */
#include <inttypes.h>

#include "config/conf.h"
#include "control/act/act.h"
#include "control/show/drain_text.h"
#include "relay/server.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"

/* Calls for the route that is meant, or for all. */
static void each_route(struct command_session *session, const struct command_args *args,
                       void (*act)(struct command_session *session, size_t route,
                                   const struct command_args *args, struct str *out),
                       struct str *out)
{
    size_t count = server_conf(session->console->server)->route_count;
    bool one = args->route != SIZE_MAX;
    for (size_t r = one ? args->route : 0; r < (one ? args->route + 1 : count); r++)
        act(session, r, args, out);
}

/* ---- pause and resume ---- */

static void pause_route(struct command_session *session, size_t route,
                        const struct command_args *args, struct str *out)
{
    const struct conf_route *conf = &server_conf(session->console->server)->routes[route];
    char exact[STR_HUMAN_MAX];
    str_addf(out, "route '%s' ", conf->name);
    if (!server_pause(session->console->server, route, args->frozen, command_by(session))) {
        str_addf(out, "was paused%s already\n", args->frozen ? " and frozen" : "");
        return;
    }
    str_addf(out,
             "is paused%s: new clients wait, at most %" PRIu32 " of them and each for %s; ",
             args->frozen ? " and frozen" : "", conf->queue_max,
             str_exact_duration(conf->pause_timeout_ms, exact));
    str_add(out, args->frozen ? "its sessions are not read from\n" : "its sessions go on\n");
}

void command_pause(struct command_session *session, const struct command_args *args,
                   struct command_result *result)
{
    each_route(session, args, pause_route, &result->text);
}

static void resume_route(struct command_session *session, size_t route,
                         const struct command_args *args, struct str *out)
{
    (void)args;
    const struct conf_route *conf = &server_conf(session->console->server)->routes[route];
    struct server_resumed was;
    char human[STR_HUMAN_MAX];
    server_resume(session->console->server, route, command_by(session), &was);
    str_addf(out, "route '%s' ", conf->name);
    if (was.was_paused) {
        str_addf(out, "is resumed after %s; ", str_human_duration(was.paused_ms, human));
        if (was.waiting == 0)
            str_add(out, "nobody has waited");
        else
            str_addf(out, "%" PRIu32 " client%s waited %s let in now", was.waiting,
                     was.waiting == 1 ? " that" : "s that", was.waiting == 1 ? "is" : "are");
    }
    if (was.was_drained)
        str_addf(out, "%stakes new clients again", was.was_paused ? ", and " : "");
    if (!was.was_paused && !was.was_drained)
        str_add(out, "was neither paused nor drained");
    str_add_char(out, '\n');
}

void command_resume(struct command_session *session, const struct command_args *args,
                    struct command_result *result)
{
    each_route(session, args, resume_route, &result->text);
}

/* ---- drain ---- */

void command_drain_route(struct command_session *session, const struct command_args *args,
                         struct command_result *result)
{
    struct server *server = session->console->server;
    const struct server_drain_plan plan = {.over_ms = args->duration_ms, .kill = args->kill};
    struct server_drain_info info;
    enum err err = server_drain_route(server, args->route, &plan, command_by(session), &info);
    str_addf(&result->text, "route '%s' %s", server_conf(server)->routes[args->route].name,
             info.again ? "took no new clients already" : "takes no new clients");
    drain_add_left(&info, &plan, err, &result->text);
    str_add_char(&result->text, '\n');
}
