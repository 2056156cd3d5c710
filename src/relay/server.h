/* server.h - the running relay: start, stop, and everything that can be seen of it.
 *
 * The server owns the port, the workers, the listeners, the routes and the statistics.
 * Whoever looks at it gets copies; no reader stops a worker, and a session's lock is held only
 * while its own few fields are copied.
 *
 * Threads: server_start() and server_free() by one owner, which must outlive the server;
 * everything else from any thread between the two.
 */
#ifndef PAIRPORT_RELAY_SERVER_H
#define PAIRPORT_RELAY_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/addr_net.h"
#include "base/err.h"
#include "base/reason.h"
#include "base/str.h"
#include "config/conf.h"
#include "os/sock.h"
#include "policy/bans.h"
#include "policy/clients.h"
#include "port/port.h"
#include "route/route.h"
#include "stat/stat.h"

struct server; /* opaque */

/* Resolves the upstreams, binds every listener, then starts the workers; clients are accepted when
 * it returns. Takes over `conf` on success. On an error nothing runs, `conf` is still the caller's, and `why` holds one line a
 * failure: "route 'lobby': listen 0.0.0.0:7777: the address is already in use\n". */
enum err server_start(struct server **out, struct conf *conf, struct str *why);

/* ---- the door: listening sockets that are there before the server, or outlive it ---- */

struct server_socket {
    struct addr addr;
    bool dual_stack; /* only ever set for an IPv6 wildcard */
    sock_t sock;     /* owned; SOCK_NONE once a server has taken it */
};

struct server_door {
    struct server_socket *sockets; /* not owned; the server changes their order */
    size_t count;
    /* Called once, when the start has done all that may fail and no client has been taken yet:
     * returns when clients may be taken; the process that had the sockets may take them, too. An
     * error ends the start, and `why` gets a line. NULL: nothing to wait for. */
    enum err (*ready)(void *ctx, struct str *why);
    /* An address that is in use, perhaps by a relay that is just ending or by what is left of its
     * connections, is tried again for so long. 0: the start fails at once. */
    uint32_t bind_patience_ms;
    /* Waits so long before the next try; false: the start is to be given up at once
     * (ERR_CANCELLED). Needed with the above. */
    bool (*wait)(void *ctx, uint32_t ms);
    void *ctx;
    size_t adopted;    /* set by the start: sockets that listeners use now */
    uint64_t first_id; /* of the sessions, looked at after `ready`; 0: 1 */
};

/* As server_start(), which has no patience, but listeners use those of the door's sockets that are bound as they want
 * to be. The sockets that are not used stay the caller's, also after an error. */
enum err server_start_with(struct server **out, struct conf *conf, struct server_door *door,
                           struct str *why);

/* How many of the sockets the listen lines of `conf` want. Changes their order. */
size_t server_count_wanted(const struct conf *conf, struct server_socket *sockets,
                           size_t count);

/* The number of the session that began last, 0 before the first. */
uint64_t server_latest_id(const struct server *server);

/* Copies of the sockets of all that listens now, for another process; for
 * server_free_sockets(). ERR_NOMEM or ERR_NO_DESCRIPTORS leaves nothing. */
enum err server_copy_sockets(struct server *server, struct server_socket **out, size_t *count);

/* Closes those that are left. */
void server_free_sockets(struct server_socket *sockets, size_t count);

/* As server_stop() without `now`, for when another process goes on with the listening sockets:
 * clients whose ACCEPT was in flight are served, not turned away. Writes the state file a last
 * time: from here on it belongs to that process. Waits until the server's own listeners are closed; false: they are not after timeout_ms, but will be. */
bool server_hand_over(struct server *server, uint32_t timeout_ms);

/* Stops listening at once and lets the sessions finish for stop_timeout, then ends them. With
 * `now`, or when called again, ends them now. Returns without waiting. */
void server_stop(struct server *server, bool now);

/* The same, but the sessions are ended evenly over `over_ms`, the oldest first. */
void server_stop_over(struct server *server, uint64_t over_ms);

/* Waits until the server has stopped: no session is left, all workers have ended. False when
 * timeout_ms (UINT32_MAX: for ever) passed first. */
bool server_wait_stopped(struct server *server, uint32_t timeout_ms);

