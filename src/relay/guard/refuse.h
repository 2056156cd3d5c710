/* refuse.h - how a client is refused: reset, closed or kept in the tarpit; counted and logged.
 *
 * A client over a limit of sessions, or one for which the machine lacks something, is reset at
 * once. A client that the guard refuses gets what the route's `refuse` says: a reset, a FIN, or
 * the tarpit. A client that came with a PROXY header shares its connection with a proxy, which
 * must not be kept waiting; there the tarpit is a reset.
 *
 * Threads: workers; a pair's lock may be held.
 */
#ifndef PAIRPORT_RELAY_GUARD_REFUSE_H
#define PAIRPORT_RELAY_GUARD_REFUSE_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/reason.h"
#include "os/sock.h"
#include "relay/guard/guard.h"

struct conf_route;
struct relay_route;
struct worker;

/* Resets the client and counts it. ERR_NOMEM where that was the reason: the machine is exhausted;
 * else ERR_OK. */
enum err refuse_at_once(struct worker *worker, struct relay_route *route, sock_t sock,
                        const struct addr *client, enum reason reason);

/* Turns a client of which the guard thinks so away, and counts it. */
void refuse_by_guard(struct worker *worker, struct relay_route *route, sock_t sock,
                     const struct addr *client, struct guard_answer answer);

/* True where a client whose header has come gets a FIN for this reason. */
bool refuse_is_fin(const struct conf_route *conf, enum reason reason);

/* One line of the log, limited, whatever it costs to make one left out when it is. `why` (may be
 * NULL) says more. */
void refuse_log(struct worker *worker, struct relay_route *route, const struct addr *client,
                enum reason reason, const char *why);

#endif
