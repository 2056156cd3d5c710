#include "service/foreground.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/act/reload.h"
#include "control/commands.h"
#include "control/console/endpoint.h"
#include "control/console/relay_prompt.h"
#include "control/takeover/predecessors.h"
#include "control/takeover/takeover.h"
#include "os/local.h"
#include "os/manager.h"
#include "os/os.h"
#include "os/signals.h"
#include "os/tty.h"
#include "port/port.h"
#include "relay/server.h"
#include "relay/server_look.h"
#include "service/door.h"
#include "service/log_output.h"
#include "service/own_endpoint.h"
#include "service/start_log.h"

#define QUICK_STOP_MS 2000 /* what a closing console leaves for sessions to finish */
#define PROGRESS_MS   5000 /* between two lines about a stop under way */
#define HAND_OVER_MS  5000 /* what closing the listeners may take */
#define STUCK_MS      2000 /* how long a terminal or disk that stands still may hold the end */
#define START_STOP_MS 4000 /* for a start that is to stop: longer than it waits for names */
#define END_MS        8000 /* what may hold the end when no session is left */

#define BIND_PATIENCE_MS 10000 /* for an address that is in use, at the start */

static struct {
    struct os_mutex reload_lock; /* of the console; never taken within `lock` */

    struct os_mutex lock; /* guards all below */
    struct os_cond changed;
    struct server *server; /* NULL before it runs and after it has stopped */
    bool starting;         /* there is no server yet; names and disks may take long */
    unsigned stops;        /* how often a stop was asked for */
    bool now;              /* at once */
    bool quick;            /* within QUICK_STOP_MS */
    uint64_t over_ms;      /* sessions are ended evenly over this time; 0: in stop_timeout */
    bool reloading;        /* by a signal; the server stays until it is over */
    unsigned hangups;      /* signals to open the log and reload that are not done yet */
    struct os_thread *hangup_thread; /* does them, or has; NULL: there was none */
    bool hanging_up;                 /* it has not come to its end */
    bool ended;                      /* nothing is left to be waited for */
    const struct console *console;   /* while it runs */
    char console_name[CONF_HOST_MAX];
    struct endpoint *private_endpoint; /* of one that was taken over; NULL: none */
    uint64_t heir;                     /* process that is about to take over; 0: none */
    uint64_t heir_id;                  /* the first number of its sessions, or one below it */
    bool not_taken;                    /* the relay before this one goes on, so this one ends */
    bool handed_over;                  /* another relay goes on with the listening sockets */
} relay;

/* ---- stop requests, from any thread ---- */

/* Nothing runs yet, and what the start waits for may not come. */
static void give_up_starting(void)
{
    fputs("pairport: stopped while starting\n", stderr);
    _Exit(0);
}

/* A start that takes its time, for names that don't resolve or a disk that doesn't answer, is
 * given up: at once when it was asked for again. With the lock held. */
static void wait_for_start(void)
{
    uint64_t deadline = os_mono_ms() + START_STOP_MS;
    unsigned asked = relay.stops;
    while (relay.starting) {
        uint64_t now = os_mono_ms();
        if (asked > 1 || relay.stops > asked || now >= deadline)
            give_up_starting();
        os_cond_wait(&relay.changed, &relay.lock, (uint32_t)(deadline - now));
    }
}

/* With the lock held. */
static void stop_server(void)
{
    if (relay.over_ms > 0 && !relay.now)
        server_stop_over(relay.server, relay.over_ms);
    else
        server_stop(relay.server, relay.now);
}

static void request_stop(bool now, bool quick, uint64_t over_ms)
{
    os_mutex_lock(&relay.lock);
    relay.stops++;
    relay.now = relay.now || now || relay.stops > 1;
    relay.quick = relay.quick || quick;
    relay.over_ms = over_ms;
    wait_for_start();
    if (relay.server != NULL)
        stop_server();
    os_cond_wake_all(&relay.changed);
    os_mutex_unlock(&relay.lock);
}

/* ---- takeover; with the lock held ---- */

static enum err begin_hand_over(uint64_t pid)
{
    if (relay.handed_over || relay.heir != 0 || relay.server == NULL)
        return ERR_IN_USE;
    relay.heir = pid;
    relay.heir_id = server_latest_id(relay.server) + TAKEOVER_IDS;
    return ERR_OK;
}

