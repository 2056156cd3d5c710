/* endpoint.h - the console's commands for other programs of this machine.
 *
 * Listens on a Unix socket or a named pipe (os/local.h) and serves several clients at once, a
 * thread each; the protocol is in wire.h. A client more than ENDPOINT_CLIENTS_MAX gets the place
 * of the one that has been idle for longest. When commands run for all of them, it is served only
 * if it wants a takeover or `shutdown`, and refused at once otherwise. A client that does not end
 * a line or does not take an answer within 10 s is closed, within 2 s when its place is needed.
 * Only the user of the relay and administrators are served. Workers of the relay are never waited
 * for, nor do they wait for a client.
 *
 * Threads: endpoint_start(), endpoint_release() and endpoint_stop() by one owner.
 */
#ifndef PAIRPORT_CONTROL_CONSOLE_ENDPOINT_H
#define PAIRPORT_CONTROL_CONSOLE_ENDPOINT_H

#include "base/err.h"
#include "control/command/command.h"

#define ENDPOINT_CLIENTS_MAX 16

struct endpoint; /* opaque */

/* `path` is one of local_path(); `console` outlives the endpoint. Errors of local_listen(). */
enum err endpoint_start(struct endpoint **out, const char *path, const struct console *console);

/* Closes all clients and removes the endpoint, so that another one can have its path. Answers under
 * way, such as that of `shutdown`, are given 2 s to get through. Does not wait for a command that
 * takes longer, as a `reload` from a disk that does not answer. Once. */
void endpoint_release(struct endpoint *endpoint);

/* The same, unless that was done, then waits for all threads and frees it. */
void endpoint_stop(struct endpoint *endpoint);

#endif
