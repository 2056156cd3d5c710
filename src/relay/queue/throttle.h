/* gate.h - whether clients of a route are let on to its upstreams right now.
 *
 * An operator may pause a route: then its clients wait, in the queue of queue.h, until it is
 * resumed. After that, and whenever upstreams come up of which none was up before, at the start
 * too, the gate ramps: clients go through the queue at the route's admission_ramp, so that
 * servers are not stormed by all clients at once. A ramp is over when no client waits and its
 * bucket is full, but lasts ten seconds at least, since players reconnect a little later.
 *
 * A gate that is paused or ramps is closed. How long it has been closed in all is kept, so that
 * the time a client has waited for that, and not for an upstream, can be told.
 *
 * Threads: any. The lock inside is a leaf.
 */
#ifndef PAIRPORT_RELAY_QUEUE_GATE_H
#define PAIRPORT_RELAY_QUEUE_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/os.h"
#include "policy/bucket.h"

struct relay_route;

#define GATE_BY_MAX      32 /* who paused it, "console" */
#define GATE_RAMP_MIN_MS 10000

struct gate {
    _Atomic bool paused; /* both are written with the lock held */
    _Atomic bool ramps;
    struct bucket ramp;

    struct os_mutex lock; /* guards what follows */
    bool up;              /* an upstream is, as far as the gate has been told */
    uint64_t paused_ms;   /* since when, while it is */
    char paused_by[GATE_BY_MAX];
    uint64_t ramp_ms;          /* since when, while it ramps */
    uint64_t closed_since_ms;  /* while it is closed */
    uint64_t closed_before_ms; /* for how long it was closed before, in all */
};

/* Clients wait. False: they did already, and `by` is not noted. */
bool gate_pause(struct relay_route *route, const char *by, uint64_t now_ms);

/* Clients are let in again, by a ramp if the route has one. *lasted_ms: how long it was paused.
 * False: it was not. The caller schedules the route. */
bool gate_resume(struct relay_route *route, uint64_t now_ms, uint64_t *lasted_ms);

/* Whether one of the route's upstreams is up; when the first one comes up, a ramp begins. */
void gate_see(struct relay_route *route, bool up, uint64_t now_ms);

static inline bool gate_is_paused(const struct gate *gate)
{
    return atomic_load_explicit(&gate->paused, memory_order_relaxed);
}

static inline bool gate_ramps(const struct gate *gate)
{
    return atomic_load_explicit(&gate->ramps, memory_order_relaxed);
}

static inline bool gate_is_closed(const struct gate *gate)
{
    return gate_is_paused(gate) || gate_ramps(gate);
}

/* A connect succeeds after others failed: a ramp begins for the clients that wait. */
void gate_begin_ramp(struct relay_route *route, uint64_t now_ms);

/* A connect failed: clients wait for the server now, not for the ramp. */
void gate_end_ramp(struct relay_route *route, uint64_t now_ms);

/* One client may pass now; while the gate ramps, that takes a token. False: it has to wait. */
bool gate_admits(struct relay_route *route, uint64_t now_ms);

/* Returns the token that gate_admits() took, when no connect was started. */
void gate_return(struct relay_route *route);

/* When the next client may pass: `now_ms` or later; UINT64_MAX: not before it is resumed. */
uint64_t gate_next_ms(struct relay_route *route, uint64_t now_ms);

/* Ends a ramp that is over. */
void gate_settle(struct relay_route *route, uint64_t now_ms);

/* For how long the gate was closed, ever, until now. */
uint64_t gate_closed_ms(struct gate *gate, uint64_t now_ms);

struct gate_info {
    bool paused;
    bool ramps;
    uint64_t paused_ms; /* for how long */
    char paused_by[GATE_BY_MAX];
};
void gate_get_info(struct gate *gate, uint64_t now_ms, struct gate_info *out);

#endif
