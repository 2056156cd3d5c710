/* relay.h - what the parts of the relay share.
 *
 * One struct relay holds the port, the statistics, the timers, the session table and the
 * routes. Every worker and every part below server.c gets a pointer to it. Nothing of it is
 * visible outside relay/. base/lock_rank.h has the order of the locks.
 */
#ifndef PAIRPORT_RELAY_RELAY_H
#define PAIRPORT_RELAY_RELAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/slab.h"
#include "config/conf.h"
#include "os/os.h"
#include "policy/bucket.h"
#include "policy/quota.h"
#include "port/port.h"
#include "relay/accept/listener_socket.h"
#include "relay/core/buffers.h"
#include "relay/core/lifecycle.h"
#include "relay/core/quiesce.h"
#include "relay/core/standstill.h"
#include "relay/core/table.h"
#include "relay/core/timers.h"
#include "relay/guard/guard.h"
#include "relay/queue/drain.h"
#include "relay/queue/gauges.h"
#include "relay/queue/queue.h"
#include "relay/queue/throttle.h"
#include "relay/reload/reload.h"
#include "relay/session/loop.h"
#include "relay/upstream/probe.h"
#include "relay/upstream/resolver.h"
#include "relay/upstream/upstreams.h"
#include "stat/stat.h"

struct listener;
struct server_inherit;
struct worker;

/* A route stays where it is in memory as long as somebody may point to it. Its configuration
 * becomes a newer one while the relay is quiesced, when it is reloaded: read it where it is
 * needed, and keep nothing of it for longer than an event. */
struct relay_route {
    struct relay *relay;           /* not owned */
    const struct conf_route *conf; /* not owned */
    size_t index; /* in the configuration and in relay->routes; SIZE_MAX: it was removed */
    size_t scope; /* in the statistics */
    struct upstreams upstreams;
    struct timer pending;       /* what follows from events, see session/pending.h */
    _Atomic uint32_t scheduled; /* how often schedule_route() armed it */
    struct queue queue;
    struct throttle throttle;
    struct drain drain; /* while it is on, new clients are turned away */
    struct quota quota; /* sessions, limited by the route's max_sessions */
    struct quota
        headers; /* of these, those that wait for their PROXY header; see proxy_header.h */
    struct os_mutex awaiting_lock; /* guards the next; as the queue's lock */
    struct list awaiting; /* those pairs by in_queue, the one that waits for longest first; each
                             has a reference */
    struct guard_route guard;
    struct listener *
        *listeners;        /* owned, one for each port of each of conf->listens, in order */
    size_t listener_count; /* 0 once it was removed */
    struct log_limit refuse_log; /* refused clients */
    _Atomic bool frozen;         /* see pace.h */
    _Atomic uint32_t repaced;    /* how often its rates were changed */
    _Atomic uint32_t options;    /* how often keepalive, its interval or nodelay were changed */
    _Atomic uint32_t thaws;      /* how often it was thawed */
    struct bucket pace_up, pace_down; /* what all its sessions may move together */
    struct gauge sessions_gauge;
};

struct relay {
    const struct conf
        *conf; /* not owned; like the routes it changes only while the relay is quiesced */
    struct port *port;
    bool reads_into_buffers; /* see port_reads_into_buffers() */
    struct stat *stat;
    struct timers timers;
    struct standstill standstill;
    struct table table;
    struct buffers buffers;
    struct probes probes;
    struct resolver *resolver; /* owned; NULL before the start */
    struct quota quota;        /* sessions in all, limited by [relay] max_sessions */
    struct guard guard;
    struct loops loops;

    struct relay_route **routes; /* owned, as what is in it */
    size_t route_count;          /* of the configuration, in its order */
    size_t removed_count;        /* behind them: removed ones that still have sessions */
    uint64_t
        would_refuse_gone[REASON_COUNT]; /* of routes that are no more; as in guard_route */
    struct quiesce quiesce;
    struct reloaded reloaded;

    struct os_mutex pairs_lock; /* guards `pairs` */
    struct slab pairs;          /* memory of the pairs */

    const struct op_taker *takers; /* of finished operations, by op->role; see worker.h */
    struct worker *workers;        /* owned */
    unsigned worker_count;

    struct server_inherit *inherit; /* not owned; NULL but while the server starts */
    struct listening listening;     /* listeners whose socket is open */

    uint64_t started_ms;
    _Atomic uint64_t next_id; /* of sessions; the first is 1 */
    struct lifecycle lifecycle;
    struct drain drain;              /* of all sessions, while a stop ends them evenly */
    struct log_limit descriptor_log; /* listeners out of descriptors or memory */
    struct log_limit memory_log;     /* sessions without memory */
    struct gauges gauges;
};

/* Sets everything up but the routes, their listeners (reload_start()) and the threads: port,
 * statistics, timers, workers that do not run. On an error nothing is left. `conf` must outlive
 * the relay. By the owner. */
enum err relay_open(struct relay *relay, const struct conf *conf);

/* Undoes relay_open() and frees the listeners. Needs: no worker runs, no pair is left. */
void relay_close(struct relay *relay);

#endif
