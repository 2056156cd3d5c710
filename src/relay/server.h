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
#include "base/err.h"
#include "base/reason.h"
#include "base/str.h"
#include "config/conf.h"
#include "os/sock.h"
#include "port/port.h"
#include "route/route.h"
#include "stat/stat.h"

struct server; /* opaque */

/* Resolves the upstreams, binds every listener, then starts the workers. Takes over `conf` on
 * success. On an error nothing runs, `conf` is still the caller's, and `why` holds one line a
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
     * returns when the process that had the sockets takes no more of them. An error ends the
     * start, and `why` gets a line. NULL: nothing to wait for. */
    enum err (*ready)(void *ctx, struct str *why);
    void *ctx;
    size_t adopted; /* set by the start: sockets that listeners use now */
};

/* As server_start(), but listeners use those of the door's sockets that are bound as they want
 * to be. The sockets that are not used stay the caller's, also after an error. */
enum err server_start_with(struct server **out, struct conf *conf, struct server_door *door,
                           struct str *why);

/* Copies of the sockets of all that listens now, for another process; for
 * server_free_sockets(). ERR_NOMEM or ERR_NO_DESCRIPTORS leaves nothing. */
enum err server_copy_sockets(struct server *server, struct server_socket **out, size_t *count);

/* Closes those that are left. */
void server_free_sockets(struct server_socket *sockets, size_t count);

/* As server_stop() without `now`, for when another process goes on with the listening sockets:
 * clients whose ACCEPT was in flight are served, not turned away. Waits until the server's own
 * listeners are closed; false: they are not after timeout_ms, but will be. */
bool server_hand_over(struct server *server, uint32_t timeout_ms);

/* Stops listening at once and lets the sessions finish for stop_timeout, then ends them. With
 * `now`, or when called again, ends them now. Returns without waiting. */
void server_stop(struct server *server, bool now);

/* Waits until the server has stopped: no session is left, all workers have ended. False when
 * timeout_ms (UINT32_MAX: for ever) passed first. */
bool server_wait_stopped(struct server *server, uint32_t timeout_ms);

/* Needs a stopped server. */
void server_free(struct server *server);

const struct conf *server_conf(const struct server *server);

enum server_state { SERVER_RUNNING, SERVER_STOPPING, SERVER_STOPPED };

struct server_info {
    enum server_state state;
    uint64_t uptime_ms;
    uint64_t stop_left_ms; /* while STOPPING: until the rest is ended */
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
    struct port_stats port;
};
void server_get_info(struct server *server, struct server_info *out);

struct server_totals { /* of all routes, one route or one upstream */
    uint32_t sessions_open;
    uint32_t sessions_peak;
    struct stat_sums sums;
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

struct server_upstream_info {
    const struct conf_upstream *conf; /* lives as long as the server */
    struct route_upstream_info
        state; /* words, weight, servers, checks; times are monotonic ms */
    struct server_totals totals;
    bool is_name;         /* resolved again and again */
    uint64_t resolved_ms; /* monotonic, of the last good answer; 0: none yet */
    uint64_t resolve_failures_total;
    char resolve_why[96];              /* what the last try failed with; "": it did not */
    struct server_source_use *sources; /* owned; one for each of the route's, at least one */
    size_t source_count;
};

struct server_route_info {
    const struct conf_route *conf; /* lives as long as the server */
    struct server_totals totals;
    uint32_t held; /* clients that wait for an upstream */
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
};

struct server_session_info {
    uint64_t id;
    size_t route; /* index in server_get_routes() */
    size_t upstream;
    size_t server; /* of the upstream, as in struct route_target */
    enum phase phase;
    bool ending; /* being ended; `reason` says why */
    enum reason reason;
    struct addr client;       /* the client's end, as a PROXY header tells if there was one */
    struct addr via;          /* who sent that header; ADDR_NONE: nobody */
    struct addr client_local; /* our end towards the client */
    struct addr
        upstream_local; /* our end towards the upstream; ADDR_NONE before it is connected */
    struct addr upstream_addr; /* the upstream's end; the target while connecting */
    uint64_t age_ms;
    uint64_t idle_ms;    /* since the last byte either way */
    uint64_t connect_us; /* time the successful connect took; 0 before */
    uint32_t tries;      /* connects begun */
    struct server_flow_info up, down;
    bool has_client_tcp, has_upstream_tcp; /* false: this system does not tell */
    struct sock_tcp_info client_tcp, upstream_tcp;
};
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

/* Ends a session (both sides see a reset); ERR_NOT_FOUND when it is not open. */
enum err server_kill(struct server *server, uint64_t id);
/* Ends all sessions of a route that are open now; returns how many. */
size_t server_kill_route(struct server *server, size_t route);

#endif
