/* held.h - the clients of a route that wait until an upstream can take them, and the gate lets them
 * on (gate.h).
 *
 * A held client is accepted, and its end is listened for: the first bytes that it sends are kept
 * for the upstream, the others wait in its socket. The clients get their turn in the order in
 * which they came, when a place comes free; a new one goes behind those that wait, and one whose
 * turn came to nothing goes back to where it was.
 *
 * A client that finishes without having sent anything has left, and ends at once. One that has
 * sent bytes before has left as well, but the bytes may matter: it has its turn after all those
 * that still live, and when the queue, or the client's own share of it, is full, a new one gets
 * its place.
 * After a connect that failed for one of them the whole queue
 * rests for a second, then one client goes first, another each second, until one of them stands:
 * the others follow him then, so that a server that restarts is not stormed.
 *
 * Threads: any. The lock inside is a leaf; pairs are locked before it, never after it.
 */
#ifndef PAIRPORT_RELAY_QUEUE_HELD_H
#define PAIRPORT_RELAY_QUEUE_HELD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/reason.h"
#include "os/os.h"
#include "policy/quota.h"
#include "relay/core/timers.h"

struct pair;
struct relay_route;
struct worker;

struct held {
    struct os_mutex lock; /* guards what follows, up to `cautious` */
    struct list pairs;    /* by pair->in_held, in the order of their ids; each has a hold */
    struct list left;     /* the same, for those whose client has left */
    _Atomic uint32_t left_count; /* of these; written with the lock held */
    bool serving;                /* a worker gives turns */
    bool serve_again;            /* somebody else was to do so meanwhile */
    uint64_t serve_at_ms;        /* not before then */
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

/* The pair waits from here on, or still. With its lock held. Else there is no place for it, and
 * the result says why: QUEUE_FULL, QUEUE_FULL_CLIENT, which do not matter to one that has waited
 * before, or QUEUE_DISPLACED. */
enum reason held_add(struct held *held, struct pair *pair);

/* The client of a pair has left while it waited: in the queue it is behind all others from here
 * on, and may be displaced. With its lock held. */
void held_leave(struct held *held, struct pair *pair);

/* The pair waits no more; one that is not there is fine. With its lock held. */
void held_remove(struct held *held, struct pair *pair);

/* A client's connects have failed, and it will wait: the queue rests. */
void held_rest(struct relay_route *route, uint64_t now_ms);

/* A client of the route is connected: the others may follow. Any locks but the timers'. */
void held_connected(struct relay_route *route, uint64_t now_ms);

/* ---- turns; by one worker at a time, without locks: see pending.c ---- */

/* False: another worker gives turns, and will look again. */
bool held_begin_turns(struct held *held);
/* False: it has to be done once more. */
bool held_end_turns(struct held *held);

/* The client whose turn it is, with a hold for the caller; one of the gate's places is taken for
 * it. It stays in the queue. NULL: nobody's, or not yet. While the route is drained all have a
 * turn: to be told so. */
struct pair *held_next(struct relay_route *route, uint64_t now_ms);

/* No upstream took the client: the next turn is for whenever there is a place. */
void held_take_back_turn(struct relay_route *route);

/* When somebody may have a turn for no other reason than that time has passed; UINT64_MAX:
 * nobody waits for that. */
uint64_t held_next_ms(struct relay_route *route, uint64_t now_ms);

#endif
