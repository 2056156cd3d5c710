/* local.h - the local endpoint of the console: a Unix socket or a named pipe.
 *
 * Linux: a stream socket in the file system, mode 0600. A file left behind by a dead process
 * is replaced, a living owner is ERR_IN_USE. Windows: a byte-mode pipe `\\.\pipe\NAME` whose
 * DACL admits its owner, administrators and SYSTEM, remote clients rejected, first instance
 * enforced ("Named Pipe Security and Access Rights").
 *
 * Threads: one thread a connection; local_listener_stop() from any thread.
 */
#ifndef PAIRPORT_OS_LOCAL_H
#define PAIRPORT_OS_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define LOCAL_NAME_MAX 256

struct local_listener; /* opaque */
struct local_conn;     /* opaque */

/* Where the endpoint of this name lives on this system: "/run/user/1000/pairport/NAME.sock"
 * (XDG_RUNTIME_DIR, else /run/pairport when root or /tmp/pairport-UID, a directory of mode
 * 0700 that must belong to the caller) or "\\.\pipe\pairport-NAME". A name that holds a slash
 * or backslash is a full path already and is copied. ERR_RANGE: it does not fit. */
enum err local_path(const char *name, char path[LOCAL_NAME_MAX]);

/* Creates the endpoint (and the directory of local_path(), where that is missing). */
enum err local_listen(const char *path, struct local_listener **out);

/* Waits for the next client. ERR_CANCELLED after local_listener_stop(); any other error is
 * transient: wait a little and call again. */
enum err local_accept(struct local_listener *listener, struct local_conn **out);
void local_listener_stop(struct local_listener *listener); /* wakes local_accept() */
void local_listener_close(
    struct local_listener *listener); /* removes the endpoint; no accept runs */

/* ERR_NOT_FOUND: nobody listens there; ERR_ACCESS: not yours. */
enum err local_connect(const char *path, struct local_conn **out);

/* Reads what is there, 1..size bytes, waiting for it up to timeout_ms (UINT32_MAX: for ever).
 * ERR_CLOSED: the other end is gone; ERR_TIMEDOUT; ERR_CANCELLED after local_conn_stop(). */
enum err local_read(struct local_conn *conn, void *buf, size_t size, uint32_t timeout_ms,
                    size_t *got);
/* Writes all of it. Gives up with ERR_TIMEDOUT when the reader takes nothing for 10 s. */
enum err local_write(struct local_conn *conn, const void *buf, size_t len);
/* Wakes a reader or writer; it and all later ones get ERR_CANCELLED. From any thread. */
void local_conn_stop(struct local_conn *conn);
void local_conn_close(struct local_conn *conn); /* and frees it */

#endif
