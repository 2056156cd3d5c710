/* server.h - the running relay: start, reload, hand over and stop. server_info.h shows its
 * state, server_operate.h changes it for an operator.
 *
 * The server owns the port, the workers, the listeners, the routes and the statistics.
 *
 * Threads: server_start() and server_free() by one owner, which must outlive the server;
 * everything else from any thread between the two.
 */
#ifndef PAIRPORT_RELAY_SERVER_H
#define PAIRPORT_RELAY_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"
#include "os/sock.h"

struct server; /* opaque */

/* ---- inherited sockets: those that listen before the server runs, or outlive it ---- */

struct server_socket {
    struct addr addr;
    bool dual_stack; /* only ever set for an IPv6 wildcard */
    sock_t sock;     /* owned; SOCK_NONE once a server has taken it */
};

struct server_inherit {
    struct server_socket *sockets; /* not owned; the server changes their order */
    size_t count;
    /* Called once, when the start has done all that may fail and no client has been taken yet:
     * returns when clients may be taken; the process that had the sockets may take them, too. An
     * error ends the start, and `why` gets a line. NULL: nothing to wait for. */
    enum err (*ready)(void *ctx, struct str *why);
    /* An address that is in use, perhaps by a relay that is just ending or by what is left of its
     * connections, is tried again for this time. 0: the start fails at once. */
    uint32_t bind_patience_ms;
    /* Waits for `ms` before the next attempt; false: the start has to end at once
     * (ERR_CANCELLED). Needed with the above. */
    bool (*wait)(void *ctx, uint32_t ms);
    void *ctx;
    size_t adopted;    /* set by the start: sockets that listeners use now */
    uint64_t first_id; /* of the sessions, looked at after `ready`; 0: 1 */
};

/* Resolves the upstreams, binds every listener, then starts the workers; clients are accepted when
 * it returns. Takes over `conf` on success. On an error nothing runs, `conf` is still the caller's,
 * and `why` holds one line a failure: "route 'lobby': listen 0.0.0.0:7777: the address is already in
 * use\n".
 *
 * Listeners use those of the inherited sockets that are bound as their lines say. The others stay
 * the caller's, also after an error. `inherit` may be NULL: no sockets, no patience. */
enum err server_start(struct server **out, struct conf *conf, struct server_inherit *inherit,
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
 * time: from here on it belongs to that process. Waits until the server's own listeners are
 * closed; false: they are not after timeout_ms, but will be. */
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

/* The process that had the state file until now has handed it over: reads what it has written
 * since the start. */
void server_take_state_over(struct server *server);

#endif
