#include "control/console/remote.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "control/command/command.h"
#include "control/command/match.h"
#include "control/command/names.h"
#include "control/console/prompt.h"
#include "control/console/wire.h"
#include "os/local.h"
#include "os/os.h"
#include "os/tty.h"
#include "relay/json_read.h"

struct remote {
    const struct command_table *commands;
    const char *path;
    struct local_conn *conn;
    struct wire_input input;
    bool lost;          /* the relay is gone or talks nonsense; nothing more can be asked */
    unsigned columns;   /* as the relay was told */
    struct addr caller; /* where the operator is; ADDR_NONE: not known */
    struct names names; /* for completion; those that are known */
};

static void print_other(void *ctx, const char *path, const struct local_peer *peer)
{
    unsigned *count = ctx;
    struct str line;
    if ((*count)++ == 0)
        fputs("These relays answer, each with --name PATH:\n", stderr);
    str_init(&line);
    str_addf(&line, "  %s (pid %" PRIu64 "%s%s)\n", path, peer->pid,
             peer->same_user ? "" : ", ", peer->same_user ? "" : peer->user);
    str_escape(&line); /* a service that root looks at has chosen the name */
    fputs(line.data, stderr);
    str_free(&line);
}

static bool open_remote(struct remote *remote, const struct command_table *commands,
                        const char *path)
{
    *remote = (struct remote){.commands = commands, .path = path};
    (void)tty_remote(&remote->caller);
    enum err err = wire_connect(path, &remote->conn);
    if (err == ERR_OK)
        return true;
    char problem[LOCAL_PROBLEM_MAX];
    str_format(problem, sizeof problem, "%s", err_text(err));
    if (err == ERR_ACCESS)
        local_problem(path, problem);
    fprintf(stderr,
            "pairport: no relay answers at %s: %s\n"
            "Is it running as this user, with 'listen = local' in [console]? Another relay is\n"
            "chosen with -c FILE (its configuration) or --name NAME (its name in [console]).\n",
            path, problem);
    unsigned count = 0;
    local_each(print_other, &count);
    return false;
}

static void close_remote(struct remote *remote)
{
    if (remote->conn != NULL)
        local_conn_close(remote->conn);
    names_free(&remote->names);
}

static const char *lost_text(enum err err)
{
    if (err == ERR_INVALID)
        return "the answer is not one of a pairport of this version";
    return err == ERR_CLOSED || err == ERR_RESET ? "the relay has closed the connection"
                                                 : err_text(err);
}

/* Sends a line and waits for the answer. *unheard: nothing of the line has reached the relay. */
static enum err exchange(struct remote *remote, const char *line, size_t len,
                         enum wire_status *status, struct str *answer, bool *unheard)
{
    enum err sent = wire_send_line(remote->conn, line, len);
    *unheard = false;
    if (sent == ERR_RANGE)
        return sent;
    /* Also when sending failed: a relay that refuses a client says why and closes. */
    enum err err = wire_read_answer(remote->conn, &remote->input, status, answer);
    *unheard = err != ERR_OK && sent == ERR_CLOSED;
    return err != ERR_OK && sent != ERR_OK ? sent : err;
}

/* The relay asks back before operators shut themselves out. */
static bool can_shut_out(const char *line, size_t len)
{
    size_t at = 0;
    while (at < len && (line[at] == ' ' || line[at] == '\t'))
        at++;
    return len - at > 4 && (match_begins(line + at, "ban") || match_begins(line + at, "kill"));
}

/* As exchange(), with what the relay has to know before. */
static enum err exchange_told(struct remote *remote, const char *line, size_t len,
                              enum wire_status *status, struct str *answer, bool *unheard)
{
    if (remote->caller.family != ADDR_NONE && can_shut_out(line, len)) {
        char text[ADDR_TEXT_MAX], told[ADDR_TEXT_MAX + sizeof WIRE_CALLER];
        size_t told_len = str_format(told, sizeof told, WIRE_CALLER "%s",
                                     addr_format_ip(&remote->caller, text));
        enum err err = exchange(remote, told, told_len, status, answer, unheard);
        if (err != ERR_OK)
            return err;
        str_clear(answer); /* an older relay does not know that, and goes on */
    }
    return exchange(remote, line, len, status, answer, unheard);
}

