/* route.h - where does a session go? Pure logic: no sockets, no clock, no threads, no locks.
 *
 * A route has upstreams, one for each `upstream` line. Each has servers, one for
 * each address that its name resolves to. Weight, limit, the operator's state and `backup` are
 * the upstream's; sessions, health and ejection are kept for each server, and its addresses may
 * come and go while it runs.
 *
 * A server takes new sessions when its upstream is enabled, has weight and a place free, when
 * the last health checks passed (or none is configured), and when it is not ejected. Backup
 * upstreams are used only while no other upstream has a server that is up, enabled and has
 * weight; full ones count as up.
 *
 * Ejection counts only what no client can bring about: failed connects, and resets before
 * anything of the client was passed on; and of each client at most one failure within the time.
 * It never takes the last server that could be used, nor more than `eject_max` of the servers at
 * a time. It ends early when a health check passes, and when the other servers have gone.
 *
 * A server that comes back, from DOWN or EJECTED or with its upstream from DISABLED, gets its
 * share bit by bit over `slow_start`; at the start and as a new address it gets all at once.
 *
 * A further try of the same session goes to a server it has not tried, as long as there is one.
 *
 * Threads: the owner of a route locks it around every call. All calls are short: the longest look
 * once at every server. Times are monotonic milliseconds. They may run a little ahead or behind
 * between callers; the latest one counts.
 */
#ifndef PAIRPORT_ROUTE_ROUTE_H
#define PAIRPORT_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/conf.h"
#include "route/health.h"

#define ROUTE_SERVERS_MAX 256 /* addresses used of one upstream at a time */

/* The states of servers and upstreams. name, word */
#define ROUTE_STATE_TABLE(X)                                                                   \
    X(ROUTE_INIT, "INIT")                    /* upstream: its name is being resolved */        \
    X(ROUTE_UNRESOLVED, "DOWN (resolution)") /* upstream: its name never resolved */           \
    X(ROUTE_UP, "UP")                        /* an upstream: one of its servers is */          \
    X(ROUTE_DOWN, "DOWN")                    /* an upstream: all of its servers are */         \
    X(ROUTE_EJECTED, "EJECTED")              /* an upstream: none is up and one is ejected */  \
    X(ROUTE_DRAINING, "DRAIN")               /* upstream: by the operator, or of weight 0 */   \
    X(ROUTE_MAINT, "DISABLED")               /* upstream: by the operator or the file */       \
    X(ROUTE_FULL, "FULL")                    /* upstream: up, with max_sessions of them */     \
    X(ROUTE_NEW, "NEW")                      /* server: what an address comes from, */         \
    X(ROUTE_GONE, "GONE")                    /* and where it goes */

enum route_state {
#define X(name, word) name,
    ROUTE_STATE_TABLE(X)
#undef X
};

struct route; /* opaque */

/* A route without addresses yet. `seed` feeds the random choices and the jitter. `conf` must
 * outlive it. ERR_NOMEM leaves nothing. */
enum err route_open(struct route **out, const struct conf_route *conf, uint64_t seed,
                    uint64_t now_ms);
void route_close(struct route *route); /* NULL is fine; no place is taken any more */

/* ---- another configuration ---- */

/* A route goes on with the upstreams of another configuration in two steps, so that several
 * routes can change together or not at all: what needs memory is prepared, then carried out.
 *
 * The upstreams of `conf` stand in the slots of the old configuration (see config/slots.h). One
 * of the same name keeps its servers, their states and sessions, and whatever the operator has
 * set, unless the file's own value of that key is another one now. One that is marked as removed
 * takes no new sessions and is not checked; what it has goes on. Others begin as at the start,
 * without addresses. */
struct route_plan; /* opaque */

/* ERR_NOMEM leaves nothing. Between this and the end of the plan no server comes. */
enum err route_prepare(struct route_plan **out, const struct route *route,
                       const struct conf_route *conf);
/* Memory for the first addresses that upstreams get when the plan is carried out: so many for each
 * of `conf`. route_set_addrs() then can't fail for these. Once a plan, likewise. */
enum err route_plan_addrs(struct route_plan *plan, const struct route *route,
                          const size_t counts[]);
