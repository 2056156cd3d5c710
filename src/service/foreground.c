#include "service/foreground.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/commands.h"
#include "control/console/endpoint.h"
#include "control/console/relay_prompt.h"
#include "control/takeover/predecessors.h"
#include "os/os.h"
#include "os/service_manager.h"
#include "os/signals.h"
#include "os/tty.h"
#include "port/port.h"
#include "relay/server.h"
#include "service/foreground_private.h"
#include "service/inherit.h"
#include "service/log_output.h"
#include "service/own_endpoint.h"
#include "service/start_log.h"

#define BIND_PATIENCE_MS 10000 /* for an address that is in use, at the start */

/* There is one in a process. */
static struct foreground relay = {
    .reload_lock = OS_MUTEX_INIT(LOCK_RELOAD),
    .lock = OS_MUTEX_INIT(LOCK_FOREGROUND),
};

/* ---- who asks for what ---- */

static void on_signal(enum signal_kind kind, void *ctx)
{
    switch (kind) {
    case SIGNAL_STOP:
        log_notice("stop signal received");
        foreground_stop(ctx, false, false, 0);
        break;
    case SIGNAL_STOP_QUICK:
        log_notice("the console or the system is closing");
        foreground_stop(ctx, false, true, 0);
        break;
    case SIGNAL_REOPEN: foreground_hang_up(ctx); break;
    }
}

static void on_shutdown(void *ctx, bool now, uint64_t over_ms)
{
    char exact[STR_HUMAN_MAX];
    if (over_ms > 0)
        log_notice("console: shutdown drain %s", str_exact_duration(over_ms, exact));
    else
        log_notice("console: shutdown%s", now ? " now" : "");
    foreground_stop(ctx, now, false, over_ms);
}

static void on_gone(void *ctx)
{
    log_notice("the terminal is closed");
    foreground_stop(ctx, false, false, 0);
}

enum err foreground_take_signals(void)
{
    return signals_start(on_signal, &relay);
}

/* ---- start ---- */

static bool has_prompt(void)
{
    return tty_is_terminal_in() && tty_is_terminal_out();
}

/* Who sits at the prompt and has not asked for it is not shown a line for each session that
 * ends. */
static enum log_level choose_level(const struct conf *conf)
{
    bool on_screen = has_prompt() && conf->log_file[0] == '\0' && log_output_is_terminal();
    return on_screen && !conf->log_level_given && conf->log_level > LOG_NOTICE
               ? LOG_NOTICE
               : conf->log_level;
}

static bool start_log(const struct conf *conf)
{
    char path[CONF_PATH_MAX];
    conf_place(conf, conf->log_file, path);
    log_set_level(conf->log_level);
    enum err err = log_output_start(path);
    if (err == ERR_OK) {
        log_set_level(choose_level(conf));
        return true;
    }
    fprintf(stderr, "pairport: log_file %s cannot be opened: %s\n",
            path[0] == '\0' ? "(stderr)" : path,
            err == ERR_TIMEDOUT ? "its disk does not answer" : err_text(err));
    return false;
}

/* Every failure goes to the log and, when that is a file, to whoever started the program. */
static void report_failures(const struct str *why, bool also_stderr)
{
    for (const char *line = why->data; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        log_error("%.*s", (int)len, line);
        if (also_stderr) {
            struct str shown; /* another relay's words may be among them */
            str_init(&shown);
            str_add_escaped(&shown, line, len);
            fprintf(stderr, "pairport: %s\n", shown.failed ? err_text(ERR_NOMEM) : shown.data);
            str_free(&shown);
        }
        line += len + (line[len] == '\n');
    }
    if (!why->failed)
        return;
    log_error("%s", err_text(ERR_NOMEM)); /* so there was none to say more */
    if (also_stderr)
        fprintf(stderr, "pairport: %s\n", err_text(ERR_NOMEM));
}

/* False: a stop was asked for. */
static bool wait_to_bind(void *ctx, uint32_t ms)
{
    (void)ctx;
    uint64_t until = os_mono_ms() + ms;
    os_mutex_lock(&relay.lock);
    for (uint64_t now = os_mono_ms(); relay.stops == 0 && now < until; now = os_mono_ms())
        os_cond_wait(&relay.changed, &relay.lock, (uint32_t)(until - now));
    bool goes_on = relay.stops == 0;
    os_mutex_unlock(&relay.lock);
    return goes_on;
}