static void take_door_back(void)
{
    log_warning("takeover: pid %" PRIu64 " does not serve; this relay goes on", relay.heir);
    relay.heir = 0;
}

/* Consoles of the successor reach this relay until its last session is over, and its own
 * predecessors through the successor alone. */
static void leave_successor(struct str *list)
{
    static char origin[32];
    char name[LOCAL_NAME_MAX], path[LOCAL_NAME_MAX];
    const struct console *console = relay.console;
    str_format(origin, sizeof origin, "pid %" PRIu64, os_process_id());
    log_set_origin(origin);
    if (console->predecessors != NULL) {
        predecessors_write(console->predecessors, list);
        predecessors_clear(console->predecessors);
    }
    size_t len =
        str_format(name, sizeof name, "%s.%" PRIu64, relay.console_name, os_process_id());
    enum err err = len + 1 < sizeof name ? local_path(name, path) : ERR_RANGE;
    if (err == ERR_OK)
        err = endpoint_start(&relay.private_endpoint, path, console);
    if (err == ERR_OK)
        str_addf(list, "%" PRIu64 " %s\n", os_process_id(), path);
    if (err == ERR_OK && list->failed)
        err = ERR_NOMEM;
    if (err != ERR_OK)
        log_warning("takeover: consoles of the new relay can't show the sessions of this one: "
                    "%s",
                    err_text(err));
}

static enum err hand_over(struct str *list)
{
    if (relay.server == NULL)
        return ERR_CLOSED;
    /* Those that are accepted until the listeners are closed need numbers, too. */
    if (server_latest_id(relay.server) + TAKEOVER_IDS / 2 >= relay.heir_id) {
        take_door_back();
        return ERR_RANGE;
    }
    relay.handed_over = true;
    leave_successor(list);
    log_notice("taken over by pid %" PRIu64 ": it accepts from now on, the sessions of this "
               "relay may finish",
               relay.heir);
    if (!server_hand_over(relay.server, HAND_OVER_MS))
        log_warning("takeover: the listeners are not closed yet");
    if (relay.stops == 0)
        relay.stops = 1;
    os_cond_wake_all(&relay.changed);
    return ERR_OK;
}

static enum err on_hand_over(void *ctx, enum hand_over step, uint64_t pid, struct str *list)
{
    (void)ctx;
    enum err err = ERR_OK;
    os_mutex_lock(&relay.lock);
    switch (step) {
    case HAND_OVER_BEGIN: err = begin_hand_over(pid); break;
    case HAND_OVER_BACK: take_door_back(); break;
    case HAND_OVER_DONE: err = hand_over(list); break;
    }
    os_mutex_unlock(&relay.lock);
    return err;
}

static enum err reopen(void *ctx)
{
    (void)ctx;
    enum err err = log_output_reopen();
    if (err == ERR_UNSUPPORTED)
        log_notice("the log goes to stderr: there is no file to open again");
    else if (err == ERR_OK)
        log_notice("log file opened again");
    else if (err == ERR_TIMEDOUT)
        log_warning("log file is not open again yet: the disk or who reads the old one does "
                    "not answer; it will be as soon as that ends");
    else
        log_error("log file could not be opened again: %s; the old one stays in use",
                  err_text(err));
    return err == ERR_TIMEDOUT ? ERR_OK : err;
}

/* Before the relay runs there is nothing to reload. */
static bool begin_reload(void)
{
    os_mutex_lock(&relay.lock);
    relay.reloading = relay.server != NULL;
    bool runs = relay.reloading;
    os_mutex_unlock(&relay.lock);
    return runs;
}

static void reload_by_signal(void)
{
    if (!begin_reload())
        return;
    if (relay.console->config_path[0] != '\0') {
        struct str said; /* the log has it, too */
        str_init(&said);
        reload_now(relay.console, false, &said);
        str_free(&said);
    }
    os_mutex_lock(&relay.lock);
    relay.reloading = false;
    os_cond_wake_all(&relay.changed);
    os_mutex_unlock(&relay.lock);
}

