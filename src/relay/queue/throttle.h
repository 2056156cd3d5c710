/* throttle.h - whether clients of a route are let on to its upstreams right now.
 *
 * An operator may pause a route: then its clients wait, in the queue of queue.h, until it is
 * resumed. After that, and whenever upstreams come up of which none was up before, at the start
 * too, the throttle ramps: clients go through the queue at the route's admission_ramp, so that
 * servers are not stormed by all clients at once. A ramp is over when no client waits and its
 * bucket is full, but lasts ten seconds at least, since players reconnect a little later.
 *
 * A throttle that is paused or ramps is closed. How long it has been closed in all is kept, so that
 * the time a client has waited for that, and not for an upstream, can be told.
 *
 * Threads: any. The lock inside is a leaf.
 */
#ifndef PAIRPORT_RELAY_QUEUE_THROTTLE_H
#define PAIRPORT_RELAY_QUEUE_THROTTLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/os.h"
#include "policy/bucket.h"

struct relay_route;

#define THROTTLE_BY_MAX      32 /* who paused it, "console" */
#define THROTTLE_RAMP_MIN_MS 10000

struct throttle {
    _Atomic bool paused; /* both are written with the lock held */
    _Atomic bool ramps;
    struct bucket ramp;

    struct os_mutex lock; /* guards what follows */
    bool up;              /* an upstream is, as far as the throttle has been told */
    uint64_t paused_ms;   /* since when, while it is */
    char paused_by[THROTTLE_BY_MAX];
    uint64_t ramp_ms;      /* since when, while it ramps */
    uint64_t on_since_ms;  /* while it is closed */
    uint64_t on_before_ms; /* for how long it was closed before, in all */
};

/* Clients wait. False: they did already, and `by` is not noted. */
bool throttle_pause(struct relay_route *route, const char *by, uint64_t now_ms);

/* Clients are let in again, by a ramp if the route has one. *lasted_ms: how long it was paused.
 * False: it was not. The caller schedules the route. */
bool throttle_resume(struct relay_route *route, uint64_t now_ms, uint64_t *lasted_ms);

/* Whether one of the route's upstreams is up; when the first one comes up, a ramp begins. */
void throttle_set_up(struct relay_route *route, bool up, uint64_t now_ms);

static inline bool throttle_is_paused(const struct throttle *throttle)
{
    return atomic_load_explicit(&throttle->paused, memory_order_relaxed);
}

static inline bool throttle_ramps(const struct throttle *throttle)
{
    return atomic_load_explicit(&throttle->ramps, memory_order_relaxed);
}

static inline bool throttle_is_on(const struct throttle *throttle)
{
    return throttle_is_paused(throttle) || throttle_ramps(throttle);
}

/* A connect succeeds after others failed: a ramp begins for the clients that wait. */
void throttle_begin_ramp(struct relay_route *route, uint64_t now_ms);

/* A connect failed: clients wait for the server now, not for the ramp. */
void throttle_end_ramp(struct relay_route *route, uint64_t now_ms);

/* One client may pass now; while the throttle ramps, that takes a token. False: it has to wait. */
bool throttle_admits(struct relay_route *route, uint64_t now_ms);

/* Returns the token that throttle_admits() took, when no connect was started. */
void throttle_return_token(struct relay_route *route);

/* When the next client may pass: `now_ms` or later; UINT64_MAX: not before it is resumed. */
uint64_t throttle_next_ms(struct relay_route *route, uint64_t now_ms);

/* Ends a ramp that is over. */
void throttle_settle(struct relay_route *route, uint64_t now_ms);

/* For how long the throttle was closed, ever, until now. */
uint64_t throttle_on_ms(struct throttle *throttle, uint64_t now_ms);

struct throttle_info {
    bool paused;
    bool ramps;
    uint64_t paused_ms; /* for how long */
    char paused_by[THROTTLE_BY_MAX];
};
void throttle_get_info(struct throttle *throttle, uint64_t now_ms, struct throttle_info *out);

#endif
