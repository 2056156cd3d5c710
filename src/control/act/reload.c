#include "control/act/reload.h"

#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "config/diff.h"
#include "config/read/file.h"
#include "control/act/reload_text.h"
#include "os/os.h"
#include "os/sock.h"
#include "relay/server.h"

/* What is known of a reload, planned or done. */
struct attempt {
    const struct console *console;
    struct conf *conf;   /* owned until the server has it; NULL: the file has mistakes */
    struct str messages; /* mistakes and warnings, a line each */
    struct diff diff;
    struct reload_count *counts; /* owned; the live sessions of each change */
};

static void free_attempt(struct attempt *attempt)
{
    diff_free(&attempt->diff);
    reload_counts_free(attempt->counts);
    conf_free(attempt->conf);
    str_free(&attempt->messages);
}

/* Compares with what is in effect, and counts. */
static enum err compare(struct attempt *attempt)
{
    struct server *server = attempt->console->server;
    server_hold(server);
    enum err err = diff_make(&attempt->diff, server_conf(server), attempt->conf);
    if (err == ERR_OK)
        err = reload_counts_make(&attempt->counts, server, &attempt->diff);
    server_release(server);
    if (err != ERR_OK)
        str_addf(&attempt->messages, "the configurations can't be compared: %s\n",
                 err_text(err));
    return err;
}

static bool load(struct attempt *attempt, const struct console *console)
{
    const char *path = console->config_path;
    *attempt = (struct attempt){.console = console};
    str_init(&attempt->messages);
    if (!file_is_plain(path)) { /* reading it could wait for ever */
        str_addf(&attempt->messages, "%s: this is a pipe or a device; a reload needs a file\n",
                 path);
        return false;
    }
    enum err err = conf_load(path, sock_is_own_addr, &attempt->conf, &attempt->messages);
    if (err == ERR_NOMEM)
        str_addf(&attempt->messages, "out of memory while %s was read\n", path);
    return err == ERR_OK && compare(attempt) == ERR_OK;
}

static void write_attempt(const struct attempt *attempt, enum reload_tense tense, bool json,
                          struct str *out)
{
    if (json)
        reload_as_json(&attempt->diff, attempt->counts, attempt->console->config_path, tense,
                       attempt->messages.data, out);
    else
        reload_as_text(&attempt->diff, attempt->counts, attempt->console->config_path, tense,
                       attempt->messages.data, out);
}

/* ---- plan ---- */

bool reload_plan(const struct console *console, bool json, struct str *out)
{
    struct attempt attempt;
    os_mutex_lock(console->reload_lock);
    bool good = load(&attempt, console) &&
                server_try_listens(console->server, attempt.conf, &attempt.messages) == ERR_OK;
    write_attempt(&attempt, good ? RELOAD_WOULD : RELOAD_CANNOT, json, out);
    free_attempt(&attempt);
    os_mutex_unlock(console->reload_lock);
    return good;
}

/* ---- reload ---- */

static void log_lines(enum log_level level, const char *lines)
{
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");
        log_write(level, "reload: %.*s", (int)len, lines);
        lines += len + (lines[len] == '\n');
    }
}

static void log_failure(const struct attempt *attempt)
{
    log_lines(LOG_ERROR, attempt->messages.data);
    if (attempt->messages.failed)
        log_error("reload: %s", err_text(ERR_NOMEM));
    log_error("reload: nothing was changed");
}

/* What was done, after it: `told` is what the relay said of it. */
static void answer(struct attempt *attempt, const char *told, bool json, struct str *out)
{
    struct str logged;
    str_init(&logged);
    if (!json) {
        str_add(out, told);
        write_attempt(attempt, RELOAD_DID, false, out);
    }
    str_add(&attempt->messages, told);
    if (json)
        write_attempt(attempt, RELOAD_DID, true, out);
    reload_as_text(&attempt->diff, attempt->counts, attempt->console->config_path, RELOAD_DID,
                   "", &logged);
    log_lines(LOG_WARNING, attempt->messages.data);
    log_lines(LOG_NOTICE, logged.data);
    str_free(&logged);
}

static bool carry_out(struct attempt *attempt, bool json, struct str *out)
{
    struct str told;
    str_init(&told);
    bool good = server_reload(attempt->console->server, attempt->conf, &told) == ERR_OK;
    if (good) {
        attempt->conf = NULL; /* the server's */
        answer(attempt, told.data, json, out);
    } else {
        str_add(&attempt->messages, told.data);
        attempt->messages.failed = attempt->messages.failed || told.failed;
    }
    str_free(&told);
    return good;
}

bool reload_now(const struct console *console, bool json, struct str *out)
{
    struct attempt attempt;
    os_mutex_lock(console->reload_lock);
    bool good = load(&attempt, console) && carry_out(&attempt, json, out);
    if (!good) {
        diff_free(&attempt.diff); /* nothing of it has happened */
        write_attempt(&attempt, RELOAD_CANNOT, json, out);
        log_failure(&attempt);
    }
    free_attempt(&attempt);
    os_mutex_unlock(console->reload_lock);
    return good;
}
