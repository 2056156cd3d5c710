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
#include "stat/stat.h"

struct server; /* opaque */

/* Resolves the upstreams, binds every listener, then starts the workers. Takes over `conf` on
 * success. On an error nothing runs, `conf` is still the caller's, and `why` holds one line a
 * failure: "route 'lobby': listen 0.0.0.0:7777: the address is already in use\n". */
enum err server_start(struct server **out, struct conf *conf, struct str *why);

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
    uint32_t sessions_max;      /* [relay] max_sessions */
    uint64_t descriptors_used;  /* 0: unknown */
    uint64_t descriptors_limit; /* UINT64_MAX: none */
    uint64_t resident_bytes;    /* 0: unknown */
    uint64_t cpu_us;            /* of the whole process since its start */
    uint64_t buffers_used;      /* relay buffers that hold bytes right now */
    uint64_t buffer_bytes;      /* memory held by relay buffers, free ones included */
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
    struct addr addr;
    bool dual_stack;
    bool starved; /* out of descriptors or memory: waits, then tries again */
};

#define SERVER_ADDRS_MAX 16 /* addresses shown (and used) of one upstream */
struct server_upstream_info {
    char name[sizeof(((struct conf_upstream *)0)->name)];
    struct addr addrs[SERVER_ADDRS_MAX];
    size_t addr_count; /* 0: its name did not resolve */
    struct server_totals totals;
};

struct server_route_info {
    const struct conf_route *conf; /* lives as long as the server */
    struct server_totals totals;
    struct server_listener_info *listeners; /* owned, conf->listen_count of them */
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
    enum phase phase;
    bool ending; /* being ended; `reason` says why */
    enum reason reason;
    struct addr client;       /* the client's end */
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

/* Ends a session (both sides see a reset); ERR_NOT_FOUND when it is not open. */
enum err server_kill(struct server *server, uint64_t id);
/* Ends all sessions of a route that are open now; returns how many. */
size_t server_kill_route(struct server *server, size_t route);

#endif
