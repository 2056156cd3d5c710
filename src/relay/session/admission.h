/* admission.h - decides whether a client may have a session.
 *
 * One function asks all questions, in this order; the first "no" decides:
 *   1. drain     does the operator drain the route?             DRAINING
 *   2. guard     access list, bans, rates, the client's limits  see guard.h
 *   3. limits    is there a place in max_sessions?              LIMIT_ROUTE, LIMIT_SESSIONS
 *   4. throttle  may it go on at once, or must it wait?         a place in the queue
 * It is called when a client was accepted. A client that arrives through a trusted proxy has no
 * known address until its PROXY header has come: questions 2 and 4 wait for that, when the same
 * function is called again. What the guard would refuse in a dry run is counted and logged.
 *
 * Threads: workers; a pair's lock may be held.
 */
#ifndef PAIRPORT_RELAY_SESSION_ADMISSION_H
#define PAIRPORT_RELAY_SESSION_ADMISSION_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/reason.h"
#include "relay/guard/guard.h"

struct client;
struct relay_route;
struct worker;

enum admission_who {
    ADMISSION_STRANGER, /* its PROXY header is to come */
    ADMISSION_CLIENT,
    ADMISSION_PROXY /* a trusted proxy for itself: the guard has nothing to ask */
};

struct admission {
    enum admission_who who; /* set before */
    bool has_places;        /* of max_sessions; set when it was asked for before */
    enum reason reason;     /* NONE: it is admitted */
    bool must_wait; /* behind those that wait already, or until the throttle lets it go on */
    struct guard_answer guard; /* what it said; a refusal is for guard_apply() */
    struct client *client;     /* what the guard remembers of it; NULL: nothing */
};

/* True: the client is admitted, and has a place of the route's and of the relay's max_sessions.
 * False: `reason` says why not, and it has none that it had not before. */
bool admission_ask(struct admission *admission, struct worker *worker,
                   struct relay_route *route, const struct addr *client);

/* Gives back what an admitted client has; no session came of it. */
void admission_undo(struct admission *admission, struct worker *worker,
                    struct relay_route *route);

#endif
