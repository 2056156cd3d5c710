#include "relay/relay.h"

#include <stdlib.h>

#include "relay/listener.h"
#include "relay/pair.h"
#include "relay/worker.h"

/* A pair lies on cache lines of its own, so that two workers with two pairs never share one. */
#define PAIR_ALIGN 64

static void free_route(struct relay_route *route)
{
    for (size_t i = 0; i < route->listener_count; i++)
        listener_free(route->listeners[i]);
    free(route->listeners);
    guard_route_close(route);
    upstreams_close(route);
}

static size_t count_ports(const struct conf_route *conf)
{
    size_t count = 0;
    for (size_t i = 0; i < conf->listen_count; i++)
        count += conf->listens[i].port_count;
    return count;
}

static enum err init_route(struct relay *relay, struct relay_route *route, size_t index)
{
    const struct conf_route *conf = &relay->conf->routes[index];
    route->relay = relay;
    route->conf = conf;
    route->index = index;
    route->scope = stat_route_scope(relay->stat, index);
    route->quota.limit = conf->max_sessions;
    held_init(&route->held);
    size_t ports = count_ports(conf);
    route->listeners = calloc(ports, sizeof(struct listener *));
    if (route->listeners == NULL)
        return ERR_NOMEM;
    route->listener_count = ports;
    enum err err = upstreams_open(route);
    if (err == ERR_OK)
        err = guard_route_open(route);
    if (err != ERR_OK)
        free_route(route);
    return err;
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

static void free_workers(struct relay *relay)
{
    for (unsigned i = 0; i < relay->worker_count; i++)
        if (relay->workers[i].scratch != NULL)
            os_pages_free(relay->workers[i].scratch, BUFFER_LARGEST);
    free(relay->workers);
}

static enum err init_workers(struct relay *relay)
{
    relay->workers = calloc(relay->worker_count, sizeof *relay->workers);
    if (relay->workers == NULL)
        return ERR_NOMEM;
    for (unsigned i = 0; i < relay->worker_count; i++) {
        struct worker *worker = &relay->workers[i];
        worker->relay = relay;
        worker->number = i;
        worker->scratch = os_pages_alloc(BUFFER_LARGEST); /* resident as far as it is used */
        if (worker->scratch == NULL) {
            free_workers(relay);
            return ERR_NOMEM;
        }
    }
    return ERR_OK;
}

enum err relay_open(struct relay *relay, const struct conf *conf)
{
    relay->conf = conf;
    relay->worker_count = conf->workers > 0 ? conf->workers : os_cpu_count();
    relay->quota.limit = conf->max_sessions;
    relay->started_ms = os_mono_ms();

    enum err err = port_open(&relay->port, relay->worker_count);
    if (err != ERR_OK)
        return err;
    relay->reads_into_buffers = port_reads_into_buffers();
    timers_init(&relay->timers, relay->port, relay->started_ms);
    table_init(&relay->table);
    buffers_init(&relay->buffers);
    probes_init(&relay->probes);
    slab_init(&relay->pairs, sizeof(struct pair), PAIR_ALIGN, os_slab_pages());
    lifecycle_init(relay);

    err = open_stat(relay);
    if (err != ERR_OK)
        goto close_port;
    err = init_workers(relay);
    if (err != ERR_OK)
        goto close_stat;
    err = guard_open(relay);
    if (err != ERR_OK)
        goto undo_workers;
    err = init_routes(relay);
    if (err != ERR_OK)
        goto undo_guard;
    return ERR_OK;

undo_guard:
    guard_close(relay);
undo_workers:
    free_workers(relay);
close_stat:
    stat_close(relay->stat);
close_port:
    port_close(relay->port);
    return err;
}

void relay_close(struct relay *relay)
{
    free_routes(relay);
    guard_close(relay);
    free_workers(relay);
    stat_close(relay->stat);
    port_close(relay->port);
    buffers_destroy(&relay->buffers);
    slab_destroy(&relay->pairs);
}
