/* connecting.h - how a pair gets its upstream: attempts to connect, each with a deadline, and
 * waiting in the queue when no upstream can take it and the route holds its clients.
 *
 * Threads: workers, with the pair's lock held.
 */
#ifndef PAIRPORT_RELAY_SESSION_CONNECTING_H
#define PAIRPORT_RELAY_SESSION_CONNECTING_H

#include <stdbool.h>

#include "base/err.h"
#include "base/reason.h"

struct pair;
struct worker;

/* What became of a try. */
struct connect_step {
    enum {
        CONNECT_RUNS,   /* a CONNECT is in flight, or the pair waits for its next try */
        CONNECT_HELD,   /* the client waits for its turn */
        CONNECT_STANDS, /* the upstream is connected, and knows who comes */
        CONNECT_FAILED, /* no further try: `reason` says why */
        CONNECT_NEXT    /* another try follows; none of the functions below returns this */
    } state;
    enum reason reason;
};

/* The client was admitted: its first try, or a place in the queue. */
struct connect_step connecting_first(struct pair *pair, struct worker *worker, bool must_wait);

/* A held client has its turn. */
struct connect_step connecting_serve(struct pair *pair, struct worker *worker);

/* The CONNECT came out. */
struct connect_step connecting_on_done(struct pair *pair, struct worker *worker);

/* Time has passed: cancels a try that is over its deadline, begins one that was waiting. */
struct connect_step connecting_on_timer(struct pair *pair, struct worker *worker);

/* The pair is over, or its try: gives back what it has at the upstream. */
void connecting_end(struct pair *pair);

#endif
