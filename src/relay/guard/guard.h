/* guard.h - decides whether a client may connect.
 *
 * It is asked once for each client: before the client gets a pair, or when its PROXY header has
 * told its address. The order is: the route's access list, the bans, connect_rate of the relay
 * and of the route, then the limits of the client. None of these allocates memory or takes a
 * contended lock. The access list and the two rates apply to everybody. Bans and the limits of
 * a client do not apply to the networks of guard_exempt.
 *
 * A route with `guard = dry_run` refuses nobody; what it would have done is counted and logged.
 * The limits of a client are still computed as if it were refused, so a client over its limit
 * is counted as refused, and not as having one more session.
 *
 * A client that was refused too often (ban_after) is banned by the relay itself, and its open
 * sessions end.
 *
 * Threads: as each function says.
 */
#ifndef PAIRPORT_RELAY_GUARD_GUARD_H
#define PAIRPORT_RELAY_GUARD_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/addr_net.h"
#include "base/err.h"
#include "base/log.h"
#include "base/reason.h"
#include "policy/acl.h"
#include "policy/bans.h"
#include "policy/bucket.h"
#include "policy/clients.h"
#include "relay/guard/ban_clock.h"
#include "relay/guard/tarpit.h"

struct ban_keeper;
struct conf;
struct conf_route;
struct relay;
struct relay_route;
struct worker;

struct guard {
    struct bans *bans;       /* owned */
    struct clients *clients; /* owned */
    struct bucket connects;  /* of [relay] connect_rate */
    struct tarpit tarpit;
    struct ban_keeper *keeper; /* owned; NULL before the start */
    _Atomic uint32_t numbers;  /* of routes that were given */
    struct ban_clock ban_clock;
    struct log_limit ban_log; /* bans by ban_after */
};

struct guard_route {
    uint32_t number;        /* in the clients' table; never 0, never used again */
    struct acl *acl;        /* owned; NULL: there are no rules. Changes with route->conf */
    struct bucket connects; /* of the route's connect_rate */
    _Atomic uint64_t would_refuse[REASON_COUNT]; /* by dry run */
    struct log_limit would_log;
};

/* With relay->conf and the timers set up; before the routes. ERR_NOMEM leaves nothing. */
enum err guard_open(struct relay *relay);
/* After the routes; needs: no pair is left, and no keeper. */
void guard_close(struct relay *relay);

/* For a route whose relay and conf are set; `route->guard` is zero. ERR_NOMEM leaves nothing. */
enum err guard_route_open(struct relay_route *route);
void guard_route_close(struct relay_route *route); /* zero is fine */

/* What a route takes over from a newer configuration beside what it reads there. Made before, which
 * may take its time; swapped with what the route has, while no worker is in the middle of a turn;
 * then given back, whatever it holds. */
struct guard_rules {
    struct acl *acl; /* owned */
};
enum err guard_rules_make(struct guard_rules *out,
                          const struct conf_route *conf); /* ERR_NOMEM */
/* route->conf is still the one before `conf`. */
void guard_rules_swap(struct relay_route *route, struct guard_rules *rules,
                      const struct conf_route *conf);
void guard_rules_free(struct guard_rules *rules); /* zero is fine; any number of times */

/* ---- by workers; a pair's lock may be held ---- */

struct guard_answer {
    enum reason reason; /* NONE: it may pass */
    bool dry;           /* it may pass all the same */
    bool ban;           /* it was refused so often that ban_after is for it */
};

/* Asks for a client. When it may pass *entry is what is remembered of it, for clients_leave(), or
 * NULL. What follows is for guard_apply(). */
struct guard_answer guard_ask(struct worker *worker, struct relay_route *route,
                              const struct addr *client, struct client **entry);

/* Counts and logs what a dry run would have done, and bans. */
void guard_apply(struct worker *worker, struct relay_route *route, const struct addr *client,
                 struct guard_answer answer);

static inline bool guard_refuses(struct guard_answer answer)
{
    return answer.reason != REASON_NONE && !answer.dry;
}

/* The relay stops. */
void guard_stop(struct worker *worker);

/* ---- by any thread ---- */

/* What makes one client: its address without port and zone, cut to client_prefix_*. */
struct addr_net guard_client_net(const struct conf *conf, const struct addr *client);

/* True when the client's limits and bans do not hold for it. */
bool guard_is_exempt(const struct conf_route *conf, const struct addr *client);

/* True when a ban of ban_after has the client, and its route enforces such. */
bool guard_has_banned(const struct relay_route *route, const struct addr *client);

#endif
