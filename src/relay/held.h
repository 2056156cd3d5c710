/* held.h - the clients of a route that wait until an upstream can take them, and the gate lets them
 * on (gate.h).
 *
 * A held client is accepted, and nothing is read from it: what it sends waits in its socket. The
 * clients get their turn in the order in which they came, when a place comes free; a new one
 * goes behind those that wait, and one whose turn came to nothing goes back to where it was. One
 * worker at a time gives turns. After a connect that failed for one of them the whole queue
 * rests for a second, then one client goes first, another each second, until one of them stands:
 * the others follow him then, so that a server that restarts is not stormed.
 *
 * Threads: any. The lock inside is a leaf; pairs are locked before it, never after it.
 */
#ifndef PAIRPORT_RELAY_HELD_H
#define PAIRPORT_RELAY_HELD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "os/os.h"
#include "policy/quota.h"
#include "relay/timers.h"

struct pair;
struct relay_route;
struct worker;

struct held {
    struct os_mutex lock;   /* guards what follows, up to `cautious` */
    struct list pairs;      /* by pair->in_held, in the order of their ids; each has a hold */
    bool serving;           /* a worker gives turns */
    bool serve_again;       /* somebody else was to do so meanwhile */
    uint64_t serve_at_ms;   /* not before then */
    bool scouting;          /* one went first, and the others wait for what becomes of him */
    _Atomic bool cautious;  /* a connect has failed, and none has stood since; written with the
                               lock held */
    struct quota quota;     /* how many wait; its limit is not used */
    _Atomic uint64_t total; /* clients that ever came here */
};

void held_init(struct held *held);

/* How many wait right now. */
static inline uint32_t held_count(const struct held *held)
{
    return atomic_load_explicit(&held->quota.used, memory_order_relaxed);
}

/* The pair waits from here on, or still. With its lock held. False: queue_max wait already, which
 * does not matter to one that has waited before. */
bool held_add(struct held *held, struct pair *pair);

/* The pair waits no more; one that is not there is fine. With its lock held. */
void held_remove(struct held *held, struct pair *pair);

/* A client's connects have failed, and it will wait: the queue rests. */
void held_rest(struct relay_route *route, uint64_t now_ms);

/* A client of the route is connected: the others may follow. Any locks but the timers'. */
void held_connected(struct relay_route *route, uint64_t now_ms);

/* Gives clients their turn as long as upstreams take them. By a worker without locks. Gives when
 * a rest is over that they wait for; UINT64_MAX: none. */
uint64_t held_serve(struct relay_route *route, struct worker *worker);

#endif
