/* listening.h - listening sockets that were made elsewhere: by systemd, or by the relay that ran
 * before.
 *
 * A socket that several processes hold is one socket: its backlog is shared, and clients in it
 * are lost only when the last holder closes it.
 *
 * Threads: any; one socket must not be closed while another thread calls for it.
 */
#ifndef PAIRPORT_OS_LISTENING_H
#define PAIRPORT_OS_LISTENING_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/err.h"
#include "os/sock.h"

/* Where the socket is bound; *dual_stack as in sock_listen(), false but for an IPv6 wildcard.
 * ERR_UNSUPPORTED: not a TCP socket, or one that is not bound. */
enum err listening_describe(sock_t sock, struct addr *addr, bool *dual_stack);

/* True when clients can connect to it. */
bool listening_is_on(sock_t sock);

/* Makes it what sock_listen() makes: it listens with this backlog, is not inherited by child
 * processes, does not block. On an error it stays the caller's. */
enum err listening_adopt(sock_t sock, int backlog);

/* Another handle of the same socket, the caller's to close. ERR_NO_DESCRIPTORS, ERR_NOMEM. */
enum err listening_copy(sock_t sock, sock_t *out);

#endif
