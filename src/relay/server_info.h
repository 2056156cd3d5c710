/* server_info.h - the state of the running relay, as copies.
 *
 * No reader stops a worker, and a session's lock is held only while
 * its own few fields are copied.
 *
 * Threads: any, between server_start() and server_free().
 */
#ifndef PAIRPORT_RELAY_SERVER_INFO_H
#define PAIRPORT_RELAY_SERVER_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/addr_net.h"
#include "base/err.h"
#include "base/reason.h"
#include "config/conf.h"
#include "policy/bans.h"
#include "policy/clients.h"
#include "port/port.h"
#include "route/route.h"
#include "stat/stat.h"

struct server;

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
    uint32_t backlog_limit;           /* the system's, of each listener; 0: unknown */
    uint64_t cpu_us;                  /* of the whole process since its start */
    uint64_t buffers_used;            /* relay buffers that hold bytes, or wait for them */
    uint64_t buffer_bytes;            /* memory held by relay buffers, free ones included */
    struct clients_info clients;      /* that are remembered */
    size_t bans;
    uint32_t tarpit_held; /* refused clients that are kept waiting */
    uint32_t tarpit_max;
    uint64_t tarpit_total;
    uint64_t tarpit_full_total; /* refused clients that found no place in it */
    uint64_t
        standstills_total; /* of the whole relay for more than a second, see standstill.h */
    uint64_t standstill_last_ms;     /* how long the last one was; 0: there was none */
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

/* ---- bans and clients ---- */

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

#endif
