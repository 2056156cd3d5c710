#include "relay/server.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "relay/listener.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/server_private.h"
#include "relay/worker.h"

/* A pair lies on cache lines of its own, so that two workers with two pairs never share one. */
#define PAIR_ALIGN 64

/* ---- routes ---- */

static void free_route(struct relay_route *route)
{
    if (route->listeners != NULL)
        for (size_t i = 0; i < route->conf->listen_count; i++)
            listener_free(route->listeners[i]);
    free(route->listeners);
    free(route->upstreams);
    route_free(&route->route);
}

static enum err init_route(struct relay *relay, struct relay_route *route, size_t index)
{
    const struct conf_route *conf = &relay->conf->routes[index];
    enum err err = route_init(&route->route, conf);
    if (err != ERR_OK)
        return err;
    route->conf = conf;
    route->index = index;
    route->scope = stat_route_scope(relay->stat, index);
    route->quota.limit = conf->max_sessions;
    route->buffer_class = buffers_class(&relay->buffers, conf->buffer_bytes);
    route->listeners = calloc(conf->listen_count, sizeof(struct listener *));
    route->upstreams = calloc(conf->upstream_count, sizeof *route->upstreams);
    if (route->listeners == NULL || route->upstreams == NULL) {
        free_route(route);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < conf->upstream_count; i++) {
        route->upstreams[i].scope = stat_upstream_scope(relay->stat, index, i);
        route->upstreams[i].quota.limit = UINT32_MAX;
    }
    return ERR_OK;
}

static void free_routes(struct relay *relay)
{
    while (relay->route_count > 0)
        free_route(&relay->routes[--relay->route_count]);
    free(relay->routes);
}

static enum err init_routes(struct relay *relay)
{
    relay->routes = calloc(relay->conf->route_count, sizeof *relay->routes);
    if (relay->routes == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < relay->conf->route_count; i++) {
        enum err err = init_route(relay, &relay->routes[i], i);
        if (err != ERR_OK) {
            free_routes(relay);
            return err;
        }
        relay->route_count++;
    }
    return ERR_OK;
}

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

/* ---- the relay's parts, in order of need ---- */

static enum err open_stat(struct relay *relay)
{
    size_t *counts = calloc(relay->conf->route_count, sizeof *counts);
    if (counts == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < relay->conf->route_count; i++)
        counts[i] = relay->conf->routes[i].upstream_count;
    enum err err =
        stat_open(&relay->stat, relay->worker_count, counts, relay->conf->route_count);
    free(counts);
    return err;
}

static enum err init_workers(struct relay *relay)
{
    relay->workers = calloc(relay->worker_count, sizeof *relay->workers);
    if (relay->workers == NULL)
        return ERR_NOMEM;
    for (unsigned i = 0; i < relay->worker_count; i++) {
        relay->workers[i].relay = relay;
        relay->workers[i].number = i;
    }
    return ERR_OK;
}

static enum err open_relay(struct relay *relay, const struct conf *conf)
{
    relay->conf = conf;
    relay->worker_count = conf->workers > 0 ? conf->workers : os_cpu_count();
    relay->quota.limit = conf->max_sessions;
    relay->started_ms = os_mono_ms();

    enum err err = port_open(&relay->port, relay->worker_count);
    if (err != ERR_OK)
        return err;
    timers_init(&relay->timers, relay->port, relay->started_ms);
    table_init(&relay->table);
    buffers_init(&relay->buffers);
    slab_init(&relay->pairs, sizeof(struct pair), PAIR_ALIGN, os_slab_pages());
    lifecycle_init(relay);

    err = open_stat(relay);
    if (err != ERR_OK)
        goto close_port;
    err = init_workers(relay);
    if (err != ERR_OK)
        goto close_stat;
    err = init_routes(relay);
    if (err != ERR_OK)
        goto free_workers;
    return ERR_OK;

free_workers:
    free(relay->workers);
close_stat:
    stat_close(relay->stat);
close_port:
    port_close(relay->port);
    return err;
}

/* Needs: no worker runs, no pair is left. */
static void close_relay(struct relay *relay)
{
    free_routes(relay);
    free(relay->workers);
    stat_close(relay->stat);
    port_close(relay->port);
    buffers_destroy(&relay->buffers);
    slab_destroy(&relay->pairs);
}

/* ---- the server ---- */

enum err server_start(struct server **out, struct conf *conf, struct str *why)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return ERR_NOMEM;
    enum err err = open_relay(&server->relay, conf);
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
    close_relay(&server->relay);
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
    close_relay(&server->relay);
    conf_free(server->conf);
    free(server);
}

const struct conf *server_conf(const struct server *server)
{
    return server->conf;
}
