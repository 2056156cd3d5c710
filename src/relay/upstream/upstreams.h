/* upstreams.h - the upstreams of a route: the logic of route/ under its lock.
 *
 * Every event of a route is passed to this logic at once. What follows from it is done a moment
 * later, see core/schedule.h.
 *
 * Threads: as each function says; upstreams_pick(), _give() and _failed() with the lock of the
 * pair they are about, all others without any.
 */
#ifndef PAIRPORT_RELAY_UPSTREAM_UPSTREAMS_H
#define PAIRPORT_RELAY_UPSTREAM_UPSTREAMS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "os/os.h"
#include "policy/quota.h"
#include "relay/core/timers.h"
#include "relay/queue/drain.h"
#include "route/route.h"

struct pair;
struct relay;
struct relay_route;
struct worker;

/* How many connections there are from one local address to one upstream. */
struct source_use {
    _Atomic uint32_t used;
    struct log_limit log; /* few ports are left */
};

struct relay_upstream {
    size_t scope;                 /* in the statistics; SIZE_MAX: it has none yet */
    struct quota quota;           /* sessions connected to it; without a limit */
    struct log_limit connect_log; /* failed connects */
    struct drain drain;           /* see server_drain_upstream() */
    struct source_use *sources;   /* owned; upstreams_source_count() of them */
};

struct upstreams {
    struct os_mutex lock;         /* guards `route` */
    struct route *route;          /* owned */
    struct relay_upstream **each; /* owned, one for each of the route's conf->upstreams; stays
                                     where it is as long as its slot has the same upstream */
    size_t count;
    _Atomic uint32_t next_source;
};

/* An upstream of its own, with room for so many sources. ERR_NOMEM leaves nothing. */
enum err upstream_open(struct relay_upstream **out, size_t source_count);
void upstream_close(struct relay_upstream *upstream, struct relay *relay);

/* Of a route that nobody else knows. ERR_NOMEM leaves nothing. */
enum err upstreams_open(struct relay_route *route);

/* They get their places in the statistics. Needs: stat_reserve() for all of them. Before the
 * workers start, or while the relay is quiesced. */
void upstreams_begin(struct relay_route *route);

/* After the workers ended, while the relay is quiesced, or without upstreams_begin(). */
void upstreams_close(struct relay_route *route);

/* What another configuration needs of memory, before anything of it is carried out. */
struct upstreams_plan {
    struct route_plan *route;
    struct relay_upstream **each; /* for every slot: the one there is, or a new one */
    size_t new_count;             /* of these: each needs a place in the statistics */
    struct source_use **sources;  /* for every slot, where the sources are others; else NULL */
    size_t count;                 /* slots that are filled */
};

/* The upstreams of a route become those of `conf`, whose slots were arranged, see slots.h.
 * Prepared by the thread that reloads, while no other one from outside looks at the relay: then no
 * server comes until it is carried out. ERR_NOMEM leaves nothing. Carried out while the relay is
 * quiesced; it can't fail, needs stat_reserve() for those that are new, and makes `conf` the
 * route's. */
enum err upstreams_prepare(struct relay_route *route, const struct conf_route *conf,
                           struct upstreams_plan *plan);
void upstreams_reconfigure(struct relay_route *route, const struct conf_route *conf,
                           struct upstreams_plan *plan, uint64_t now_ms);
void upstreams_plan_free(struct relay_route *route, struct upstreams_plan *plan);

/* See route_pick(). */
enum route_outcome upstreams_pick(struct pair *pair, struct worker *worker,
                                  struct route_target *target);

/* The pair's place at its upstream is free again; none is fine. */
void upstreams_give(struct pair *pair);

/* The server failed this pair in a way that no client can bring about: it counts for its
 * ejection. `err` is what the connect failed with, ERR_OK when it was a reset later on. By whoever
 * holds a place there. */
void upstreams_failed(struct pair *pair, enum err err, uint64_t now_ms);

/* The pair is connected, where pair->attempt.server_fails says that this is news. */
void upstreams_connected(struct pair *pair, uint64_t now_ms);

/* Once a second, by a worker. */
void upstreams_tick(struct relay_route *route, struct worker *worker);

/* How many local addresses are told apart: those of the configuration, or the system's choice. */
static inline size_t upstreams_source_count(const struct conf_route *conf)
{
    return conf->source_count > 0 ? conf->source_count : 1;
}

/* The local address for the next connection to `to`, and its number; false: the system
 * chooses, and the number is 0. */
bool upstreams_next_source(struct relay_route *route, const struct addr *to,
                           struct addr *source, unsigned *number);

/* A connection from that address to the upstream begins; is over. */
void upstreams_source_begins(struct relay_route *route, size_t upstream, unsigned number);
void upstreams_source_ended(struct relay_route *route, size_t upstream, unsigned number);

/* Ports there are for connections from one address to the upstream; 0: unknown. Any thread. */
uint32_t upstreams_source_limit(struct relay_route *route, size_t upstream);

#endif