/* Needs a stopped server. */
void server_free(struct server *server);

/* Goes on with another configuration, loaded without a mistake; see reload.h for what becomes of
 * what. Takes over `conf` on success. What needs a restart stays as it is, in effect and in the
 * configuration that server_conf() gives. On an error nothing has changed, `conf` is still the
 * caller's, and `why` holds one line a failure: ERR_CLOSED, the server is stopping; those of
 * opening a listener; ERR_NOMEM. On success `why` may hold lines about what it could not do
 * without a gap. Not within server_hold(). */
enum err server_reload(struct server *server, struct conf *conf, struct str *why);

/* Whether server_reload() could listen where `conf` says, or a start, where `server` is NULL:
 * binds, for a moment, what is not listened on yet. `why` holds one line a failure. Changes
 * nothing. */
enum err server_try_listens(struct server *server, const struct conf *conf, struct str *why);

/* Between the two the configuration stays what it is, and with it what is told of it: pointers
 * into it, the indices of routes and upstreams. A reload waits meanwhile, so be quick; may be
 * nested. */
void server_hold(struct server *server);
void server_release(struct server *server);

/* Within server_hold(), like everything that takes or gives a route, an upstream or a pointer
 * into the configuration. */
const struct conf *server_conf(const struct server *server);

enum server_state { SERVER_RUNNING, SERVER_STOPPING, SERVER_STOPPED };

struct server_info {
    enum server_state state;
    uint64_t uptime_ms;
    uint64_t stop_left_ms; /* while STOPPING: until the rest is ended */
    bool stop_drains;      /* while STOPPING: sessions are ended evenly over that time */
    unsigned workers;
    uint32_t sessions_open;
    uint32_t sessions_peak;
    uint32_t sessions_max;        /* [relay] max_sessions */
    uint64_t descriptors_used;    /* 0: unknown */
    uint64_t descriptors_limit;   /* UINT64_MAX: none */
    uint64_t resident_bytes;      /* 0: unknown */
    uint64_t memory_limit;        /* of the control group or the machine; 0: unknown */
    bool backlog_known;           /* false: this system does not count what follows */
    uint64_t backlog_drops_total; /* connects that the machine has dropped since the start */
    uint64_t backlog_overflows_total; /* of these, because a backlog was full */
    uint64_t backlog_drops_per_s;     /* in the last second */
    uint64_t cpu_us;                  /* of the whole process since its start */
    uint64_t buffers_used;            /* relay buffers that hold bytes, or wait for them */
    uint64_t buffer_bytes;            /* memory held by relay buffers, free ones included */
    struct clients_info clients;      /* that are remembered */
    size_t bans;
    uint32_t tarpit_held; /* refused clients that are kept waiting */
    uint32_t tarpit_max;
    uint64_t tarpit_total;
    uint64_t tarpit_full_total;  /* refused clients that found no place in it */
    uint64_t standstills_total;  /* of the whole relay for more than a second, see lateness.h */
    uint64_t standstill_last_ms; /* how long the last one was; 0: there was none */
    uint64_t standstill_last_ago_ms; /* since it was over */
    struct port_stats port;
};
void server_get_info(struct server *server, struct server_info *out);

struct server_totals { /* of all routes, one route or one upstream */
    uint32_t sessions_open;
    uint32_t sessions_peak;
    struct stat_sums sums;
    uint64_t would_refuse[REASON_COUNT]; /* clients let in by `guard = dry_run` alone */
    struct stat_rates rate_1s, rate_10s, rate_60s;
    struct histogram_summary connect_us; /* successful connects */
    struct histogram_summary length_ms;  /* ended sessions */
};
void server_get_totals(struct server *server, struct server_totals *out);

struct server_listener_info {
    struct addr addr;    /* of its first port */
    uint16_t port_count; /* consecutive ones */
    bool dual_stack;
    bool starved; /* one of them is out of descriptors or memory: waits, then tries again */
};

/* How many local ports the connections from one address to one upstream take. */
struct server_source_use {
    struct addr source; /* ADDR_NONE: the one that the system chooses */
    uint32_t used;      /* connections to all its servers and ports */
    uint32_t limit;     /* local ports there are for those; 0: unknown */
};

