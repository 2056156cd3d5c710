/* tarpit.h - refused clients that are kept waiting for an answer that never comes.
 *
 * A client in the tarpit costs its socket and one place of a table that is made once: nothing is
 * received from it, sent to it or in flight, and no pair and no buffer is taken. When its time is
 * over it is reset. When all places are taken nobody else comes in. At a stop all are reset at
 * once; they have no reference to the workers and do not keep them.
 *
 * Threads: any, but tarpit_open() and tarpit_close(). The lock inside is a leaf but for that of
 * the timers.
 */
#ifndef PAIRPORT_RELAY_GUARD_TARPIT_H
#define PAIRPORT_RELAY_GUARD_TARPIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "os/os.h"
#include "os/sock.h"
#include "policy/expiry.h"
#include "relay/core/timers.h"

struct tarpit_place {
    sock_t sock;       /* owned; known to no port */
    struct expiry due; /* when it is reset, by the monotonic clock */
};

struct tarpit {
    struct os_mutex lock;        /* guards `places`, `due`, `closed` and changes of `held` */
    struct timers *timers;       /* not owned */
    struct timer timer;          /* armed for the earliest place */
    struct tarpit_place *places; /* owned, `max` of them */
    struct expiry_heap due;      /* owns its entries: those in use; behind them the free ones */
    uint32_t max;
    bool closed;
    _Atomic uint32_t held;       /* due.count, for readers without the lock */
    _Atomic uint64_t total;      /* clients that ever came in */
    _Atomic uint64_t full_total; /* clients for whom there was no place */
};

/* For at most `max` clients; 0: none. ERR_NOMEM leaves nothing. */
enum err tarpit_open(struct tarpit *tarpit, struct timers *timers, uint32_t max);
void tarpit_close(struct tarpit *tarpit);

/* Keeps the socket, which is its own then, until `due_ms`. False: there is no place. */
bool tarpit_take(struct tarpit *tarpit, sock_t sock, uint64_t due_ms);

/* Resets all, and takes no more. */
void tarpit_stop(struct tarpit *tarpit);

#endif
