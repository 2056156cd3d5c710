/* queue.h - the clients of a route that wait until the throttle lets them go on (throttle.h)
 * and an upstream takes them.
 *
 * A client in the queue is accepted, and a READ waits for its end. The first bytes that it
 * sends are kept for the upstream; the others wait in its socket. When a place comes free,
 * clients get their turn in the order in which they were accepted. A client whose turn fails
 * goes back to its place.
 *
 * A client that sends FIN before any byte ends at once. One that has sent bytes before its FIN
 * has left too, but the bytes may matter: it gets its turn after all clients that are still
 * there. When the queue, or the client's own share of it, is full, a new client takes the place
 * of one that has left.
 *
 * After a failed connect the whole queue backs off for a second. Then one client tries, and
 * another one each second, until a connect succeeds; then the others follow. So a server that
 * restarts does not get all connects at once.
 *
 * Threads: any. Pairs are locked before the lock inside, never after it; under it only the
 * timers are locked.
 */
#ifndef PAIRPORT_RELAY_QUEUE_QUEUE_H
#define PAIRPORT_RELAY_QUEUE_QUEUE_H

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

struct queue {
    struct os_mutex lock; /* guards what follows, up to `backs_off` */
    struct list pairs; /* by pair->wait.in_queue, in the order of their ids; each referenced */
    struct list left;  /* the same, for those whose client has left */
    _Atomic uint32_t left_count; /* of these; written with the lock held */
    bool gives_turns;            /* a worker gives turns */
    bool turns_again;            /* another worker wanted to meanwhile */
    uint64_t next_turn_ms;       /* not before then */
    bool tries_one;              /* one client tries, and the others wait for its result */
    _Atomic bool backs_off;      /* a connect has failed, and none has succeeded since; written
                                    with the lock held */
    struct quota quota;          /* how many wait; its limit is not used */
    _Atomic uint64_t total;      /* clients that ever came here */
};

void queue_init(struct queue *queue);

/* How many wait right now. */
static inline uint32_t queue_count(const struct queue *queue)
{
    return atomic_load_explicit(&queue->quota.used, memory_order_relaxed);
}

/* The pair waits from here on, or still. With its lock held. Else there is no place for it, and
 * the result says why: QUEUE_FULL, QUEUE_FULL_CLIENT, which do not matter to one that has waited
 * before, or QUEUE_DISPLACED. */
enum reason queue_add(struct queue *queue, struct pair *pair);

/* The client of a pair has left while it waited: in the queue it is behind all others from here
 * on, and may be displaced. With its lock held. */
void queue_leave(struct queue *queue, struct pair *pair);

/* Takes the pair out of the queue, if it is there. With the lock of the pair held. */
void queue_remove(struct queue *queue, struct pair *pair);

/* A client's connects have failed, and it will wait: the queue backs off. */
void queue_backoff(struct relay_route *route, uint64_t now_ms);

/* A client of the route is connected: a queue that backed off goes on. Any locks but the
 * timers'. */
void queue_connected(struct relay_route *route, uint64_t now_ms);

/* ---- turns; by one worker at a time, without locks: see pending.c ---- */

/* False: another worker gives turns, and will check again. */
bool queue_begin_turns(struct queue *queue);
/* False: it has to be done once more. */
bool queue_end_turns(struct queue *queue);

/* The client whose turn it is, with a reference for the caller; one of the throttle's places is taken
 * for it. It stays in the queue. NULL: nobody's, or not yet. While the route is drained all have
 * a turn: to be told so. */
struct pair *queue_next(struct relay_route *route, uint64_t now_ms);

/* No upstream took the client: the next turn is for whenever there is a place. */
void queue_take_back_turn(struct relay_route *route);

/* When somebody may have a turn for no other reason than that time has passed; UINT64_MAX:
 * nobody waits for that. */
uint64_t queue_next_ms(struct relay_route *route, uint64_t now_ms);

#endif
