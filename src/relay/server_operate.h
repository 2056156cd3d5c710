/* server_operate.h - what an operator does with upstreams, routes, sessions and clients. Each is
 * logged.
 *
 * Threads: any, between server_start() and server_free().
 */
#ifndef PAIRPORT_RELAY_SERVER_OPERATE_H
#define PAIRPORT_RELAY_SERVER_OPERATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr_net.h"
#include "base/err.h"
#include "config/conf.h"
#include "relay/server_info.h"
#include "route/route.h"

struct server;

/* ---- upstreams ---- */

/* The operator's hand on an upstream; see route.h. False: nothing changed. */
bool server_set_admin(struct server *server, size_t route, size_t upstream,
                      enum route_admin admin);
bool server_set_weight(struct server *server, size_t route, size_t upstream, uint32_t weight);
bool server_set_max_sessions(struct server *server, size_t route, size_t upstream,
                             uint32_t max_sessions); /* 0: no limit */

/* Has the name of an upstream resolved as soon as possible, without waiting for it; ERR_INVALID:
 * it is an address. */
enum err server_resolve(struct server *server, size_t route, size_t upstream);

/* ---- bans ---- */

struct server_ban_result {
    bool replaced;                    /* it stands in the place of one of the same network */
    enum err end_err;                 /* not ERR_OK: sessions could not be looked at */
    size_t ended;                     /* sessions */
    size_t exempt_routes;             /* whose guard_exempt has clients of the network */
    struct addr_net exempt;           /* the first of these networks, */
    char exempt_route[CONF_NAME_MAX]; /* and of which route it is */
    size_t dry_routes;                /* that let banned clients in, since they only count */
};

/* Bans a network for `for_ms` (0: for ever) from now on; `reason` may be "". Unless `keep` says
 * otherwise, sessions of its clients end, those of exempt ones aside. Logged. ERR_RANGE: there are
 * too many bans; ERR_NOMEM. Both change nothing. */
enum err server_ban(struct server *server, const struct addr_net *net, uint64_t for_ms,
                    const char *reason, bool keep, struct server_ban_result *out);

/* Ends the ban of exactly this network; false: there is none. Logged. */
bool server_unban(struct server *server, const struct addr_net *net);

/* ---- routes and sessions; `by` says who did it ---- */

/* What becomes of the sessions that a drained route, upstream or relay has. */
struct server_drain_plan {
    uint64_t over_ms; /* they are ended evenly over this time; 0: they may go on */
    bool kill;        /* those that are left after that time are ended, with 0 at once */
};

/* New clients of the route are accepted and wait, at most queue_max of them and each for
 * pause_timeout, until it is resumed; its sessions go on or, if it is frozen, are not read from.
 * A route that is paused already may still be frozen. False: nothing changed. */
bool server_pause(struct server *server, size_t route, bool frozen, const char *by);

/* Ends a pause and a drain of the route. *out: how it was before. */
struct server_resumed {
    bool was_paused;
    bool was_drained;
    uint64_t paused_ms;
    uint32_t waiting; /* clients that get their turn now */
};
void server_resume(struct server *server, size_t route, const char *by,
                   struct server_resumed *out);

/* No new sessions: a route turns new clients away and ends those that wait; an upstream's go to
 * others. Until server_resume(); until server_set_admin() with ROUTE_READY. Again: with another
 * plan. ERR_NOMEM: it is done, but how many are left is not known. */
enum err server_drain_route(struct server *server, size_t route,
                            const struct server_drain_plan *plan, const char *by,
                            struct server_drain_info *out);
enum err server_drain_upstream(struct server *server, size_t route, size_t upstream,
                               const struct server_drain_plan *plan, const char *by,
                               struct server_drain_info *out);

/* Ends a session (both sides see a reset); ERR_NOT_FOUND when it is not open. */
enum err server_kill(struct server *server, uint64_t id);

/* Which sessions; all of what is set has to fit. */
struct server_filter {
    size_t route;               /* SIZE_MAX: of any */
    size_t upstream;            /* of the route; SIZE_MAX: at any */
    const struct addr_net *net; /* of the client; NULL: from anywhere */
    uint64_t older_ms;          /* began so long ago; 0: whenever */
};
/* Ends all that fit, as server_kill() does; *killed: how many. ERR_NOMEM ends none. */
enum err server_kill_matching(struct server *server, const struct server_filter *filter,
                              size_t *killed);

#endif
