#include "relay/server.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "relay/listener.h"
#include "relay/relay.h"
#include "relay/server_private.h"
#include "relay/worker.h"

/* A name that does not resolve is no reason not to serve the other routes. */
static enum err resolve_upstream(struct relay_route *route, size_t index)
{
    const struct conf_upstream *conf = &route->conf->upstreams[index];
    struct addr addrs[SERVER_ADDRS_MAX];
    size_t count = 0;
    char why[256] = "";
    enum err err =
        os_resolve(conf->host, conf->port, addrs, SERVER_ADDRS_MAX, &count, why, sizeof why);
    if (err == ERR_OK)
        return route_set_addrs(&route->route, index, addrs, count);
    log_error("route '%s': upstream '%s' has no address: %s; no session goes there until the "
              "relay is restarted with a name that resolves",
              route->conf->name, conf->name, why[0] != '\0' ? why : err_text(err));
    return ERR_OK;
}

static enum err resolve_all(struct relay *relay)
{
    for (size_t i = 0; i < relay->route_count; i++)
        for (size_t k = 0; k < relay->routes[i].conf->upstream_count; k++) {
            enum err err = resolve_upstream(&relay->routes[i], k);
            if (err != ERR_OK)
                return err;
        }
    return ERR_OK;
}

/* All failures in one go: the operator mends them together. */
static enum err open_listeners(struct relay *relay, struct str *why)
{
    enum err result = ERR_OK;
    for (size_t i = 0; i < relay->route_count; i++) {
        struct relay_route *route = &relay->routes[i];
        for (size_t k = 0; k < route->conf->listen_count; k++) {
            const struct conf_listen *conf = &route->conf->listens[k];
            enum err err = listener_open(&route->listeners[k], relay, route, conf);
            if (err == ERR_OK)
                continue;
            char addr[ADDR_TEXT_MAX];
            str_addf(why, "route '%s': listen %s: %s\n", route->conf->name,
                     addr_format(&conf->addr, addr), err_text(err));
            result = err;
        }
    }
    return result;
}

/* ---- the server ---- */

enum err server_start(struct server **out, struct conf *conf, struct str *why)
{
    struct server *server = calloc(1, sizeof *server);
    enum err err = server == NULL ? ERR_NOMEM : relay_open(&server->relay, conf);
    if (err != ERR_OK) {
        str_addf(why, "the relay can't be set up: %s\n", err_text(err));
        goto free_server;
    }
    err = open_listeners(&server->relay, why);
    if (err != ERR_OK)
        goto close_relay;
    err = resolve_all(&server->relay);
    if (err == ERR_OK)
        err = lifecycle_start(&server->relay);
    if (err != ERR_OK) {
        str_addf(why, "the workers can't be started: %s\n", err_text(err));
        goto close_relay;
    }
    server->conf = conf;
    *out = server;
    return ERR_OK;

close_relay:
    relay_close(&server->relay);
free_server:
    free(server);
    return err;
}

void server_stop(struct server *server, bool now)
{
    lifecycle_stop(&server->relay, now);
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
    relay_close(&server->relay);
    conf_free(server->conf);
    free(server);
}

const struct conf *server_conf(const struct server *server)
{
    return server->conf;
}
