/* predecessors.h - relays that this one has taken over from and that still have sessions.
 *
 * Each of them keeps an endpoint of its own (wire.h), whose path only this relay knows.
 * Commands of an operator are forwarded to them: lists include their sessions, marked with
 * their process id, and commands that end sessions or ban clients apply to theirs as well. A
 * predecessor that has ended is removed from the list when a command is forwarded to it.
 *
 * Threads: any. A predecessor that does not answer (it is stopped, or waits for a disk) holds
 * only the thread that asks it, for PREDECESSORS_WAIT_MS.
 */
#ifndef PAIRPORT_CONTROL_TAKEOVER_PREDECESSORS_H
#define PAIRPORT_CONTROL_TAKEOVER_PREDECESSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "control/command/command.h"
#include "os/local.h"

#define PREDECESSORS_MAX 64 /* of more the oldest are left out */

/* How long an answer waits for all predecessors together. Less than WIRE_TIMEOUT_MS, after
 * which the operator's console gives up. */
#define PREDECESSORS_WAIT_MS 6000

struct predecessor {
    uint64_t pid;
    char path[LOCAL_NAME_MAX]; /* of its endpoint */
};

struct predecessors; /* opaque */

enum err predecessors_open(struct predecessors **out); /* ERR_NOMEM */
void predecessors_close(struct predecessors *predecessors);

/* Adds those of a text as predecessors_write() makes it: "PID PATH", a line each. Other lines
 * are ignored. */
void predecessors_read(struct predecessors *predecessors, const char *text);
void predecessors_write(struct predecessors *predecessors, struct str *out);
void predecessors_add(struct predecessors *predecessors, uint64_t pid, const char *path);
void predecessors_clear(struct predecessors *predecessors); /* a successor has them now */

/* The line was run here, by session->ran, with this result: has the predecessors run it, if its
 * `forward` says so, and puts what they say into the result. Not within server_hold(). */
void predecessors_forward(const struct command_session *session, const char *line, size_t len,
                          struct command_result *result);

/* ---- for the files of this module ---- */

/* Copies up to PREDECESSORS_MAX of them. */
size_t predecessors_copy(struct predecessors *predecessors,
                         struct predecessor each[PREDECESSORS_MAX]);

/* Has it run the line and waits up to timeout_ms for the answer; after that it may still run
 * the line. *failed: it could not be done. ERR_NOT_FOUND: it has ended; ERR_ACCESS: another
 * program is there; else errors of the endpoint. */
enum err predecessors_ask(struct predecessors *predecessors, const struct predecessor *one,
                          const char *line, size_t len, uint32_t timeout_ms, struct str *answer,
                          bool *failed);

#endif
