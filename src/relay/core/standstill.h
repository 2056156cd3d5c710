/* standstill.h - a moment in which one thread has the whole relay to itself.
 *
 * What sessions never change (which routes there are, where they lead, what is configured) needs
 * no lock where it is read: it changes only at a standstill. Then every worker is parked between
 * two of its turns, so none is in the middle of anything, and no thread from outside looks. Both
 * go on when it ends. Nothing slow belongs in between, all sessions wait.
 *
 * The workers are parked one after the other: whoever gets the message parks at the end of its
 * turn and sends it on, so that the next one to get it is another one.
 *
 * Threads: standstill_begin() and standstill_end() from one outside thread at a time;
 * standstill_enter() and standstill_leave() from any outside thread, standstill_park() by
 * workers. Whoever enters may enter again, and may not begin a standstill before it has left.
 */
#ifndef PAIRPORT_RELAY_CORE_STANDSTILL_H
#define PAIRPORT_RELAY_CORE_STANDSTILL_H

#include <stdbool.h>
#include <stdint.h>

#include "os/os.h"
#include "port/op.h"

struct relay;
struct worker;

struct standstill {
    struct os_mutex lock; /* guards what follows, up to `message` */
    struct os_cond changed;
    unsigned visitors; /* outside threads that look at the relay */
    unsigned parked;   /* workers */
    bool closed;       /* visitors wait outside, workers where they are parked */
    uint64_t number;   /* of the standstills there were */
    struct op message; /* WAKE: the worker that gets it parks */
};

void standstill_init(struct relay *relay);

/* An outside thread looks at the relay; no more. */
void standstill_enter(struct relay *relay);
void standstill_leave(struct relay *relay);

/* Waits until there is one. False: the workers have not begun, or end already. */
bool standstill_begin(struct relay *relay);
void standstill_end(struct relay *relay);

/* The calling worker got the message and has ended its turn; returns after the standstill. */
void standstill_park(struct worker *worker);

#endif
