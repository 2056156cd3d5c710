/* quiesce.h - one thread gets the whole relay for itself for a moment.
 *
 * What sessions never change (which routes there are, where they lead, what is configured) needs
 * no lock where it is read, since it changes only while the relay is quiesced: every worker is
 * parked between two of its turns, so none is in the middle of anything, and no thread from
 * outside looks at the relay. All go on when it is over. All sessions wait meanwhile, so nothing
 * slow belongs in between.
 *
 * What the change needs is made before, once quiesce_keep_out() keeps those from outside out: they
 * wait a little longer, and the workers go on.
 *
 * The workers are parked one after the other: the worker that gets the message parks at the end
 * of its turn and posts it again, so that another one gets it.
 *
 * Threads: quiesce_keep_out(), quiesce_begin() and quiesce_end() from one outside thread at a time; quiesce_enter()
 * and quiesce_leave() from any outside thread, which may enter again, and may not begin before it
 * has left; quiesce_park() by workers.
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

/* An outside thread looks at the relay; no more. */
void quiesce_enter(struct relay *relay);
void quiesce_leave(struct relay *relay);

/* Waits until nobody from outside looks at the relay, and has them wait until quiesce_end(). */
void quiesce_keep_out(struct relay *relay);

/* Then: waits until every worker is parked. False: they have not begun, or end already, and none
 * is. Either way quiesce_end() is due, as it is after quiesce_keep_out() alone. */
bool quiesce_begin(struct relay *relay);
void quiesce_end(struct relay *relay);

/* The calling worker got the message and has ended its turn; returns when it is over. */
void quiesce_park(struct worker *worker);

#endif
