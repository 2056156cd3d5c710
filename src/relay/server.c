#include "relay/server.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "config/diff.h"
#include "relay/accept/adopt.h"
#include "relay/core/quiesce.h"
#include "relay/core/worker.h"
#include "relay/guard/ban_keeper.h"
#include "relay/relay.h"
#include "relay/reload/reload.h"
#include "relay/reload/reload_listeners.h"
#include "relay/run.h"
#include "relay/server_private.h"

/* ---- the server ---- */

/* An error leaves nothing. */
static enum err open_relay(struct relay *relay, struct conf *conf,
                           struct server_inherit *inherit, struct str *why)
{
    enum err err = relay_open(relay, conf);
    if (err != ERR_OK)
        return err;
    if (inherit != NULL)
        adopt_prepare(inherit);
    relay->inherit = inherit;
    err = reload_start(relay, conf, why);
    if (err != ERR_OK)
        relay_close(relay);
    return err;
}

enum err server_start(struct server **out, struct conf *conf, struct server_inherit *inherit,
                      struct str *why)
{
    struct server *server = calloc(1, sizeof *server);
    if (server != NULL)
        server->confs = calloc(1, sizeof(struct conf *));
    bool got = server != NULL && server->confs != NULL;
    if (got)
        os_mutex_init(&server->reload_lock, LOCK_SERVER_RELOAD);
    enum err err = got ? open_relay(&server->relay, conf, inherit, why) : ERR_NOMEM;
    if (err != ERR_OK) {
        if (why->len == 0)
            str_addf(why, "the relay can't be set up: %s\n", err_text(err));
        goto free_server;
    }
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
