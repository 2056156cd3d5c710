/* Commands that change an upstream: who gets new sessions, and how many. The server writes each
 * change to the log. */
#include <inttypes.h>
#include <stdlib.h>

#include "config/conf.h"
#include "control/act/act.h"
#include "control/show/drain_text.h"
#include "control/show/upstream_text.h"
#include "os/os.h"
#include "relay/server.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"

/* "upstream 10.0.0.5:7000 of route 'lobby'" */
static void add_subject(const struct command_session *session, const struct command_args *args,
                        struct str *out)
{
    const struct conf_route *route =
        &server_conf(session->console->server)->routes[args->route];
    str_addf(out, "upstream %s of route '%s'", route->upstreams[args->upstream].name,
             route->name);
}

/* How the upstream is right now; `sources` is NULL, its servers are to be freed. False: without
 * memory nobody can look. What was asked for is done all the same, and answered without this. */
static bool look(const struct command_session *session, const struct command_args *args,
                 struct server_upstream_info *out)
{
    struct server_route_info *routes;
    size_t count;
    if (server_get_routes(session->console->server, &routes, &count) != ERR_OK)
        return false;
    struct server_upstream_info *info = &routes[args->route].upstreams[args->upstream];
    *out = *info;
    out->sources = NULL;
    out->source_count = 0;
    info->state.servers = NULL;
    server_free_routes(routes, count);
    return true;
}

/* "; 12 are open" */
static void add_open(const struct server_upstream_info *info, struct str *out)
{
    uint32_t open = info->state.sessions;
    if (open == 0)
        str_add(out, "; none is open");
    else
        str_addf(out, "; %" PRIu32 " %s open", open, open == 1 ? "is" : "are");
}

/* "; its state is DRAIN (weight is 0)" */
static void add_state(const struct server_upstream_info *info, struct str *out)
{
    str_addf(out, "; its state is %s", upstream_word(info));
    struct str why;
    str_init(&why);
    upstream_add_why(info, os_mono_ms(), &why);
    if (why.len > 0)
        str_addf(out, " (%s)", why.data);
    out->failed |= why.failed;
    str_free(&why);
}

/* ---- enable, disable, drain ---- */

void command_enable_upstream(struct command_session *session, const struct command_args *args,
                             struct command_result *result)
{
    bool changed =
        server_set_admin(session->console->server, args->route, args->upstream, ROUTE_READY);
    struct server_upstream_info info;
    add_subject(session, args, &result->text);
    str_add(&result->text, changed ? " is enabled" : " was enabled already");
    if (look(session, args, &info)) {
        add_state(&info, &result->text);
        free(info.state.servers);
    }
    str_add_char(&result->text, '\n');
}

void command_disable_upstream(struct command_session *session, const struct command_args *args,
                              struct command_result *result)
{
    bool changed =
        server_set_admin(session->console->server, args->route, args->upstream, ROUTE_DISABLED);
    struct server_upstream_info info;
    add_subject(session, args, &result->text);
    str_add(&result->text, changed ? " is disabled: it takes no new sessions and is not checked"
                                   : " was disabled already");
    if (look(session, args, &info)) {
        add_open(&info, &result->text);
        free(info.state.servers);
    }
    str_add_char(&result->text, '\n');
}

void command_drain_upstream(struct command_session *session, const struct command_args *args,
                            struct command_result *result)
{
    const struct server_drain_plan plan = {.over_ms = args->duration_ms, .kill = args->kill};
    struct server_drain_info info;
    enum err err = server_drain_upstream(session->console->server, args->route, args->upstream,
                                         &plan, command_by(session), &info);
    add_subject(session, args, &result->text);
    str_add(&result->text,
            info.again ? " took no new sessions already" : " takes no new sessions");
    drain_add_left(&info, &plan, err, &result->text);
    str_add_char(&result->text, '\n');
}

/* ---- set ---- */

void command_set_weight(struct command_session *session, const struct command_args *args,
                        struct command_result *result)
{
    struct server_upstream_info before;
    bool known = look(session, args, &before);
    uint32_t weight = (uint32_t)args->number;
    server_set_weight(session->console->server, args->route, args->upstream, weight);
    str_add(&result->text, "weight of ");
    add_subject(session, args, &result->text);
    str_addf(&result->text, " is now %" PRIu32, weight);
    if (known)
        str_addf(&result->text, ", was %" PRIu32, before.state.weight);
    if (weight == 0)
        str_add(&result->text, ": it takes no new sessions");
    if (known && weight == 0)
        add_open(&before, &result->text);
    if (known)
        free(before.state.servers);
    str_add_char(&result->text, '\n');
}

static void add_limit(uint32_t limit, struct str *out)
{
    if (limit == 0)
        str_add(out, "no limit");
    else
        str_addf(out, "%" PRIu32, limit);
}

void command_set_max_sessions(struct command_session *session, const struct command_args *args,
                              struct command_result *result)
{
    struct server_upstream_info before;
    bool known = look(session, args, &before);
    uint32_t limit = (uint32_t)args->number;
    server_set_max_sessions(session->console->server, args->route, args->upstream, limit);
    str_add(&result->text, "max_sessions of ");
    add_subject(session, args, &result->text);
    str_add(&result->text, " is now ");
    add_limit(limit, &result->text);
    if (known) {
        str_add(&result->text, ", was ");
        add_limit(before.state.sessions_max, &result->text);
        add_open(&before, &result->text);
        free(before.state.servers);
    }
    str_add_char(&result->text, '\n');
}

/* ---- resolve ---- */

void command_resolve(struct command_session *session, const struct command_args *args,
                     struct command_result *result)
{
    enum err err = server_resolve(session->console->server, args->route, args->upstream);
    struct str subject;
    str_init(&subject);
    add_subject(session, args, &subject);
    if (err == ERR_INVALID)
        command_fail(result, "%s is an address: there is nothing to resolve", subject.data);
    else if (err != ERR_OK)
        command_fail(result, "%s could not be resolved: %s", subject.data, err_text(err));
    else
        str_addf(&result->text,
                 "%s is being resolved; `show upstreams` shows what comes of it\n",
                 subject.data);
    str_free(&subject);
}