static size_t write_columns(unsigned columns, char line[48])
{
    /* Very narrow and very wide terminals count as the nearest width that can be set. */
    unsigned fit = columns < 40 ? 40 : columns > 1000 ? 1000 : columns;
    return str_format(line, 48, "set columns %u", fit);
}

/* A relay that needs the place closes a console that is idle: that one connects again. */
static bool connect_again(struct remote *remote)
{
    local_conn_close(remote->conn);
    remote->conn = NULL;
    remote->input.len = 0;
    if (wire_connect(remote->path, &remote->conn) != ERR_OK)
        return false;
    char line[48];
    enum wire_status status;
    bool unheard;
    struct str answer;
    str_init(&answer);
    size_t len = write_columns(remote->columns, line);
    enum err err = ERR_OK;
    if (remote->columns > 0)
        err = exchange(remote, line, len, &status, &answer, &unheard);
    str_free(&answer);
    return err == ERR_OK;
}

static void ask(struct remote *remote, const char *line, size_t len,
                struct command_result *result)
{
    enum wire_status status = WIRE_ERROR;
    bool unheard;
    enum err err = exchange_told(remote, line, len, &status, &result->text, &unheard);
    if (unheard && connect_again(remote)) {
        fputs("pairport: the relay had closed the connection; connected again\n", stderr);
        fflush(stderr); /* Windows buffers it when it is no terminal */
        err = exchange_told(remote, line, len, &status, &result->text, &unheard);
    }
    if (err == ERR_RANGE) {
        str_clear(&result->text);
        str_addf(&result->text, "the line has more than %d bytes\n", WIRE_LINE_MAX);
    } else if (err != ERR_OK) {
        str_clear(&result->text);
        str_addf(&result->text, "%s: %s\n", remote->path, lost_text(err));
        remote->lost = true;
    }
    str_escape(&result->text); /* it may not be the relay that it seems to be */
    result->failed = err != ERR_OK || status == WIRE_ERROR;
    result->quit = remote->lost || status == WIRE_BYE;
}

static bool print(const struct command_result *result)
{
    FILE *out = result->failed ? stderr : stdout;
    bool written = fwrite(result->text.data, 1, result->text.len, out) == result->text.len;
    return fflush(out) == 0 && written && !result->failed;
}

static bool tell_columns(struct remote *remote, unsigned columns)
{
    if (columns == remote->columns)
        return true;
    char line[48];
    size_t len = write_columns(columns, line);
    struct command_result result;
    command_result_init(&result);
    ask(remote, line, len, &result);
    remote->columns = columns;
    bool told = !result.failed;
    if (!told)
        fputs(result.text.data, stderr);
    command_result_free(&result);
    return told;
}

/* ---- one command ---- */

static int run_once(struct remote *remote, const char *line)
{
    unsigned columns = tty_columns_wanted();
    if (columns > 0 && !tell_columns(remote, columns))
        return 1;
    struct command_result result;
    command_result_init(&result);
    ask(remote, line, strlen(line), &result);
    bool good = print(&result);
    command_result_free(&result);
    return good ? 0 : 1;
}

/* ---- commands from a pipe ---- */

struct piped {
    struct remote *remote;
    struct command_result result;
    char line[WIRE_LINE_MAX + 2];
    size_t len;
    bool failed; /* some command */
};

static bool run_piped_line(struct piped *piped)
{
    size_t len = piped->len;
    if (len > 0 && len <= WIRE_LINE_MAX + 1 && piped->line[len - 1] == '\r')
        len--;
    piped->len = 0;
    ask(piped->remote, piped->line, len, &piped->result);
    if (!print(&piped->result))
        piped->failed = true;
    return !piped->result.quit;
}

static bool take_piped(struct piped *piped, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '\n') {
            if (!run_piped_line(piped))
                return false;
        } else if (piped->len < sizeof piped->line) {
            piped->line[piped->len++] = bytes[i]; /* what is more than a line is an error */
        }
    }
    return true;
}

