#include "relay/server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/diff.h"
#include "relay/accept/adopt.h"
#include "relay/accept/listener.h"
#include "relay/core/quiesce.h"
#include "relay/core/worker.h"
#include "relay/guard/ban_keeper.h"
#include "relay/relay.h"
#include "relay/reload/reload.h"
#include "relay/reload/reload_listeners.h"
#include "relay/run.h"
#include "relay/server_private.h"

#define BIND_AGAIN_MS 100 /* between two tries of an address that is in use */

/* The listeners of one line that are not open yet. Of many that fail alike the first one tells. */
static enum err open_range(struct relay_route *route, const struct conf_listen *conf,
                           struct listener **listeners, struct str *why)
{
    enum err result = ERR_OK;
    for (uint16_t i = 0; i < conf->port_count; i++) {
        if (listeners[i] != NULL)
            continue;
        enum err err = listener_open(&listeners[i], route, conf, i);
        if (err == ERR_OK || err == result)
            continue;
        listener_tell_failure(why, route->conf->name, conf, i, err);
        result = err;
    }
    return result;
}

static bool may_pass(enum err err)
{
    return err == ERR_IN_USE || err == ERR_RESERVED;
}

/* All failures in one go: the operator mends them together. The result is one that does not pass
 * by itself, if there is such a one. */
static enum err try_listeners(struct relay *relay, struct str *why)
{
    enum err result = ERR_OK, err;
    for (size_t i = 0; i < relay->route_count; i++) {
        struct relay_route *route = relay->routes[i];
        size_t at = 0;
        for (size_t k = 0; k < route->conf->listen_count; k++) {
            err = open_range(route, &route->conf->listens[k], &route->listeners[at], why);
            at += route->conf->listens[k].port_count;
            if (err != ERR_OK && (result == ERR_OK || may_pass(result)))
                result = err;
        }
    }
    return result;
}

static void log_waiting(const char *lines, uint32_t patience_ms)
{
    char human[STR_HUMAN_MAX];
    str_human_duration(patience_ms, human);
    while (*lines != '\0') {
        size_t len = strcspn(lines, "\n");
        log_warning("%.*s; trying again for %s", (int)len, lines, human);
        lines += len + (lines[len] == '\n');
    }
}

/* What holds an address may be ending: a relay before this one, or, where listening is exclusive,
 * its last connections. */
static enum err open_listeners(struct relay *relay, struct str *why)
{
    struct server_inherit *inherit = relay->inherit;
    uint32_t patience_ms = inherit == NULL ? 0 : inherit->bind_patience_ms;
    enum err err = try_listeners(relay, why);
    if (!may_pass(err) || patience_ms == 0)
        return err;
    log_waiting(why->data, patience_ms);
    uint64_t until = os_mono_ms() + patience_ms;
    do {
        if (!inherit->wait(inherit->ctx, BIND_AGAIN_MS))
            return ERR_CANCELLED;
        str_clear(why);
        err = try_listeners(relay, why);
    } while (may_pass(err) && os_mono_ms() < until);
    return err;
}

/* ---- the server ---- */

enum err server_start(struct server **out, struct conf *conf, struct str *why)
{
    return server_start_with(out, conf, NULL, why);
}

enum err server_start_with(struct server **out, struct conf *conf,
                           struct server_inherit *inherit, struct str *why)
{
    struct server *server = calloc(1, sizeof *server);
    if (server != NULL)
        server->confs = calloc(1, sizeof(struct conf *));
    bool got = server != NULL && server->confs != NULL;
    enum err err = got ? relay_open(&server->relay, conf) : ERR_NOMEM;
    if (err != ERR_OK) {
        str_addf(why, "the relay can't be set up: %s\n", err_text(err));
        goto free_server;
    }
    if (inherit != NULL)
        adopt_prepare(inherit);
    server->relay.inherit = inherit;
    err = open_listeners(&server->relay, why);
    if (err != ERR_OK)
        goto close_relay;
    err = resolver_start(&server->relay.resolver, &server->relay, RESOLVE_PATIENCE_MS);
    if (err == ERR_OK)
        err = ban_keeper_start(&server->relay.guard.keeper, &server->relay);
    if (err == ERR_OK)
        err = run_start(&server->relay, why);
    if (err != ERR_OK) {
        if (why->len == 0)
            str_addf(why, "the threads can't be started: %s\n", err_text(err));
        goto stop_threads;
    }
    server->relay.inherit = NULL;
    server->confs[server->conf_count++] = conf;
    *out = server;
    return ERR_OK;

stop_threads:
    ban_keeper_stop(server->relay.guard.keeper);
    resolver_stop(server->relay.resolver);
close_relay:
    relay_close(&server->relay);
free_server:
    if (server != NULL)
        free(server->confs);
    free(server);
    return err;
}

