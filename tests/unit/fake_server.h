/* fake_server.h - the functions of relay/server.h over plain data that a test sets.
 *
 * A program that links it needs no relay: it has no port, no workers and no sessions but those
 * the test adds. Reading functions copy what is here; changing ones note that they were called.
 *
 * Threads: reading from any; a test that serves commands from threads sets everything before.
 */
#ifndef PAIRPORT_TESTS_FAKE_SERVER_H
#define PAIRPORT_TESTS_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/command/command.h"
#include "relay/server.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"

#define FAKE_ROUTES_MAX    12
#define FAKE_UPSTREAMS_MAX 20
#define FAKE_SESSIONS_MAX  5000
#define FAKE_SOURCES_MAX   2
#define FAKE_SERVERS_MAX   16

#define FAKE_NOW_MS UINT64_C(1000000000) /* when everything here was looked at */

struct server {
    struct conf *conf; /* owned */
    struct server_info info;
    struct server_totals totals;
    struct server_totals route_totals[FAKE_ROUTES_MAX];
    struct server_upstream_info upstreams[FAKE_ROUTES_MAX]
                                         [FAKE_UPSTREAMS_MAX]; /* sources aside */
    struct route_server_info servers[FAKE_ROUTES_MAX][FAKE_UPSTREAMS_MAX][FAKE_SERVERS_MAX];
    struct server_source_use sources[FAKE_ROUTES_MAX][FAKE_UPSTREAMS_MAX][FAKE_SOURCES_MAX];
    uint32_t held[FAKE_ROUTES_MAX];
    bool ramps[FAKE_ROUTES_MAX];
    bool paused[FAKE_ROUTES_MAX], frozen[FAKE_ROUTES_MAX]; /* for 130 s */
    char paused_by[FAKE_ROUTES_MAX][SERVER_BY_MAX];
    struct server_drain_info drains[FAKE_ROUTES_MAX]; /* of the routes; set by drains */
    bool starved[FAKE_ROUTES_MAX];                    /* all its listeners */
    struct server_session_info *sessions;             /* owned */
    size_t session_count;
    struct server_removed_info removed[2]; /* routes */
    size_t removed_count;
    const struct server_socket *sockets; /* that it listens with; not owned */
    size_t socket_count;
    struct server_bans bans; /* what is there; not owned */
    struct server_client_info clients[8];
    size_t client_count;
    struct server_ban_result ban_result; /* what the next ban says */
    enum err ban_err;                    /* not ERR_OK: bans fail with it */
    enum err fail;                       /* not ERR_OK: reading functions fail with it */

    /* What was done to it. */
    uint64_t killed;
    size_t killed_route; /* SIZE_MAX: none */
    size_t killed_upstream;
    struct addr_net killed_net;
    uint64_t killed_older_ms;
    struct server_drain_plan plan; /* of the last drain */
    unsigned changes;              /* of upstreams, calls that changed nothing included */
    unsigned resolves;
    unsigned reloads;
    uint64_t latest_id;      /* of its sessions */
    enum err reload_fails;   /* not ERR_OK: a reload fails with it */
    const char *reload_says; /* what a reload that succeeds tells; NULL: nothing */
    _Atomic unsigned holds;  /* right now */
    struct ban banned;       /* the last one; until_ms is for how long */
    bool ban_keeps;
    unsigned ban_calls;
    unsigned stops;
    bool stopped_now;
    uint64_t stopped_over_ms;
};

/* Two routes: 'lobby' (*:7777; 10.0.0.5:7000 is up, the name game.example never resolved) and
 * 'world' (two listeners; [fd00::2]:7100 is up and not checked); sums and limits of a relay that
 * has run for a while; no sessions. */
struct server *fake_server_open(void);

/* The same sums over another configuration, whose addresses are up and names never resolved. */
struct server *fake_server_open_with(const char *text);
void fake_server_close(struct server *server);

/* Adds an address to an upstream, up and with a check that passed, and returns it for changes.
 * The upstream is up from then on. */
struct route_server_info *fake_server_add_addr(struct server *server, size_t route,
                                               size_t upstream, const char *ip);

/* Adds a session in the data phase of the route's first upstream and returns it for changes. */
struct server_session_info *fake_server_add(struct server *server, uint64_t id, size_t route);

/* A console over the fake, whose shutdown and reopen are noted in the fake. */
struct console fake_server_console(struct server *server);

#endif