/* Carries the plan out and frees it. `conf` must outlive the route, or its next plan. */
void route_reconfigure(struct route *route, struct route_plan *plan, uint64_t now_ms);
void route_plan_free(struct route_plan *plan); /* NULL is fine */

/* Nothing is left of an upstream that was removed: its slot may be given to another one. */
bool route_slot_is_free(const struct route *route, size_t upstream);

/* ---- addresses ---- */

/* The name of an upstream resolved to these, at least one; their ports do not count, the
 * upstream's first one does. When there are more than ROUTE_SERVERS_MAX, those that are in use
 * stay, then the first new ones are taken. Servers that stay keep their state and sessions; new
 * ones start as up with a check due at once; those that are gone take no new sessions, and what
 * they have goes on. *changed (may be NULL): the addresses did. ERR_NOMEM leaves everything as
 * it was. */
enum err route_set_addrs(struct route *route, size_t upstream, const struct addr *addrs,
                         size_t count, uint64_t now_ms, bool *changed);

/* The addresses in use, with the upstream's first port. Gives their number. */
size_t route_get_addrs(const struct route *route, size_t upstream,
                       struct addr out[ROUTE_SERVERS_MAX]);

/* It did not resolve: the last good answer stays, and without one it is DOWN (resolution). */
void route_set_unresolved(struct route *route, size_t upstream, uint64_t now_ms);

/* ---- sessions ---- */

/* What a session has tried; zero-initialised before the first pick. Of more servers than it
 * tells apart, two count as one here. */
#define ROUTE_TRIED_MAX 128
struct route_tried {
    uint64_t bits[ROUTE_TRIED_MAX / 64];
};
struct route_cursor {
    uint32_t tries;           /* picks so far */
    struct route_tried ever;  /* both private to route/ */
    struct route_tried round; /* since it has last been at every server it could */
};

struct route_target {
    size_t upstream;  /* index in the route */
    size_t server;    /* of the upstream, for the calls below; a gone server keeps it, too,
                         until its last place is given back */
    struct addr addr; /* with the upstream's first port */
    bool came_round;  /* the session has tried this very server before: wait a little */
    bool fails;       /* the last connect there failed: tell route_note_connect() if this one
                         does not */
};

enum route_outcome {
    ROUTE_PICKED,
    ROUTE_ALL_FULL, /* servers are up, but each is at its upstream's max_sessions */
    ROUTE_ALL_DOWN  /* none is up, enabled and has weight */
};

/* Picks the server of the session's next try and takes a place there; the place is given back
 * with route_give() exactly once, when the try has failed or the session is over. `client` is
 * needed for source_hash (its port does not count), else it may be NULL. *out and *cursor are
 * written when PICKED. Allocates nothing. */
enum route_outcome route_pick(struct route *route, struct route_cursor *cursor,
                              const struct addr *client, uint64_t now_ms,
                              struct route_target *out);
void route_give(struct route *route, size_t upstream, size_t server);

/* Passive health: a connect failed, or the server reset a session before anything of its client
 * was passed on. By whoever holds a place there. `client` is compared whole: mask it to what
 * makes one client, without port and zone. Ejects when `eject` and `eject_max` say so. */
void route_note_failure(struct route *route, size_t upstream, size_t server,
                        const struct addr *client, uint64_t now_ms);

/* What became of a connect, for those who look: ERR_OK, which only needs to be told where
 * target.fails said so, or why it failed. By whoever holds a place there. */
void route_note_connect(struct route *route, size_t upstream, size_t server, enum err err,
                        uint64_t now_ms);

/* ---- health checks ---- */

struct route_check {
    size_t upstream, server;
    uint32_t generation; /* of the server's slot; given back with the result */
    struct addr addr;    /* with the port to check */
};

/* Takes a check that is due; false: none is, and *next_ms is when to ask again (UINT64_MAX:
 * none will be), or earlier when a result came, addresses changed or an operator enabled
 * something. A check that was taken is not due again before its result came. Ask until it says
 * false; the upstreams take turns. */
bool route_take_check(struct route *route, uint64_t now_ms, struct route_check *out,
                      uint64_t *next_ms);

/* The result of a check that was taken; ignored when the server has gone or was disabled
 * meanwhile. HEALTH_UNKNOWN: there is none, and the check is due again at once. */
