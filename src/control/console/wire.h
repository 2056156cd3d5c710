/* wire.h - what goes over the local endpoint.
 *
 * The client sends a request: one line of at most WIRE_LINE_MAX bytes that ends in LF (or CR
 * LF). The relay answers with a status line and a body of exactly as many bytes as it says:
 *
 *     ok LEN\n            the command was done
 *     error LEN\n         it was not; the body says why
 *     bye LEN\n           as ok, and the relay closes the connection (`quit`)
 *
 * LEN is decimal. Any number of requests follow each other; each is answered before the next is
 * read. A client that is refused gets one `error` and is closed. The commands are those of
 * command.h; `set columns N` holds for the connection, as does `caller IP`, by which a console
 * says from where its operator came by SSH. Anything that can write a line to a
 * Unix socket or a named pipe can talk to the relay.
 *
 * Threads: a connection belongs to one thread.
 */
#ifndef PAIRPORT_CONTROL_CONSOLE_WIRE_H
#define PAIRPORT_CONTROL_CONSOLE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "control/command/parse_line.h"
#include "os/local.h"

#define WIRE_CALLER     "caller "
#define WIRE_TAKEOVER   "takeover " /* PROTOCOL PID; what follows is in takeover.h */
#define WIRE_LINE_MAX   PARSE_LINE_MAX
#define WIRE_BODY_MAX   (UINT64_C(256) << 20) /* what a client takes from a relay */
#define WIRE_TIMEOUT_MS 10000                 /* for the rest of something that has begun */

enum wire_status { WIRE_OK, WIRE_ERROR, WIRE_BYE };

/* Bytes that came in and were not used yet. */
struct wire_input {
    char bytes[WIRE_LINE_MAX + 2]; /* a line with CR LF */
    size_t len;
};

/* Takes the next line out of the connection, without its end, into `line` (zero-terminated, but
 * a NUL byte in it is kept: use *len). Waits up to idle_ms for its first byte and
 * WIRE_TIMEOUT_MS for its end. ERR_RANGE: the line is too long; ERR_TIMEDOUT: the line was not
 * ended; ERR_CLOSED, ERR_CANCELLED, ERR_IO. */
enum err wire_read_line(struct local_conn *conn, struct wire_input *input, uint32_t idle_ms,
                        char line[WIRE_LINE_MAX + 1], size_t *len);

enum err wire_send_answer(struct local_conn *conn, enum wire_status status, const char *body,
                          size_t len);

/* Connects to a relay's endpoint, patient for WIRE_TIMEOUT_MS while others wait there to be
 * taken. Errors of local_connect(). */
enum err wire_connect(const char *path, struct local_conn **out);

/* The client's side of the two. ERR_INVALID: the answer is not of this protocol. */
enum err wire_send_line(struct local_conn *conn, const char *line, size_t len);
enum err wire_read_answer(struct local_conn *conn, struct wire_input *input,
                          enum wire_status *status, struct str *body);

/* The same, but it waits for the answer's first byte, and for more of its body, up to
 * timeout_ms. */
enum err wire_read_answer_within(struct local_conn *conn, struct wire_input *input,
                                 uint32_t timeout_ms, enum wire_status *status,
                                 struct str *body);

#endif