/* The relay that is being taken over keeps its addresses until this one runs, so there is
 * nothing to wait for, and it should not be kept waiting. */
static void allow_patience(struct inherit *inherit, const struct foreground_options *options)
{
    bool waits = !options->at_once && inherit->takeover == NULL;
    inherit->server.bind_patience_ms = waits ? BIND_PATIENCE_MS : 0;
    inherit->server.wait = wait_to_bind;
}

/* NULL: it did not start; *code is then the exit code. */
static struct server *start_server(struct conf *conf, struct inherit *inherit,
                                   const struct foreground_options *options, int *code)
{
    bool to_file = conf->log_file[0] != '\0';
    struct server *server = NULL;
    struct str why;
    str_init(&why);
    enum err err = inherit_open(inherit, conf, options->takeover, &why);
    allow_patience(inherit, options);
    if (err == ERR_OK)
        err = server_start(&server, conf, &inherit->server, &why);
    *code = err == ERR_OK || err == ERR_CANCELLED ? 0 : 1;
    if (err == ERR_CANCELLED) {
        log_notice("stopped before it had started");
    } else if (err != ERR_OK) {
        if (why.len == 0)
            str_add(&why, err_text(err));
        inherit_failed(inherit, &why);
        report_failures(&why, to_file);
        log_error("not started");
    }
    str_free(&why);
    return server;
}

static void log_to_prompt(void *ctx, const char *lines, size_t len)
{
    relay_prompt_log(ctx, lines, len);
}

static struct relay_prompt *start_prompt(const struct console *console)
{
    if (!has_prompt())
        return NULL;
    struct relay_prompt *prompt;
    enum err err = relay_prompt_start(&prompt, console, on_gone, &relay);
    if (err != ERR_OK) {
        log_warning("console: no prompt on this terminal: %s", err_text(err));
        return NULL;
    }
    if (log_output_is_terminal())
        log_output_divert(log_to_prompt, prompt, 0);
    return prompt;
}

/* ---- running and stopping ---- */

/* Makes the server known to stop requests, and answers those that came before. */
static void publish(struct server *server)
{
    os_mutex_lock(&relay.lock);
    while (relay.reloading)
        os_cond_wait(&relay.changed, &relay.lock, UINT32_MAX);
    relay.server = server;
    relay.starting = false;
    if (server != NULL && relay.stops > 0)
        foreground_stop_server(&relay);
    os_cond_wake_all(&relay.changed);
    os_mutex_unlock(&relay.lock);
}

/* NULL: no memory; then none is asked. */
static struct predecessors *open_predecessors(const struct inherit *inherit)
{
    struct predecessors *predecessors;
    if (predecessors_open(&predecessors) != ERR_OK)
        return NULL;
    predecessors_read(predecessors, inherit->predecessors.data);
    return predecessors;
}

/* It accepts; has the relay before let go. False: that one goes on, so this one must not; those
 * that it has accepted may finish, and it is freed. */
static bool take_sockets(struct server *server, struct inherit *inherit)
{
    struct str why;
    str_init(&why);
    enum err err = inherit_serving(inherit, &why);
    if (err != ERR_OK) {
        relay.not_taken = true;
        inherit_failed(inherit, &why);
        report_failures(&why, server_conf(server)->log_file[0] != '\0');
        log_error("not started");
        server_stop(server, false);
        server_wait_stopped(server, UINT32_MAX);
        server_free(server);
    }
    str_free(&why);
    return err == ERR_OK;
}

/* Absolute, and "" where there is none. */
struct paths {
    char config[CONF_PATH_MAX];
    char log[CONF_PATH_MAX];
};

static void find_paths(const struct conf *conf, struct paths *out)
{
    *out = (struct paths){.config = ""};
    if (conf->path[0] != '\0')
        os_full_path(conf->path, out->config, sizeof out->config);
    if (conf->log_file[0] != '\0') {
        char path[CONF_PATH_MAX];
        conf_place(conf, conf->log_file, path);
        os_full_path(path, out->log, sizeof out->log);
    }
}