static int run_piped(struct remote *remote)
{
    struct piped piped = {.remote = remote};
    command_result_init(&piped.result);
    char bytes[4096];
    size_t got;
    bool open = true;
    while (open && tty_read(bytes, sizeof bytes, &got) == ERR_OK)
        open = take_piped(&piped, bytes, got);
    if (open && piped.len > 0)
        run_piped_line(&piped); /* a last line without its end */
    command_result_free(&piped.result);
    return piped.failed || remote->lost ? 1 : 0;
}

/* ---- the prompt ---- */

/* Without memory for all of them, Tab does not know the rest. */
static void add_route_names(struct remote *remote, const json_t *route)
{
    const char *name = json_string_value(json_object_get(route, "route"));
    if (name == NULL || names_add_route(&remote->names, name) != ERR_OK)
        return;
    const json_t *upstreams = json_object_get(route, "upstreams");
    for (size_t i = 0; i < json_array_size(upstreams); i++) {
        const char *upstream = json_string_value(json_array_get(upstreams, i));
        if (upstream != NULL)
            (void)names_add_upstream(&remote->names, name, upstream);
    }
}

static void get_ids(void *ctx, struct name_list *ids)
{
    struct remote *remote = ctx;
    struct command_result result;
    command_result_init(&result);
    if (!remote->lost)
        ask(remote, NAMES_IDS_COMMAND, sizeof NAMES_IDS_COMMAND - 1, &result);
    names_add_ids(ids, &result.text);
    command_result_free(&result);
}

static void load_names(struct remote *remote)
{
    static const char line[] = "show routes json";
    struct command_result result;
    remote->names.get_ids = get_ids;
    remote->names.ctx = remote;
    command_result_init(&result);
    ask(remote, line, sizeof line - 1, &result);
    json_t *root = NULL;
    if (!result.failed)
        (void)json_read(&root, result.text.data, result.text.len, 0, NULL);
    const json_t *routes = json_object_get(root, "routes");
    for (size_t i = 0; i < json_array_size(routes); i++)
        add_route_names(remote, json_array_get(routes, i));
    json_decref(root);
    command_result_free(&result);
}

static void run(void *ctx, const char *line, size_t len, unsigned columns,
                struct command_result *result)
{
    struct remote *remote = ctx;
    tell_columns(remote, columns);
    if (!remote->lost)
        ask(remote, line, len, result);
    else
        result->quit = true;
}

static void complete(void *ctx, const char *line, size_t cursor, struct completion *completion)
{
    struct remote *remote = ctx;
    command_complete(remote->commands, line, cursor, &remote->names, completion);
}

static void interrupt(void *ctx, unsigned times, struct command_result *result)
{
    (void)ctx;
    if (times == 1)
        str_add(&result->text,
                "Ctrl-C once more, Ctrl-D or `quit` leaves; the relay goes on\n");
    else
        result->quit = true;
}

static void leave(void *ctx, struct command_result *result)
{
    (void)ctx;
    result->quit = true;
}

static int run_interactive(struct remote *remote, const char *name)
{
    tell_columns(remote, tty_columns());
    if (!remote->lost)
        load_names(remote);
    if (remote->lost)
        return 1;
    char text[48];
    str_format(text, sizeof text, "%.24s> ", name);
    const struct prompt_host host = {.ctx = remote,
                                     .run = run,
                                     .complete = complete,
                                     .interrupt = interrupt,
                                     .leave = leave};
    struct prompt *prompt;
    enum err err = prompt_open(&prompt, &host, text);
    if (err != ERR_OK) {
        fprintf(stderr, "pairport: the terminal cannot be used: %s\n", err_text(err));
        return 1;
    }
    prompt_run(prompt);
    prompt_close(prompt);
    return remote->lost ? 1 : 0;
}

int remote_run(const struct command_table *commands, const char *path, const char *name,
               const char *line)
{
    struct remote remote;
    if (!open_remote(&remote, commands, path))
        return 1;
    int code;
    if (line != NULL)
        code = run_once(&remote, line);
    else if (tty_is_terminal_in() && tty_is_terminal_out())
        code = run_interactive(&remote, name);
    else
        code = run_piped(&remote);
    close_remote(&remote);
    return code;
}