void server_stop(struct server *server, bool now)
{
    run_stop(&server->relay, now);
}

void server_stop_over(struct server *server, uint64_t over_ms)
{
    run_stop_over(&server->relay, over_ms);
}

enum err server_copy_sockets(struct server *server, struct server_socket **out, size_t *count)
{
    server_hold(server);
    enum err err = adopt_copy(&server->relay, out, count);
    server_release(server);
    return err;
}

uint64_t server_latest_id(const struct server *server)
{
    return atomic_load(&server->relay.next_id);
}

bool server_hand_over(struct server *server, uint32_t timeout_ms)
{
    ban_keeper_hand_over(server->relay.guard.keeper);
    return run_hand_over(&server->relay, timeout_ms);
}

bool server_wait_stopped(struct server *server, uint32_t timeout_ms)
{
    return lifecycle_wait_stopped(&server->relay, timeout_ms);
}

void server_free(struct server *server)
{
    assert(lifecycle_is_stopped(&server->relay));
    for (unsigned i = 0; i < server->relay.worker_count; i++)
        worker_join(&server->relay.workers[i]);
    ban_keeper_stop(server->relay.guard.keeper);
    resolver_stop(server->relay.resolver);
    relay_close(&server->relay);
    while (server->conf_count > 0)
        conf_free(server->confs[--server->conf_count]);
    free(server->confs);
    free(server);
}

const struct conf *server_conf(const struct server *server)
{
    return server->relay.conf;
}

void server_hold(struct server *server)
{
    quiesce_enter(&server->relay);
}

void server_release(struct server *server)
{
    quiesce_leave(&server->relay);
}

/* ---- reload ---- */

static void free_unused(struct server *server)
{
    size_t kept = 0;
    for (size_t i = 0; i < server->conf_count; i++) {
        struct conf *conf = server->confs[i];
        if (i + 1 == server->conf_count || reload_uses(&server->relay, conf))
            server->confs[kept++] = conf;
        else
            conf_free(conf);
    }
    server->conf_count = kept;
}

static enum err reload_locked(struct server *server, struct conf *conf, struct str *why)
{
    const struct conf *before = server->confs[server->conf_count - 1];
    struct conf **more =
        realloc(server->confs, (server->conf_count + 1) * sizeof(struct conf *));
    if (more != NULL)
        server->confs = more;
    if (more == NULL || !diff_keep_fixed(before, conf)) {
        str_addf(why, "the reload can't be prepared: %s\n", err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    enum log_level level_before = before->log_level;
    size_t told = why->len;
    enum err err = reload_run(&server->relay, conf, why);
    if (err != ERR_OK) {
        if (why->len == told)
            str_addf(why, "the reload can't be carried out: %s\n", err_text(err));
        return err;
    }
    server->confs[server->conf_count++] = conf;
    free_unused(server);
    if (conf->log_level != level_before)
        log_set_level(conf->log_level);
    return ERR_OK;
}

enum err server_try_listens(struct server *server, const struct conf *conf, struct str *why)
{
    if (server == NULL)
        return port_choices_try(NULL, conf, why);
    os_mutex_lock(&server->reload_lock);
    server_hold(server);
    enum err err = port_choices_try(&server->relay, conf, why);
    server_release(server);
    os_mutex_unlock(&server->reload_lock);
    return err;
}

enum err server_reload(struct server *server, struct conf *conf, struct str *why)
{
    os_mutex_lock(&server->reload_lock);
    enum err err = reload_locked(server, conf, why);
    os_mutex_unlock(&server->reload_lock);
    return err;
}
