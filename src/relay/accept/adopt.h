/* adopt.h - listening sockets that outlive the server they were made for.
 *
 * A starting server is given sockets (server.h). Where a listen line wants such a socket, the
 * server adopts it instead of binding a new one. A running server hands out copies of its own
 * sockets.
 *
 * Threads: the owner of the server, while it starts; adopt_copy() from any thread while the
 * server runs.
 */
#ifndef PAIRPORT_RELAY_ACCEPT_ADOPT_H
#define PAIRPORT_RELAY_ACCEPT_ADOPT_H

#include <stdbool.h>

#include "base/err.h"
#include "os/sock.h"
#include "relay/server.h"

struct relay;

/* Puts the sockets into an order in which they are found fast. */
void adopt_prepare(struct server_inherit *inherit);

/* The socket that is bound like this, which is the caller's now, or SOCK_NONE. `inherit` may be
 * NULL. */
sock_t adopt_find(struct server_inherit *inherit, const struct addr *addr, bool dual_stack);

/* Copies of the sockets of all listeners that listen now; see server_copy_sockets(). */
enum err adopt_copy(struct relay *relay, struct server_socket **out, size_t *count);

#endif
