/* connecting.h - how a pair gets its upstream: one try after the other, each with a deadline.
 *
 * Threads: workers, with the pair's lock held.
 */
#ifndef PAIRPORT_RELAY_CONNECTING_H
#define PAIRPORT_RELAY_CONNECTING_H

#include <stdbool.h>

#include "base/err.h"
#include "base/reason.h"

struct pair;
struct worker;

/* What became of a try. */
struct connect_step {
    enum {
        CONNECT_RUNS,   /* a CONNECT is in flight, or the pair waits for its next try */
        CONNECT_STANDS, /* the upstream is connected */
        CONNECT_FAILED  /* no further try: `reason` says why */
    } state;
    enum reason reason;
};

/* Picks the next target and begins the try, or waits a little when every upstream was tried. */
struct connect_step connecting_next(struct pair *pair, struct worker *worker);

/* The CONNECT came out. */
struct connect_step connecting_on_done(struct pair *pair, struct worker *worker);

/* Time has passed: cancels a try that is over its deadline, begins one that was waiting. */
struct connect_step connecting_look(struct pair *pair, struct worker *worker);

/* Logs the failure that one of the above left in worker->connect_failure; without the lock. */
void connecting_log(struct worker *worker);

#endif
