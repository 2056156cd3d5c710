/* drain.h - ends the sessions of a route, of an upstream or of the whole relay by a plan.
 *
 * While a drain is on, there are no new sessions; others see to that: they ask whether the
 * drain is on, or the upstream is closed by an operator. The drain ends sessions as its plan
 * says, the oldest first, counts once a second how many are left, and logs its progress. It
 * stays on until an operator ends it, even when nothing is left.
 *
 * Threads: any, without other locks. The lock inside is a leaf.
 */
#ifndef PAIRPORT_RELAY_QUEUE_DRAIN_H
#define PAIRPORT_RELAY_QUEUE_DRAIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "os/os.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"

struct relay;
struct relay_route;
struct session_filter;

struct drain {
    _Atomic bool on;

    struct os_mutex lock; /* guards what follows */
    bool stepping;        /* a worker takes a step */
    bool told_empty;      /* that nothing is left was logged */
    uint64_t began_ms;    /* monotonic, as all of these */
    uint64_t until_ms;    /* all are ended then; 0: they may stay */
    uint64_t ended_ms;    /* when the last ones were due, or the beginning */
    uint64_t step_ms;     /* the next step */
    uint64_t tell_ms;     /* the next line of the log */
    uint32_t tell_every_ms;
    size_t first_left;    /* at the beginning */
    uint64_t ended_total; /* by the drain */
};

/* Which sessions, and what they are called in the log: "route 'lobby'". */
struct drain_of {
    struct relay *relay;
    const struct session_filter *filter;
    enum reason reason;  /* why they end */
    const char *subject; /* NULL: somebody else writes to the log */
};

static inline bool drain_is_on(const struct drain *drain)
{
    return atomic_load_explicit(&drain->on, memory_order_relaxed);
}

/* The drain is on from here on, with this plan instead of an earlier one; with plan->kill and no
 * time all are ended now. *out says how it is then. ERR_NOMEM: it is on all the same, but what is
 * left is not known yet. The caller has a worker call drain_step() soon. */
enum err drain_begin(struct drain *drain, const struct drain_of *of,
                     const struct server_drain_plan *plan, uint64_t now_ms,
                     struct server_drain_info *out);

/* Sessions may come again. False: it was not on. */
bool drain_end(struct drain *drain);

/* Does what is due; when there is something to do again, UINT64_MAX: never. By a worker. */
uint64_t drain_step(struct drain *drain, const struct drain_of *of, uint64_t now_ms);

/* ---- those of a route and of its upstreams ---- */

/* Calls drain_step() of each that is on. */
uint64_t drain_step_route(struct relay_route *route, uint64_t now_ms);

/* See server_drain_route() and server_drain_upstream(); without the log. */
enum err drain_begin_route(struct relay_route *route, const struct server_drain_plan *plan,
                           uint64_t now_ms, struct server_drain_info *out);
enum err drain_begin_upstream(struct relay_route *route, size_t upstream,
                              const struct server_drain_plan *plan, uint64_t now_ms,
                              struct server_drain_info *out);
void drain_get_route_info(struct relay_route *route, uint64_t now_ms,
                          struct server_drain_info *out);
void drain_get_upstream_info(struct relay_route *route, size_t upstream, uint64_t now_ms,
                             struct server_drain_info *out);

#endif
