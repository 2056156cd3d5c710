#include "relay/server.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "relay/adopt.h"
#include "relay/listener.h"
#include "relay/relay.h"
#include "relay/server_private.h"
#include "relay/worker.h"

/* A start waits so long for the first answers for upstreams' names. */
#define RESOLVE_PATIENCE_MS 3000

/* The listeners of one line. Of many that fail alike the first one tells. */
static enum err open_range(struct relay_route *route, const struct conf_listen *conf,
                           struct listener **listeners, struct str *why)
{
    enum err result = ERR_OK;
    for (uint16_t i = 0; i < conf->port_count; i++) {
        enum err err = listener_open(&listeners[i], route, conf, i);
        if (err == ERR_OK || err == result)
            continue;
        char text[ADDR_TEXT_MAX];
        struct addr addr = conf->addr;
        addr.port = (uint16_t)(addr.port + i);
        str_addf(why, "route '%s': listen %s: %s\n", route->conf->name,
                 addr_format(&addr, text), err_text(err));
        result = err;
    }
    return result;
}

/* All failures in one go: the operator mends them together. */
static enum err open_listeners(struct relay *relay, struct str *why)
{
    enum err result = ERR_OK, err;
    for (size_t i = 0; i < relay->route_count; i++) {
        struct relay_route *route = &relay->routes[i];
        size_t at = 0;
        for (size_t k = 0; k < route->conf->listen_count; k++) {
            err = open_range(route, &route->conf->listens[k], &route->listeners[at], why);
            at += route->conf->listens[k].port_count;
            if (err != ERR_OK)
                result = err;
        }
    }
    return result;
}

/* ---- the server ---- */

enum err server_start(struct server **out, struct conf *conf, struct str *why)
{
    return server_start_with(out, conf, NULL, why);
}

enum err server_start_with(struct server **out, struct conf *conf, struct server_door *door,
                           struct str *why)
{
    struct server *server = calloc(1, sizeof *server);
    enum err err = server == NULL ? ERR_NOMEM : relay_open(&server->relay, conf);
    if (err != ERR_OK) {
        str_addf(why, "the relay can't be set up: %s\n", err_text(err));
        goto free_server;
    }
    if (door != NULL)
        adopt_prepare(door);
    server->relay.door = door;
    err = open_listeners(&server->relay, why);
    if (err != ERR_OK)
        goto close_relay;
    err = resolver_start(&server->relay.resolver, &server->relay, RESOLVE_PATIENCE_MS);
    if (err == ERR_OK)
        err = lifecycle_start(&server->relay, why);
    if (err != ERR_OK) {
        if (why->len == 0)
            str_addf(why, "the threads can't be started: %s\n", err_text(err));
        goto stop_resolver;
    }
    server->relay.door = NULL;
    server->conf = conf;
    *out = server;
    return ERR_OK;

stop_resolver:
    resolver_stop(server->relay.resolver);
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

enum err server_copy_sockets(struct server *server, struct server_socket **out, size_t *count)
{
    return adopt_copy(&server->relay, out, count);
}

bool server_hand_over(struct server *server, uint32_t timeout_ms)
{
    return lifecycle_hand_over(&server->relay, timeout_ms);
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
    resolver_stop(server->relay.resolver);
    relay_close(&server->relay);
    conf_free(server->conf);
    free(server);
}

const struct conf *server_conf(const struct server *server)
{
    return server->conf;
}