/* What becomes of the sessions that a drained route, upstream or relay has. */
struct server_drain_plan {
    uint64_t over_ms; /* they are ended evenly over this time; 0: they may go on */
    bool kill;        /* those that are left after that time are ended, with 0 at once */
};

struct server_drain_info {
    bool on;     /* else all is zero */
    bool again;  /* of a drain that begins: no new sessions came before, either */
    bool over;   /* they are ended evenly */
    size_t left; /* sessions that are not ending */
    size_t first_left;
    uint64_t ended_total; /* by the drain */
    uint64_t age_ms;
    uint64_t left_ms; /* with `over`: until all are ended */
};

struct server_upstream_info {
    const struct conf_upstream *conf; /* one that was `removed` is there until its last session
                                         is over */
    struct server_drain_info drain;
    struct route_upstream_info
        state; /* words, weight, servers (owned), checks; times are monotonic ms */
    struct server_totals totals;
    bool is_name;         /* resolved again and again */
    uint64_t resolved_ms; /* monotonic, of the last good answer; 0: none yet */
    uint64_t resolve_failures_total;
    char resolve_why[96];              /* what the last try failed with; "": it did not */
    struct server_source_use *sources; /* owned; one for each of the route's, at least one */
    size_t source_count;
};

#define SERVER_BY_MAX 32

struct server_route_info {
    const struct conf_route *conf;
    struct server_totals totals;
    bool paused;                   /* clients wait until it is resumed */
    bool frozen;                   /* its sessions are not read from either */
    bool ramps;                    /* clients are let in at its admission_ramp */
    uint64_t paused_ms;            /* for how long */
    char paused_by[SERVER_BY_MAX]; /* "console" */
    struct server_drain_info drain;
    uint32_t headers; /* sessions that wait for their PROXY header */
    uint32_t headers_max;
    uint32_t held;      /* clients that wait: for an upstream, a resume or their turn */
    uint32_t held_left; /* of these, clients that have left and whose bytes wait for a server */
    uint32_t held_max;
    uint32_t held_peak;
    uint64_t held_total;
    struct server_listener_info *listeners; /* owned, one for each of conf->listens */
    size_t listener_count;
    struct server_upstream_info *upstreams; /* owned, conf->upstream_count of them */
    size_t upstream_count;
};
/* All routes in file order. ERR_NOMEM leaves nothing. */
enum err server_get_routes(struct server *server, struct server_route_info **out,
                           size_t *count);
void server_free_routes(struct server_route_info *routes, size_t count);

/* A route that is no longer in the configuration and has sessions. */
struct server_removed_info {
    const struct conf_route *conf; /* as it was when it was removed */
    struct server_totals totals;
    uint32_t held; /* clients that wait */
};
/* In no order. *out is the caller's to free(). ERR_NOMEM leaves nothing. */
enum err server_get_removed(struct server *server, struct server_removed_info **out,
                            size_t *count);

/* Why a direction stands still by the relay's will; its source is not read meanwhile. */
enum flow_park {
    FLOW_NOT_PARKED = 0,
    FLOW_PACED_SESSION, /* rate_up or rate_down has no room */
    FLOW_PACED_CLIENT,  /* rate_up_per_client or rate_down_per_client */
    FLOW_PACED_ROUTE,   /* rate_up_per_route or rate_down_per_route */
    FLOW_FROZEN,        /* its route is frozen */
    FLOW_NO_BUFFER      /* memory is out, and its sink has no room */
};

/* One direction of a session. */
struct server_flow_info {
    uint64_t bytes;  /* moved since the session began */
    uint64_t writes; /* WRITE operations that moved them */
    uint64_t
        bytes_per_s;  /* current rate, from the last whole second in which bytes moved; 0 when
                              nothing moved in the last 2 s */
    uint32_t waiting; /* bytes in the relay that the sink has not taken */
    uint32_t waiting_ms; /* for how long; 0 when none wait */
    bool finished;       /* its source sent FIN */
    enum flow_park park;
    uint64_t parked_ms;    /* for how long; 0 when it is not parked */
    uint64_t park_left_ms; /* until it goes on; 0 when it is frozen */
};