void route_check_done(struct route *route, const struct route_check *check,
                      const struct health_result *result, uint64_t now_ms);

/* ---- time ---- */

/* About once a second: ejections end, slow starts go on. */
void route_tick(struct route *route, uint64_t now_ms);

/* ---- the operator ---- */

enum route_admin {
    ROUTE_READY,
    ROUTE_DRAIN,   /* takes no new sessions; checks go on */
    ROUTE_DISABLED /* takes no new sessions and is not checked (HAProxy: MAINT) */
};

/* Each: false when nothing changed. READY also ends the ejections of the upstream's servers,
 * whatever it was before, and from DISABLED its servers begin as new ones do. A weight is at
 * most 256, checked by the caller; 0 acts and reads as DRAIN. */
bool route_set_admin(struct route *route, size_t upstream, enum route_admin admin,
                     uint64_t now_ms);
bool route_set_weight(struct route *route, size_t upstream, uint32_t weight);
bool route_set_max_sessions(struct route *route, size_t upstream, uint32_t max_sessions);

/* ---- what happened ---- */

/* A change of state of a server or an upstream, in the order they happened. Of an upstream only
 * what concerns it as a whole is told: the operator's acts and its name; that it is up or down
 * by its servers follows from theirs. An address that goes or comes is a server's change to GONE
 * (whose sessions go on) or from NEW or GONE; the first answer for a name is none. Only one to
 * DOWN says that sessions there are lost. */
struct route_change {
    size_t upstream;
    bool has_server;    /* false: of the upstream as a whole (admin, resolution) */
    size_t server;      /* as in struct route_target; 0 without one */
    struct addr addr;   /* of the server; all zero without one */
    bool up_before, up; /* could take sessions, places aside; can now */
    enum route_state from_state, to_state;
    const char *from; /* their words, constants as in `show upstreams` */
    const char *to;
    char cause[96];     /* "L4CON the connection was refused (fall 3)", "5 failures in 10s",
                         "operator" */
    uint64_t lasted_ms; /* how long `from` had lasted */
};
/* Takes the oldest one; false: there is none. When too many wait, the oldest are dropped and
 * *dropped tells how many (may be NULL). */
bool route_take_change(struct route *route, struct route_change *out, uint64_t *dropped);

/* ---- what can be seen ---- */

#define ROUTE_WORD_MAX       24
#define ROUTE_GONE_SHOWN_MAX 16 /* servers of an upstream that are gone */
struct route_server_info {
    struct addr addr;
    size_t server;             /* as in struct route_target */
    bool gone;                 /* no longer among the name's addresses; its sessions go on */
    bool usable;               /* takes new sessions right now; a backup only when it is used */
    enum route_state state;    /* UP, DOWN, EJECTED or GONE */
    char word[ROUTE_WORD_MAX]; /* "UP", "UP 2/3", "DOWN", "DOWN 1/2", "EJECTED", "GONE" */
    uint32_t sessions;
    uint64_t since_ms;         /* monotonic, of this state */
    struct health_info health; /* `checked` false: none is configured or none has run */
    uint64_t ejected_until_ms; /* 0: it is not */
    uint64_t tried_ms;         /* when a session was last sent there; 0: never */
    uint32_t connect_failures; /* in a row; 0: the last connect was none, as far as is known */
    enum err connect_err;      /* of the last one of these */
    uint64_t connect_failed_ms;
};

struct route_upstream_info {
    enum route_state state;
    char word[ROUTE_WORD_MAX]; /* the state's */
    bool usable;               /* one of its servers is */
    enum route_admin admin;
    uint32_t weight;         /* as set */
    uint32_t weight_percent; /* of it, right now: below 100 during a slow start; the mean of
                                its servers that are up */
    uint32_t sessions, sessions_max, sessions_peak; /* of all servers; max 0: no limit */
    uint64_t since_ms;
    size_t server_count;
    size_t hidden_count;               /* gone servers that are not among these */
    struct route_server_info *servers; /* those gone included, last; the route's, until its next
                                          call */
};
void route_get_upstream(struct route *route, size_t upstream, uint64_t now_ms,
                        struct route_upstream_info *out);

/* True while route_pick() would not say ALL_DOWN; full upstreams and used backups count as up. */
bool route_is_up(struct route *route, uint64_t now_ms);

#endif
