/* Commands that change something. */
#include <inttypes.h>

#include "base/log.h"
#include "config/conf.h"
#include "control/act/act.h"
#include "control/act/reload.h"
#include "relay/server.h"
#include "relay/server_info.h"

void command_set_log_level(struct command_session *session, const struct command_args *args,
                           struct command_result *result)
{
    (void)session;
    enum log_level before = log_get_level();
    if (args->level != before)
        log_notice("console: log level is now %s, was %s", log_level_word(args->level),
                   log_level_word(before));
    log_set_level(args->level);
    str_addf(&result->text, "log level is now %s, was %s\n", log_level_word(args->level),
             log_level_word(before));
}

void command_set_columns(struct command_session *session, const struct command_args *args,
                         struct command_result *result)
{
    session->columns = args->columns;
    if (args->columns == 0)
        str_add(&result->text, "tables are as wide as they need\n");
    else
        str_addf(&result->text, "tables keep to %u columns where they can\n", args->columns);
}

void command_reopen(struct command_session *session, const struct command_args *args,
                    struct command_result *result)
{
    (void)args;
    const struct console *console = session->console;
    if (console->log_path[0] == '\0') {
        str_add(&result->text, "the log goes to stderr: there is no file to open again\n");
        return;
    }
    enum err err = console->reopen(console->ctx);
    if (err != ERR_OK)
        command_fail(result, "%s could not be opened: %s; the old file stays in use",
                     console->log_path, err_text(err));
    else
        str_addf(&result->text, "log file %s is open again\n", console->log_path);
}

/* A reload waits until nobody looks at the configuration, and the command does. */
static void reload_with(struct command_session *session, const struct command_args *args,
                        bool (*run)(const struct console *console, bool json, struct str *out),
                        struct command_result *result)
{
    const struct console *console = session->console;
    if (console->config_path[0] == '\0') {
        command_fail(result, "the relay has no configuration file that could be read again");
        return;
    }
    server_release(console->server);
    result->failed = !run(console, args->json, &result->text);
    server_hold(console->server);
}

void command_reload(struct command_session *session, const struct command_args *args,
                    struct command_result *result)
{
    reload_with(session, args, reload_now, result);
}

void command_reload_plan(struct command_session *session, const struct command_args *args,
                         struct command_result *result)
{
    reload_with(session, args, reload_plan, result);
}

void command_shutdown(struct command_session *session, const struct command_args *args,
                      struct command_result *result)
{
    const struct console *console = session->console;
    struct server_info info;
    server_get_info(console->server, &info);
    if (args->now && args->duration_ms > 0) {
        command_fail(result, "`shutdown` takes either 'now' or 'drain DURATION', not both");
        return;
    }
    bool now = args->now || info.state != SERVER_RUNNING;
    console->shutdown(console->ctx, now, now ? 0 : args->duration_ms);
    if (now || info.sessions_open == 0) {
        str_add(&result->text, "stopping now\n");
        return;
    }
    char timeout[STR_HUMAN_MAX];
    if (args->duration_ms > 0) {
        str_addf(&result->text,
                 "stopping: %" PRIu32
                 " session%s ended evenly over %s, which `show info` shows; "
                 "a second `shutdown` ends the rest at once\n",
                 info.sessions_open, info.sessions_open == 1 ? " is" : "s are",
                 str_exact_duration(args->duration_ms, timeout));
        return;
    }
    str_exact_duration(server_conf(console->server)->stop_timeout_ms, timeout);
    str_addf(&result->text,
             "stopping: %" PRIu32
             " session%s may go on for %s; `shutdown now` ends them at once\n",
             info.sessions_open, info.sessions_open == 1 ? "" : "s", timeout);
}

void command_quit(struct command_session *session, const struct command_args *args,
                  struct command_result *result)
{
    (void)args;
    if (session->at_relay)
        command_fail(result, "this is the relay's own prompt, which cannot be left; `shutdown` "
                             "stops the relay");
    else
        result->quit = true;
}