/* ---- SIGHUP ----
 * In a thread of its own: opening the log and reading the configuration may take as long as a disk
 * does, and the thread that takes signals must be there for the next one. */

static void run_hangups(void *arg)
{
    (void)arg;
    os_mutex_lock(&relay.lock);
    while (relay.hangups > 0) {
        relay.hangups = 0; /* one reload is enough for all that came before it */
        os_mutex_unlock(&relay.lock);
        reopen(NULL);
        reload_by_signal();
        os_mutex_lock(&relay.lock);
    }
    relay.hanging_up = false;
    os_cond_wake_all(&relay.changed);
    os_mutex_unlock(&relay.lock);
}

/* When no signal comes any more. A thread that a disk holds is left to the end of the process. */
static void end_hangups(void)
{
    uint64_t deadline = os_mono_ms() + STUCK_MS, now;
    os_mutex_lock(&relay.lock);
    while (relay.hanging_up && (now = os_mono_ms()) < deadline)
        os_cond_wait(&relay.changed, &relay.lock, (uint32_t)(deadline - now));
    struct os_thread *ended = relay.hanging_up ? NULL : relay.hangup_thread;
    relay.hangup_thread = NULL;
    os_mutex_unlock(&relay.lock);
    if (ended != NULL)
        os_thread_join(ended);
}

static void on_hangup(void)
{
    enum err err = ERR_OK;
    os_mutex_lock(&relay.lock);
    relay.hangups++;
    if (!relay.hanging_up) {
        if (relay.hangup_thread != NULL)
            os_thread_join(relay.hangup_thread);
        relay.hangup_thread = NULL;
        err = os_thread_start(&relay.hangup_thread, "hangup", run_hangups, NULL);
        relay.hanging_up = err == ERR_OK;
    }
    os_mutex_unlock(&relay.lock);
    if (err != ERR_OK)
        log_error("reload: no thread for it: %s; nothing was changed", err_text(err));
}

static void on_signal(enum signal_kind kind, void *ctx)
{
    (void)ctx;
    switch (kind) {
    case SIGNAL_STOP:
        log_notice("stop signal received");
        request_stop(false, false, 0);
        break;
    case SIGNAL_STOP_QUICK:
        log_notice("the console or the system is closing");
        request_stop(false, true, 0);
        break;
    case SIGNAL_REOPEN: on_hangup(); break;
    }
}

static void on_shutdown(void *ctx, bool now, uint64_t over_ms)
{
    (void)ctx;
    char exact[STR_HUMAN_MAX];
    if (over_ms > 0)
        log_notice("console: shutdown drain %s", str_exact_duration(over_ms, exact));
    else
        log_notice("console: shutdown%s", now ? " now" : "");
    request_stop(now, false, over_ms);
}

static void on_gone(void *ctx)
{
    (void)ctx;
    log_notice("the terminal is closed");
    request_stop(false, false, 0);
}

enum err foreground_take_signals(void)
{
    return signals_start(on_signal, NULL);
}

/* ---- start ---- */

static bool has_prompt(void)
{
    return tty_is_terminal_in() && tty_is_terminal_out();
}

/* Who sits at the prompt and has not asked for it is not shown a line for each session that ends. */
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
static void allow_patience(struct door *door, const struct foreground_options *options)
{
    bool waits = !options->at_once && door->takeover == NULL;
    door->server.bind_patience_ms = waits ? BIND_PATIENCE_MS : 0;
    door->server.wait = wait_to_bind;
}