/* The server is known to signals and to the service manager; what the start took is let go. True:
 * it has taken over from another relay. */
static bool announce(struct server *server, struct inherit *inherit)
{
    publish(server);
    start_log_routes(server);
    bool took_over = inherit_passed(inherit);
    if (took_over)
        server_take_state_over(server);
    inherit_close(inherit);
    service_manager_notify("READY=1");
    return took_over;
}

static void greet(const char *greeting)
{
    if (greeting == NULL)
        return;
    log_output_flush(FOREGROUND_STUCK_MS); /* what is told next stands below the log lines */
    fputs(greeting, stdout);
    fflush(stdout);
}

/* A terminal that stands still is held by threads that write to it, with what would be freed now.
 * The relay's work is done; its memory ends with the process. */
static void stop_prompt(struct relay_prompt *prompt)
{
    bool free_of_log = log_output_divert(NULL, NULL, FOREGROUND_STUCK_MS);
    if (free_of_log && relay_prompt_stop(prompt, FOREGROUND_STUCK_MS))
        return;
    if (free_of_log)
        log_output_stop(FOREGROUND_STUCK_MS);
    signals_stopped();
    _Exit(0);
}

/* With its consoles, until it has stopped. */
static void serve(const struct console *console, bool took_over, const char *greeting)
{
    struct server *server = console->server;
    server_hold(server); /* a signal may reload already */
    struct endpoint *endpoint = own_endpoint_start(server_conf(server), console, took_over);
    server_release(server);
    greet(greeting);
    struct relay_prompt *prompt = start_prompt(console);

    foreground_wait_for_stop(&relay);
    if (!foreground_is_handed_over(&relay))
        service_manager_notify("STOPPING=1");
    foreground_wait_stopped(&relay, server, endpoint);

    struct os_thread *end_guard = foreground_guard_end(&relay);
    publish(NULL);
    if (endpoint != NULL)
        endpoint_stop(endpoint);
    if (relay.private_endpoint != NULL)
        endpoint_stop(relay.private_endpoint);
    if (prompt != NULL)
        stop_prompt(prompt);
    server_free(server);
    predecessors_close(console->predecessors);
    foreground_guard_over(&relay, end_guard);
}

static void run_server(struct server *server, struct inherit *inherit, const char *greeting)
{
    if (!take_sockets(server, inherit))
        return;
    struct paths paths;
    find_paths(server_conf(server), &paths);
    const struct console console = {
        .commands = &commands,
        .server = server,
        .version = PAIRPORT_VERSION,
        .backend = port_backend_name(),
        .config_path = paths.config,
        .log_path = paths.log,
        .ctx = &relay,
        .shutdown = on_shutdown,
        .reopen = foreground_reopen,
        .hand_over = foreground_on_hand_over,
        .reload_lock = &relay.reload_lock,
        .predecessors = open_predecessors(inherit),
    };
    relay.console = &console;
    str_format(relay.console_name, sizeof relay.console_name, "%s",
               server_conf(server)->console_name);
    bool took_over = announce(server, inherit);
    serve(&console, took_over, greeting);
}

/* The exit code. */
static int run(struct conf *conf, const struct foreground_options *options)
{
    struct inherit inherit = {.takeover = NULL};
    int code;
    struct server *server = start_server(conf, &inherit, options, &code);
    if (server == NULL)
        conf_free(conf);
    else
        run_server(server, &inherit, options->greeting);
    inherit_close(&inherit);
    return code;
}

static void set_starting(bool starting)
{
    os_mutex_lock(&relay.lock);
    relay.starting = starting;
    os_cond_wake_all(&relay.changed);
    os_mutex_unlock(&relay.lock);
}

int foreground_run(struct conf *conf, const struct foreground_options *options)
{
    set_starting(true); /* until there is a server to stop */
    if (!start_log(conf)) {
        conf_free(conf);
        return 1;
    }
    start_log_program(conf);
    int code = run(conf, options);
    if (relay.not_taken)
        code = 1;
    set_starting(false);
    log_output_stop(FOREGROUND_STUCK_MS);
    if (code != 0 && options->hint != NULL)
        fputs(options->hint, stderr); /* below the log lines that say what it is about */
    signals_stopped();
    foreground_end_hangups(&relay);
    return code;
}
