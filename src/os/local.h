/* local.h - the local endpoint of the console: a Unix socket or a named pipe.
 *
 * Linux: a stream socket in the file system, mode 0600. A file left behind by a dead process
 * is replaced, a living owner is ERR_IN_USE. Windows: a byte-mode pipe `\\.\pipe\NAME` whose
 * DACL admits its owner, administrators and SYSTEM, remote clients rejected, first instance
 * enforced ("Named Pipe Security and Access Rights").
 *
 * Who is at the other end is what the system says, never what the other end says.
 * local_connect() accepts only a server that runs as the caller's user or as an administrator.
 * An administrator also accepts a service: on Linux the user who owns the directory of the
 * socket, if nobody else but root can change the path to it; on Windows a service account.
 *
 * Threads: one thread a connection; local_listener_stop() from any thread.
 */
#ifndef PAIRPORT_OS_LOCAL_H
#define PAIRPORT_OS_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "os/sock.h"

#define LOCAL_NAME_MAX 256

struct local_listener; /* opaque */
struct local_conn;     /* opaque */

/* Where a process like the caller makes the endpoint of this name. Linux: NAME.sock in the first
 * usable one of $XDG_RUNTIME_DIR/pairport, /run/pairport and /tmp/pairport-UID; usable is a
 * directory that belongs to the caller and that only the caller can write, or that the caller
 * may create. Windows: "\\.\pipe\pairport-NAME". A name that holds a slash or backslash is a full
 * path already and is copied. ERR_RANGE: it does not fit. */
enum err local_path(const char *name, char path[LOCAL_NAME_MAX]);

/* Where the endpoint of this name is served: the places of local_path() are tried in that order.
 * When nobody serves it, the same as local_path(). */
enum err local_find(const char *name, char path[LOCAL_NAME_MAX]);

/* Creates the endpoint (and the directory of local_path(), where that is missing). ERR_ACCESS:
 * the system refuses it, or the directory is not safe; local_problem() says more. */
enum err local_listen(const char *path, struct local_listener **out);

/* Explains an ERR_ACCESS of local_listen() or local_connect(): "the directory /tmp/pairport-1000
 * belongs to uid 1001, not to this user (uid 1000)". Looks again, so it may find that all is
 * well by now. */
#define LOCAL_PROBLEM_MAX 512
void local_problem(const char *path, char text[LOCAL_PROBLEM_MAX]);

/* Waits for the next client. ERR_CANCELLED after local_listener_stop(); any other error is
 * transient: wait a little and call again. */
enum err local_accept(struct local_listener *listener, struct local_conn **out);
void local_listener_stop(struct local_listener *listener); /* wakes local_accept() */
void local_listener_close(
    struct local_listener *listener); /* removes the endpoint; no accept runs */

/* ERR_NOT_FOUND: nobody listens there; ERR_ACCESS: not yours, or the server is somebody who is
 * not trusted (see above); local_problem() says more. */
enum err local_connect(const char *path, struct local_conn **out);

/* Who is at the other end: Linux SO_PEERCRED, which has the process that connected or called
 * listen(), with its user at that time; Windows the token of the client or the owner of the pipe.
 * On the side that accepts, call it after the first bytes were read: before that, Windows may
 * not know yet. Any error: not known, to be treated as a stranger. */
#define LOCAL_USER_MAX 192
struct local_peer {
    uint64_t pid;              /* of the process */
    char user[LOCAL_USER_MAX]; /* "uid 1000", or a SID, for messages */
    bool same_user;            /* as the calling process */
    bool admin;                /* root; SYSTEM or, with its rights in force, an administrator */
};
enum err local_peer(const struct local_conn *conn, struct local_peer *out);

/* Calls found() for each endpoint in the places of local_path() that somebody serves whom the
 * caller trusts. */
void local_each(void (*found)(void *ctx, const char *path, const struct local_peer *peer),
                void *ctx);

/* Reads what is there, 1..size bytes, waiting for it up to timeout_ms (UINT32_MAX: for ever).
 * ERR_CLOSED: the other end is gone; ERR_TIMEDOUT; ERR_CANCELLED after local_conn_stop(). */
enum err local_read(struct local_conn *conn, void *buf, size_t size, uint32_t timeout_ms,
                    size_t *got);
/* Writes all of it. Gives up with ERR_TIMEDOUT when the reader takes nothing for 10 s. */
enum err local_write(struct local_conn *conn, const void *buf, size_t len);
/* Hands copies of listening sockets to the process at the other end, which is `receiver` (its
 * process id; needed on Windows only, 0 where it is not known): 1..LOCAL_SOCKETS_MAX of them. The
 * caller keeps its own. Nothing else may be under way on the connection in this direction.
 * Errors as local_write(); ERR_ACCESS: the receiver is not a process that may have them. */
#define LOCAL_SOCKETS_MAX 250 /* Linux takes 253 in a message, SCM_MAX_FD */
enum err local_send_sockets(struct local_conn *conn, const sock_t *socks, size_t count,
                            uint64_t receiver);

/* Takes exactly the `count` sockets of one local_send_sockets(), which is the next thing to come;
 * they are the caller's to close then. ERR_INVALID: something else came, or another number of
 * them; whatever came is closed. ERR_NO_DESCRIPTORS: they do not fit. Else as local_read(). */
enum err local_receive_sockets(struct local_conn *conn, sock_t *socks, size_t count,
                               uint32_t timeout_ms);

/* Wakes a reader or writer; it and all later ones get ERR_CANCELLED. From any thread. */
void local_conn_stop(struct local_conn *conn);
void local_conn_close(struct local_conn *conn); /* and frees it */

#endif