struct server_session_info {
    uint64_t id;
    size_t
        route; /* index in server_get_routes(); SIZE_MAX: it was removed, the session goes on */
    const char *route_name;
    size_t upstream;
    const char *upstream_name; /* "-" while there is none */
    size_t server;             /* of the upstream, as in struct route_target */
    enum phase phase;
    bool ending; /* being ended; `reason` says why */
    bool frozen; /* it is connected, and its route is frozen */
    enum reason reason;
    struct addr client;       /* the client's end, as a PROXY header tells if there was one */
    struct addr via;          /* who sent that header; ADDR_NONE: nobody */
    struct addr client_local; /* our end towards the client */
    struct addr
        upstream_local; /* our end towards the upstream; ADDR_NONE before it is connected */
    struct addr upstream_addr; /* the upstream's end; the target while connecting; ADDR_NONE
                                  while it waits for its PROXY header or to be let in */
    uint64_t age_ms;
    uint64_t idle_ms;    /* since the last byte either way */
    uint64_t connect_us; /* time the successful connect took; 0 before */
    uint32_t tries;      /* connects begun */
    struct server_flow_info up, down;
    bool has_client_tcp, has_upstream_tcp; /* false: this system does not tell */
    struct sock_tcp_info client_tcp, upstream_tcp;
};
/* False: it waits for its PROXY header or to be let in, and has nothing to do with any upstream. */
static inline bool server_session_has_upstream(const struct server_session_info *info)
{
    return info->phase != PHASE_ACCEPT && info->phase != PHASE_HELD;
}

/* Copies the open sessions of `route` (SIZE_MAX: all), in no order, without TCP information.
 * *out is the caller's to free(). ERR_NOMEM leaves nothing. */
enum err server_get_sessions(struct server *server, size_t route,
                             struct server_session_info **out, size_t *count);
/* One session with TCP information of both sides; ERR_NOT_FOUND when it is not open. */
enum err server_get_session(struct server *server, uint64_t id,
                            struct server_session_info *out);

/* The operator's hand on an upstream; see route.h. False: nothing changed. Each is logged. */
bool server_set_admin(struct server *server, size_t route, size_t upstream,
                      enum route_admin admin);
bool server_set_weight(struct server *server, size_t route, size_t upstream, uint32_t weight);
bool server_set_max_sessions(struct server *server, size_t route, size_t upstream,
                             uint32_t max_sessions); /* 0: no limit */

/* Has the name of an upstream resolved as soon as possible, without waiting for it; ERR_INVALID:
 * it is an address. */
enum err server_resolve(struct server *server, size_t route, size_t upstream);

/* ---- bans and clients ---- */

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

/* The ban that has the address, with times of the wall clock; false: none has. */
bool server_find_ban(struct server *server, const struct addr *addr, struct ban *out);

struct server_bans {
    struct ban
        *bans; /* owned, by network, times of the wall clock; without those that are over */
    size_t count;
    char path[CONF_PATH_MAX]; /* of the state file, absolute; "": bans are not kept */
    enum err keep_err;        /* not ERR_OK: it can't be written */
    enum err read_err;        /* not ERR_OK: it can't be read yet */
    bool handed_over;         /* to another process, which keeps them now */
    bool locked_out;          /* another process keeps the file for itself */
    uint64_t holder;          /* and this is its identifier; 0: not known */
    size_t aside;             /* bans in the file that do not fit and have no effect */
};
/* ERR_NOMEM leaves nothing. */
enum err server_get_bans(struct server *server, struct server_bans *out);
void server_free_bans(struct server_bans *bans);

/* The process that had the state file until now has handed it over: reads what it has written
 * since the start. */
void server_take_state_over(struct server *server);

struct server_client_info {
    size_t route; /* index in server_get_routes() */
    struct addr_net net;
    uint32_t sessions;
    uint64_t entered_total;
    uint64_t refused_total;
    uint64_t quiet_ms; /* since it last came, was refused or left */
    bool banned;
};
/* The clients that are remembered, of `route` (SIZE_MAX: all), in no order. *out is the caller's
 * to free(). ERR_NOMEM leaves nothing. */
enum err server_get_clients(struct server *server, size_t route,
                            struct server_client_info **out, size_t *count);
/* ---- the operator's hand on routes and sessions; what is done is logged with who did it ---- */

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
