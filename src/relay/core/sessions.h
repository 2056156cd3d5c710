/* sessions.h - counts or ends all open sessions that match a filter.
 *
 * The only place that walks over all sessions. A walk takes memory while it runs, and locks one
 * pair after the other.
 *
 * Threads: any, without a pair's or a listener's lock held.
 */
#ifndef PAIRPORT_RELAY_CORE_SESSIONS_H
#define PAIRPORT_RELAY_CORE_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr_net.h"
#include "base/err.h"
#include "base/reason.h"

struct relay;
struct relay_route;

/* A session matches when all that is set does; all zero: every session. */
struct session_filter {
    const struct relay_route *route; /* NULL: of any */
    bool at_upstream;                /* it has a place at `upstream` of `route` */
    size_t upstream;
    bool at_server; /* it is connected to `server` there, or was until its end began */
    size_t server;
    const struct addr_net *net; /* its client is there; NULL: anywhere */
    uint64_t older_ms;          /* it began so long ago, or longer */
    /* NULL, or it is true for the route and the client; called with the lock of the pair held. */
    bool (*wanted)(const struct relay_route *route, const struct addr *client);
};

/* Has all that match ended for this reason; *ended (may be NULL): how many, those that were ending
 * already not counted. ERR_NOMEM ends none. Returns before they are over. */
enum err sessions_end(struct relay *relay, const struct session_filter *filter,
                      enum reason reason, size_t *ended);

/* The same for the oldest `most` of them; *left: how many others match and are not ending. */
enum err sessions_end_oldest(struct relay *relay, const struct session_filter *filter,
                             size_t most, enum reason reason, size_t *ended, size_t *left);

/* How many match and are not ending. */
enum err sessions_count(struct relay *relay, const struct session_filter *filter,
                        size_t *count);

#endif
