#include "relay/relay.h"

#include <stdlib.h>

#include "relay/accept/listener.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/reload/reload.h"
#include "relay/reload/route_parts.h"
#include "relay/run.h"

/* A pair lies on cache lines of its own, so that two workers with two pairs never share one. */
#define PAIR_ALIGN 64

static void free_routes(struct relay *relay)
{
    size_t count = relay->route_count + relay->removed_count;
    while (count > 0)
        route_parts_close(relay->routes[--count]);
    free(relay->routes);
    relay->routes = NULL;
    relay->route_count = relay->removed_count = 0;
}

static void free_workers(struct relay *relay)
{
    for (unsigned i = 0; i < relay->worker_count; i++)
        buffers_close_cache(&relay->buffers, &relay->workers[i].cache);
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
        if (buffers_open_cache(&relay->buffers, &worker->cache) != ERR_OK) {
            free_workers(relay);
            return ERR_NOMEM;
        }
    }
    return ERR_OK;
}

/* ---- who takes finished operations ---- */

static void take_pair(struct worker *worker, struct op *op)
{
    pair_on_done(worker, op->owner);
}

static void take_timers(struct worker *worker, struct op *op)
{
    (void)op;
    timers_on_wake(&worker->relay->timers, worker->number);
}

static void take_quiesce(struct worker *worker, struct op *op)
{
    (void)op;
    worker->parks = true;
}

static void take_reload(struct worker *worker, struct op *op)
{
    (void)op;
    reload_on_wake(worker);
}

static const struct op_taker takers[OP_ROLES] = {
    [OP_ROLE_PAIR] = {take_pair},       [OP_ROLE_LISTENER] = {listener_on_done},
    [OP_ROLE_PROBE] = {probe_on_done},  [OP_ROLE_TIMERS] = {take_timers},
    [OP_ROLE_QUIESCE] = {take_quiesce}, [OP_ROLE_RELOAD] = {take_reload},
    [OP_ROLE_RUN] = {run_on_wake},
};

/* ---- open and close ---- */

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
    standstill_init(&relay->standstill);
    timers_init(&relay->timers, relay->port, &relay->standstill, relay->started_ms);
    os_mutex_init(&relay->pairs_lock, LOCK_PAIRS);
    table_init(&relay->table);
    buffers_init(&relay->buffers);
    probes_init(&relay->probes);
    slab_init(&relay->pairs, sizeof(struct pair), PAIR_ALIGN, os_slab_pages());
    loop_init(&relay->loops);
    relay->takers = takers;
    run_init(relay);
    quiesce_init(relay);
    reload_init(relay);

    err = stat_open(&relay->stat, relay->worker_count);
    if (err != ERR_OK)
        goto close_port;
    err = init_workers(relay);
    if (err != ERR_OK)
        goto close_stat;
    err = guard_open(relay);
    if (err != ERR_OK)
        goto undo_workers;
    return ERR_OK;

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
    reload_close(relay);
    free_routes(relay);
    guard_close(relay);
    free_workers(relay);
    stat_close(relay->stat);
    port_close(relay->port);
    buffers_destroy(&relay->buffers);
    slab_destroy(&relay->pairs);
}