/* NULL: it did not start; *code is then the exit code. */
static struct server *start_server(struct conf *conf, struct door *door,
                                   const struct foreground_options *options, int *code)
{
    bool to_file = conf->log_file[0] != '\0';
    struct server *server = NULL;
    struct str why;
    str_init(&why);
    enum err err = door_open(door, conf, options->takeover, &why);
    allow_patience(door, options);
    if (err == ERR_OK)
        err = server_start_with(&server, conf, &door->server, &why);
    *code = err == ERR_OK || err == ERR_CANCELLED ? 0 : 1;
    if (err == ERR_CANCELLED) {
        log_notice("stopped before it had started");
    } else if (err != ERR_OK) {
        if (why.len == 0)
            str_add(&why, err_text(err));
        door_failed(door, &why);
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
    enum err err = relay_prompt_start(&prompt, console, on_gone, NULL);
    if (err != ERR_OK) {
        log_warning("console: no prompt on this terminal: %s", err_text(err));
        return NULL;
    }
    if (log_output_is_terminal())
        log_output_divert(log_to_prompt, prompt, 0);
    return prompt;
}

/* ---- running and stopping ---- */

static void wait_for_stop_request(void)
{
    os_mutex_lock(&relay.lock);
    while (relay.stops == 0)
        os_cond_wait(&relay.changed, &relay.lock, UINT32_MAX);
    os_mutex_unlock(&relay.lock);
}

static bool is_handed_over(void)
{
    os_mutex_lock(&relay.lock);
    bool handed_over = relay.handed_over;
    os_mutex_unlock(&relay.lock);
    return handed_over;
}

static bool is_quick(void)
{
    os_mutex_lock(&relay.lock);
    bool quick = relay.quick;
    os_mutex_unlock(&relay.lock);
    return quick;
}

/* Whoever has taken over opens the endpoint now, under the same name. */
static void release_endpoint(struct endpoint *endpoint, bool *released)
{
    if (endpoint == NULL || *released || !is_handed_over())
        return;
    endpoint_release(endpoint);
    *released = true;
}

/* `endpoint` may be NULL. */
static void wait_stopped(struct server *server, struct endpoint *endpoint)
{
    uint64_t begun = os_mono_ms(), told = 0;
    char human[STR_HUMAN_MAX];
    bool released = false;
    do {
        release_endpoint(endpoint, &released);
        uint64_t now = os_mono_ms();
        if (is_quick() && now >= begun + QUICK_STOP_MS)
            server_stop(server, true);
        if (told == 0 || now >= told + PROGRESS_MS) {
            struct server_info info;
            server_get_info(server, &info);
            if (info.sessions_open > 0)
                log_notice("stopping: %" PRIu32 " session%s left, %s %s", info.sessions_open,
                           info.sessions_open == 1 ? "" : "s",
                           info.stop_drains ? "ended evenly within" : "they may go on for",
                           str_human_duration(info.stop_left_ms, human));
            told = now;
        }
    } while (!server_wait_stopped(server, 250));
    log_notice("stopped after %s", str_human_duration(os_mono_ms() - begun, human));
}

/* Makes the server known to stop requests, and answers those that came before. */
static void publish(struct server *server)
{
    os_mutex_lock(&relay.lock);
    while (relay.reloading)
        os_cond_wait(&relay.changed, &relay.lock, UINT32_MAX);
    relay.server = server;
    relay.starting = false;
    if (server != NULL && relay.stops > 0)
        stop_server();
    os_cond_wake_all(&relay.changed);
    os_mutex_unlock(&relay.lock);
}

/* ---- the end ----
 * No session is left, but threads that wait for a disk may hold what has to be freed. */

static void guard_end(void *arg)
{
    (void)arg;
    uint64_t deadline = os_mono_ms() + END_MS;
    os_mutex_lock(&relay.lock);
    for (uint64_t now = os_mono_ms(); !relay.ended && now < deadline; now = os_mono_ms())
        os_cond_wait(&relay.changed, &relay.lock, (uint32_t)(deadline - now));
    bool ended = relay.ended;
    os_mutex_unlock(&relay.lock);
    if (ended)
        return;
    log_error("a disk does not answer: this process ends without waiting for it; the last "
              "changes of the state file may be lost");
    log_output_stop(STUCK_MS);
    signals_stopped();
    _Exit(0);
}

/* NULL: there is no thread for it, and the end waits as long as it must. */
static struct os_thread *start_end_guard(void)
{
    struct os_thread *thread = NULL;
    if (os_thread_start(&thread, "end", guard_end, NULL) != ERR_OK)
        return NULL;
    return thread;
}

static void stop_end_guard(struct os_thread *thread)
{
    os_mutex_lock(&relay.lock);
    relay.ended = true;
    os_cond_wake_all(&relay.changed);
    os_mutex_unlock(&relay.lock);
    if (thread != NULL)
        os_thread_join(thread);
}

/* NULL: no memory; then none is asked. */
static struct predecessors *open_predecessors(const struct door *door)
{
    struct predecessors *predecessors;
    if (predecessors_open(&predecessors) != ERR_OK)
        return NULL;
    predecessors_read(predecessors, door->predecessors.data);
    return predecessors;
}

/* It accepts; has the relay before let go. False: that one goes on, so this one must not; those
 * that it has accepted may finish, and it is freed. */
static bool take_door(struct server *server, struct door *door)
{
    struct str why;
    str_init(&why);
    enum err err = door_serving(door, &why);
    if (err != ERR_OK) {
        relay.not_taken = true;
        door_failed(door, &why);
        report_failures(&why, server_conf(server)->log_file[0] != '\0');
        log_error("not started");
        server_stop(server, false);
        server_wait_stopped(server, UINT32_MAX);
        server_free(server);
    }
    str_free(&why);
    return err == ERR_OK;
}

static void run_server(struct server *server, struct door *door, const char *greeting)
{
    if (!take_door(server, door))
        return;
    struct predecessors *predecessors = open_predecessors(door);
    const struct conf *conf = server_conf(server);
    char config_path[CONF_PATH_MAX] = "", log_path[CONF_PATH_MAX] = "";
    if (conf->path[0] != '\0')
        os_full_path(conf->path, config_path, sizeof config_path);
    if (conf->log_file[0] != '\0') {
        char path[CONF_PATH_MAX];
        conf_place(conf, conf->log_file, path);
        os_full_path(path, log_path, sizeof log_path);
    }
    const struct console console = {
        .commands = &commands,
        .server = server,
        .version = PAIRPORT_VERSION,
        .backend = port_backend_name(),
        .config_path = config_path,
        .log_path = log_path,
        .shutdown = on_shutdown,
        .reopen = reopen,
        .hand_over = on_hand_over,
        .reload_lock = &relay.reload_lock,
        .predecessors = predecessors,
    };

    relay.console = &console;
    str_format(relay.console_name, sizeof relay.console_name, "%s", conf->console_name);
    publish(server);
    start_log_routes(server);
    bool took_over = door_passed(door);
    if (took_over)
        server_take_state_over(server);
    door_close(door);
    manager_notify("READY=1");
    server_hold(server); /* a signal may reload already */
    struct endpoint *endpoint = own_endpoint_start(server_conf(server), &console, took_over);
    server_release(server);
    if (greeting != NULL) {
        log_output_flush(STUCK_MS); /* what is told next stands below the log lines */
        fputs(greeting, stdout);
        fflush(stdout);
    }
    struct relay_prompt *prompt = start_prompt(&console);

    wait_for_stop_request();
    if (!is_handed_over())
        manager_notify("STOPPING=1");
    wait_stopped(server, endpoint);

    struct os_thread *end_guard = start_end_guard();
    publish(NULL);
    if (endpoint != NULL)
        endpoint_stop(endpoint);
    if (relay.private_endpoint != NULL)
        endpoint_stop(relay.private_endpoint);
    if (prompt != NULL) {
        bool free_of_log = log_output_divert(NULL, NULL, STUCK_MS);
        if (!free_of_log || !relay_prompt_stop(prompt, STUCK_MS)) {
            /* The terminal stands still, and threads that write to it hold what would be freed
             * now. The relay's work is done; its memory ends with the process. */
            if (free_of_log)
                log_output_stop(STUCK_MS);
            signals_stopped();
            _Exit(0);
        }
    }
    server_free(server);
    predecessors_close(predecessors);
    stop_end_guard(end_guard);
}

/* The exit code. */
static int run(struct conf *conf, const struct foreground_options *options)
{
    struct door door = {.takeover = NULL};
    int code;
    struct server *server = start_server(conf, &door, options, &code);
    if (server == NULL)
        conf_free(conf);
    else
        run_server(server, &door, options->greeting);
    door_close(&door);
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
    log_output_stop(STUCK_MS);
    if (code != 0 && options->hint != NULL)
        fputs(options->hint, stderr); /* below the log lines that say what it is about */
    signals_stopped();
    end_hangups();
    return code;
}
