/* probe.h - one active health check: it connects to a server as a session would, sends what
 * `health` says, and compares the answer.
 *
 * Without `send` and `expect` only the connection is checked, and it is reset at once: on Linux
 * before it is established, so the server never accepts it (see sock_delay_ack()). Other checks
 * close as `end` says.
 *
 * A check takes `timeout` at most, all steps together, and holds a descriptor for that long.
 * Without a descriptor or a local port the result is SOCKERR, which says nothing about the
 * server. With proxy_protocol_out, a check with `send` or `expect` first sends the PROXY header
 * of a connection of the relay itself.
 *
 * Threads: workers. A probe locks itself.
 */
#ifndef PAIRPORT_RELAY_UPSTREAM_PROBE_H
#define PAIRPORT_RELAY_UPSTREAM_PROBE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "os/os.h"

struct op;
struct relay_route;
struct route_check;
struct worker;

/* The checks of a relay that run. */
struct probes {
    struct os_mutex lock; /* guards the list */
    struct list running;
    _Atomic uint32_t count;
};

/* So many run at once at most, so that those of many servers need few descriptors. */
#define PROBES_MAX 64
bool probes_have_room(const struct probes *probes);

void probes_init(struct probes *probes);

/* One of them is of this route. */
bool probes_use(struct probes *probes, const struct relay_route *route);

/* Begins a check; its result goes to the route. */
void probe_begin(struct worker *worker, struct relay_route *route,
                 const struct route_check *check);

/* An operation whose role is OP_ROLE_PROBE came out. */
void probe_on_done(struct worker *worker, struct op *op);

/* The relay stops: ends all checks that run, without a result. */
void probes_stop(struct worker *worker);

#endif
