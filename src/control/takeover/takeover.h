/* takeover.h - how a new relay takes the listening sockets over from the one that runs.
 *
 * The new relay connects to the console's endpoint of the old one and says, in the protocol of
 * wire.h,
 *
 *     takeover 2 PID         the version of this protocol, and who asks
 *
 * Answered by `ok` with what there is: a line "pairport VERSION pid PID next ID sockets COUNT",
 * a line "config PATH" (nothing behind `config`: there is no file), then a line a socket,
 * "ADDRESS:PORT single" or "[::]:PORT dual" (IPv4 as well). Then
 *
 *     sockets FIRST COUNT    for copies of so many of them, answered by local_send_sockets()
 *     go                     when it has all of them and is ready to accept
 *     serving                when it accepts, within TAKEOVER_PENDING_MS
 *
 * `go` is answered by `ok` with a line "next ID": the first number for sessions of the new
 * relay. The old one accepts as before, so that no client waits if the new one fails. `serving`
 * is answered by `ok` when the listeners of the old one are closed, with the relays that have
 * sessions still, itself the last (predecessors.h); it lets its sessions finish, closes the
 * endpoint, and ends. Until `serving` nothing changes for it. Only one relay can take over at a
 * time; `go` of another one is an error.
 *
 * Both sides ask the system who the other one is: the same user, or an administrator. The new
 * one checks each socket: where it is bound, and that it listens.
 *
 * Threads: the giving side in the connection's thread, the taking side in the main thread.
 */
#ifndef PAIRPORT_CONTROL_TAKEOVER_TAKEOVER_H
#define PAIRPORT_CONTROL_TAKEOVER_TAKEOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "control/command/command.h"
#include "control/console/wire.h"
#include "relay/server.h"

#define TAKEOVER_PROTOCOL    2
#define TAKEOVER_PENDING_MS  5000
#define TAKEOVER_IDS         100000 /* session numbers left to the old relay until `serving` */
#define TAKEOVER_SOCKETS_MAX (1u << 20)
#define TAKEOVER_VERSION_MAX 32

/* ---- the giving side ---- */

/* Answers `line`, which begins with WIRE_TAKEOVER, and what follows, to the end of the
 * takeover; the connection is to be closed then. */
void takeover_give(struct local_conn *conn, struct wire_input *input,
                   const struct console *console, const char *line);

/* ---- the taking side ---- */

struct takeover; /* opaque */

/* Asks the relay at `path` for its sockets and gets them all. ERR_NOT_FOUND: no relay runs
 * there; ERR_CLOSED: it has ended meanwhile, and `why` says so. ERR_ACCESS: whoever listens
 * there could not be connected to, or must not be trusted. Any error leaves the old relay as it
 * was, and `why` says what happened. */
enum err takeover_ask(struct takeover **out, const char *path, struct str *why);

/* Of the relay that gives. */
uint64_t takeover_pid(const struct takeover *takeover);
const char *takeover_version(const struct takeover *takeover);

/* The sockets, and their ownership. */
struct server_socket *takeover_take_sockets(struct takeover *takeover, size_t *count);

/* The configuration file of the relay that gives; "": it has none, or does not tell. */
const char *takeover_config(const struct takeover *takeover);

/* Says `go`. ERR_OK: this relay may accept, its sessions have numbers from *next_id on; also
 * when the old relay has died or does not answer, since the sockets are ours. An error: another
 * relay takes over, and `why` gets a line. */
enum err takeover_go(struct takeover *takeover, uint64_t *next_id, struct str *why);

/* Says `serving`. ERR_OK: the sockets are ours, also when the old relay is gone or does not
 * answer; `predecessors` gets what it says of them. An error: the old relay goes on, and `why`
 * got a line. */
enum err takeover_serving(struct takeover *takeover, struct str *predecessors, struct str *why);

void takeover_free(struct takeover *takeover); /* NULL is fine; closes the connection */

/* ---- what is offered ---- */

struct takeover_offer {
    char version[TAKEOVER_VERSION_MAX];
    uint64_t pid;
    uint64_t next_id; /* as the answer to `go`, if it were said now */
    char config[CONF_PATH_MAX];
    struct server_socket *sockets; /* owned; without their sockets */
    size_t count;
};

void takeover_write_offer(const struct takeover_offer *offer, struct str *out);

/* Reads what takeover_write_offer() has written. ERR_INVALID: it has not; ERR_NOMEM. Both leave
 * *out alone. On success offer->sockets is for free(). */
enum err takeover_read_offer(const char *text, size_t len, struct takeover_offer *out);

#endif
