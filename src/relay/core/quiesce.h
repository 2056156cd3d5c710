/* quiesce.h - stops all workers for a moment, so that one thread may change anything.
 *
 * Sessions read the routes and their configuration without a lock. These change only while the
 * relay is quiesced: every worker is parked between two of its turns, and no outside thread
 * reads the relay. When it is over, all go on. All sessions wait meanwhile, so nothing slow may
 * happen in between.
 *
 * The workers are parked one after the other: a worker that gets the message parks at the end
 * of its turn and posts the message again for the next worker.
 *
 * Threads: quiesce_begin() and quiesce_end() from one outside thread at a time. quiesce_enter()
 * and quiesce_leave() from any outside thread; it may enter again, and must leave before it
 * begins. quiesce_park() by workers.
 */
#ifndef PAIRPORT_RELAY_CORE_QUIESCE_H
#define PAIRPORT_RELAY_CORE_QUIESCE_H

#include <stdbool.h>
#include <stdint.h>

#include "os/os.h"
#include "port/op.h"

struct relay;
struct worker;

struct quiesce {
    struct os_mutex lock; /* guards what follows, up to `message` */
    struct os_cond changed;
    unsigned visitors; /* outside threads that look at the relay */
    unsigned parked;   /* workers */
    bool closed;       /* visitors wait outside */
    bool parks;        /* workers wait where they are parked */
    uint64_t number;   /* how often there was one */
    struct op message; /* WAKE: the worker that gets it parks */
};

void quiesce_init(struct relay *relay);

/* An outside thread begins and ends to read the relay. */
void quiesce_enter(struct relay *relay);
void quiesce_leave(struct relay *relay);

/* Waits until no outside thread reads the relay, and makes them wait until quiesce_end(). */
void quiesce_keep_out(struct relay *relay);

/* Then: waits until every worker is parked. False: they have not begun, or end already, and none
 * is. Either way quiesce_end() is due, as it is after quiesce_keep_out() alone. */
bool quiesce_begin(struct relay *relay);
void quiesce_end(struct relay *relay);

/* The calling worker got the message and has ended its turn; returns when it is over. */
void quiesce_park(struct worker *worker);

#endif
