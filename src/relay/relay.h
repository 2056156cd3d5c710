/* relay.h - what the parts of the relay share.
 *
 * One struct relay holds the port, the statistics, the timers, the session table and the
 * routes; every worker and every part below server.c gets it. Nothing of it is visible outside
 * relay/.
 *
 * Order of locks: a pair's lock, then one of the leaf locks (timers, table shard, buffers,
 * pairs); a leaf lock is never held while a pair's or a listener's lock is taken.
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
#include "policy/quota.h"
#include "port/port.h"
#include "relay/buffers.h"
#include "relay/gauges.h"
#include "relay/held.h"
#include "relay/lifecycle.h"
#include "relay/probe.h"
#include "relay/resolver.h"
#include "relay/table.h"
#include "relay/timers.h"
#include "relay/upstreams.h"
#include "stat/stat.h"

struct listener;
struct server_door;
struct worker;

enum op_role {
    OP_ROLE_PAIR = 0,
    OP_ROLE_PROBE
}; /* of op->role, where the owner may be either */

struct relay_route {
    struct relay *relay;           /* not owned */
    const struct conf_route *conf; /* not owned */
    size_t index;
    size_t scope; /* in the statistics */
    struct upstreams upstreams;
    struct held held;
    struct quota quota; /* sessions, limited by the route's max_sessions */
    struct listener *
        *listeners; /* owned, one for each port of each of conf->listens, in order */
    size_t listener_count;
    struct log_limit refuse_log; /* refused clients */
    _Atomic bool frozen;         /* see pace.h */
    struct gauge sessions_gauge;
};

struct relay {
    const struct conf *conf; /* not owned */
    struct port *port;
    bool reads_into_buffers; /* see port_reads_into_buffers() */
    struct stat *stat;
    struct timers timers;
    struct table table;
    struct buffers buffers;
    struct probes probes;
    struct resolver *resolver; /* owned; NULL before the start */
    struct quota quota;        /* sessions in all, limited by [relay] max_sessions */

    struct relay_route *routes; /* owned */
    size_t route_count;

    struct os_mutex pairs_lock; /* guards `pairs` */
    struct slab pairs;          /* memory of the pairs */

    struct worker *workers; /* owned */
    unsigned worker_count;

    struct server_door *door;   /* not owned; NULL but while the server starts */
    _Atomic uint32_t listening; /* listeners whose socket is open */

    uint64_t started_ms;
    _Atomic uint64_t next_id; /* of sessions; the first is 1 */
    struct lifecycle lifecycle;
    struct log_limit descriptor_log; /* out of descriptors or memory */
    struct gauges gauges;
};

/* Sets everything up but the listeners and the threads: port, statistics, timers, routes
 * without addresses, workers that do not run. On an error nothing is left. `conf` must outlive
 * the relay. By the owner. */
enum err relay_open(struct relay *relay, const struct conf *conf);

/* Undoes relay_open() and frees the listeners. Needs: no worker runs, no pair is left. */
void relay_close(struct relay *relay);

#endif
