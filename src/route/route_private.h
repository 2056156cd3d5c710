/* route_private.h - what the files of route/ share; nobody else includes it.
 *
 * Whatever happens to a server or an upstream is done in three steps: the fields it concerns
 * are set, state_update_server() or state_update_upstream() derives the state from them and
 * tells a change, and at the end ready_refresh() collects the servers that sessions may go to,
 * so that a pick looks at nothing else.
 */
#ifndef PAIRPORT_ROUTE_ROUTE_PRIVATE_H
#define PAIRPORT_ROUTE_ROUTE_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "route/health.h"
#include "route/route.h"

struct upstream;

/* A failure that counts for an ejection. */
struct failure {
    uint64_t ms;
    struct addr client;
};

/* One address of an upstream. */
struct route_server {
    /* what picks look at */
    struct upstream *upstream; /* not owned */
    uint64_t hash;             /* of its address and its upstream's name */
    int64_t turn_lag;          /* private to balance.c */
    uint32_t share;            /* hundredths of a unit of weight; 1 or more while ready */
    uint32_t sessions;
    uint32_t number; /* no two servers of the route have the same one, up to ROUTE_TRIED_MAX */
    bool ready;      /* is in route->ready */

    bool ramps; /* its slow start is not over */
    uint64_t ramp_from_ms;

    enum route_state state; /* UP, DOWN, EJECTED or GONE */
    uint64_t since_ms;
    size_t slot;         /* its place in upstream->servers */
    uint32_t generation; /* no check of an earlier one may speak for it */
    struct addr addr;
    bool gone;   /* no longer an address of the name; is freed with its last session */
    bool wanted; /* private to servers.c */
    struct health health;

    uint64_t tried_ms; /* these four as in struct route_server_info */
    uint64_t connect_failed_ms;
    uint32_t connect_failures;
    enum err connect_err;

    uint64_t ejected_until_ms; /* 0: is not */
    uint64_t failure_count;    /* since the last ejection */
    struct failure failures[]; /* the latest conf->eject.count, a ring */
};

struct upstream {
    const struct conf_upstream *conf; /* not owned */
    uint32_t sessions;                /* of all servers, gone ones included */
    uint32_t max_sessions;            /* 0: no limit */
    uint32_t sessions_peak;
    uint32_t weight;
    enum route_admin admin;
    bool unresolvable; /* its name had no address yet when it was asked for */

    enum route_state state; /* never FULL, which comes and goes with the sessions */
    uint64_t since_ms;
    uint64_t full_since_ms;

    struct route_server **servers; /* owned, as its servers; a slot may be NULL */
    size_t slot_count;
};

struct route {
    const struct conf_route *conf; /* not owned */
    struct upstream *upstreams;    /* owned */
    size_t upstream_count;
    size_t *order;   /* owned: the indices of the upstreams in file order */
    uint64_t now_ms; /* the latest time that a caller has told */
    uint64_t random; /* state of mix_next() */
    uint32_t last_generation;
    size_t check_next; /* the upstream that is asked first for a check */

    /* The servers that new sessions may go to, if there is a place, in file order. */
    struct route_server **ready; /* owned */
    size_t ready_count;
    size_t ready_size;            /* room in `ready`, `choice` and `shown`: for all servers */
    struct route_server **choice; /* owned; room for a pick to work in */
    struct route_server_info *shown; /* owned; of the upstream that was looked at last */
    struct route_server *
        *spares; /* owned: zeroed memory for servers, servers_size(conf) each */
    size_t spare_count;
    size_t up_count; /* servers that are up and open, backups included */

    struct route_change *changes; /* owned, a ring */
    size_t changes_size, changes_first, changes_count;
    uint64_t changes_dropped; /* since one was taken */
};

/* ---- route.c ---- */

/* Takes the time of a caller; route->now_ms never goes back. */
void route_see_time(struct route *route, uint64_t now_ms);

/* The server of a target or a check; NULL when its slot is free. */
struct route_server *route_server_at(const struct route *route, size_t upstream, size_t server);

static inline size_t route_index(const struct route *route, const struct upstream *upstream)
{
    return (size_t)(upstream - route->upstreams);
}

/* Calls for each server of an upstream that is not gone. */
#define FOR_EACH_SERVER(server, upstream)                                                      \
    for (size_t slot_ = 0; slot_ < (upstream)->slot_count; slot_++)                            \
        for (struct route_server *server = (upstream)->servers[slot_];                         \
             server != NULL && !server->gone; server = NULL)

static inline bool upstream_is_full(const struct upstream *upstream)
{
    return upstream->max_sessions != 0 && upstream->sessions >= upstream->max_sessions;
}

/* It may be given sessions, as far as the operator is concerned. */
static inline bool upstream_is_open(const struct upstream *upstream)
{
    return upstream->admin == ROUTE_READY && upstream->weight != 0 && !upstream->conf->removed;
}

/* An upstream as its line has it, without servers. */
struct upstream upstream_as_configured(const struct conf_upstream *conf, uint64_t now_ms);

/* Writes the indices of the upstreams into `order`, which has room for them, in file order. */
void route_put_in_order(const struct conf_route *conf, size_t order[]);

/* ---- servers.c ---- */

/* Of all upstreams, those that are gone and still have sessions included. */
size_t servers_count(const struct route *route);

/* The bytes of a server of a route with this configuration. */
size_t servers_size(const struct conf_route *conf);

/* Frees an array of them; NULL is fine. */
void servers_free_spares(struct route_server **spares, size_t count);

/* ---- admin.c ---- */

/* The servers begin as new ones do: nobody has looked at them for a while. */
void admin_begin_again(struct route *route, struct upstream *upstream, const char *cause);

/* ---- state.c ---- */

/* Derives the state of a server, and with it its upstream's. A change is told with `cause`. A
 * server that comes back begins its slow start. */
void state_update_server(struct route *route, struct route_server *server, const char *cause);

/* Derives the state of an upstream; without a `cause` (NULL) a change is not told. */
void state_update_upstream(struct route *route, struct upstream *upstream, const char *cause);

/* The server has been away: from now on it gets its share bit by bit, if so configured. */
void state_begin_ramp(const struct route *route, struct route_server *server);

/* Ends an ejection. False: there was none. */
bool state_lift_ejection(struct route *route, struct route_server *server, const char *cause);

/* Forgets the check that runs, if any: its result comes for an earlier generation. */
void state_forget_check(struct route *route, struct route_server *server);

/* The health of a server that is new, or new again after a time without checks. */
void state_begin_health(struct route *route, struct route_server *server);

/* ---- ready.c ---- */

/* Collects route->ready anew. When there would be none, or where more servers are ejected than
 * may be, ejections end. */
void ready_refresh(struct route *route);

/* True when eject_max allows one more server to be ejected, and another one is up. */
bool ready_may_eject(const struct route *route);

/* How much of its weight counts, 1..100. */
uint32_t ready_percent(const struct route *route, const struct route_server *server);

/* ---- changes.c ---- */

struct change {
    const struct upstream *upstream;
    const struct route_server *server; /* NULL: of the upstream */
    bool up_before, up;
    enum route_state from, to;
    uint64_t lasted_ms;
};
const char *state_word(enum route_state state);
void changes_add(struct route *route, const struct change *change, const char *cause);

/* Those of an upstream whose slot another one gets are not told any more. */
void changes_forget(struct route *route, size_t upstream);

/* ---- balance.c ---- */

/* The server that route->conf->balance takes out of route->choice[0..count-1], which are in file
 * order; count >= 1. Reorders them. */
struct route_server *balance_choose(struct route *route, size_t count,
                                    const struct addr *client);

#endif
