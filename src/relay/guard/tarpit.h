/* tarpit.h - refused clients that are kept waiting for an answer that never comes.
 *
 * A client in the tarpit costs its socket and one place of a table of fixed size. Nothing is
 * received from it, sent to it or in flight, and it has no pair and no buffer. When its time is
 * over it is reset. When all places are taken, further clients are reset at once. A stop resets
 * all; clients in the tarpit hold no reference and do not keep the workers running.
 *
 * Threads: any, but tarpit_open() and tarpit_close(). Under the lock inside only the timers'
 * lock is taken.
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

/* Takes over the socket and keeps it until `due_ms`. False: there is no place. */
bool tarpit_take(struct tarpit *tarpit, sock_t sock, uint64_t due_ms);

/* Resets all clients. Further ones find no place. */
void tarpit_stop(struct tarpit *tarpit);

#endif
