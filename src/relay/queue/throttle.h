/* throttle.h - limits how fast clients of a route go on to its upstreams: pause and ramp.
 *
 * An operator may pause a route: its clients then wait in the queue (queue.h) until it is resumed.
 * After a pause, and when the first upstream comes up after none was (also at the start), the
 * throttle ramps: clients leave the queue at the route's admission_ramp, so that they do not all
 * reach the servers at once. A ramp is over when no client waits and its bucket is full. It lasts
 * ten seconds at least, since players reconnect a little later.
 *
 * The throttle is on while the route is paused or ramps. The total time it was on is kept: the
 * time that a client waits for it is not counted as waiting for an upstream.
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
    bool up;              /* whether an upstream is up, as last told */
    uint64_t paused_ms;   /* since when, while paused */
    char paused_by[THROTTLE_BY_MAX];
    uint64_t ramp_ms;      /* since when, while ramping */
    uint64_t on_since_ms;  /* while it is on */
    uint64_t on_before_ms; /* the total of the times before */
};

/* Pauses the route. False: it was paused already, and `by` is not stored. */
bool throttle_pause(struct relay_route *route, const char *by, uint64_t now_ms);

/* Ends a pause; a ramp begins if the route has one. *lasted_ms: how long it was paused.
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

/* True: one client may go on now; during a ramp that takes a token. False: it has to wait. */
bool throttle_admits(struct relay_route *route, uint64_t now_ms);

/* Returns the token that throttle_admits() took, when no connect was started. */
void throttle_return_token(struct relay_route *route);

/* When the next client may go on: `now_ms` or later; UINT64_MAX: not before it is resumed. */
uint64_t throttle_next_ms(struct relay_route *route, uint64_t now_ms);

/* Ends a ramp that is over. */
void throttle_settle(struct relay_route *route, uint64_t now_ms);

/* The total time the throttle was on, until now. */
uint64_t throttle_on_ms(struct throttle *throttle, uint64_t now_ms);

struct throttle_info {
    bool paused;
    bool ramps;
    uint64_t paused_ms; /* for how long */
    char paused_by[THROTTLE_BY_MAX];
};
void throttle_get_info(struct throttle *throttle, uint64_t now_ms, struct throttle_info *out);

#endif
