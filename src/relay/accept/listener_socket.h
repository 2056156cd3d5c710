/* listener_socket.h - the socket of a listener: bound, or adopted; see adopt.h.
 *
 * Threads: the owner of the server, while it starts; listener_socket_close() with the lock of the
 * listener held; listener_copy() any; those that wait any but a worker.
 */
#ifndef PAIRPORT_RELAY_ACCEPT_LISTENER_SOCKET_H
#define PAIRPORT_RELAY_ACCEPT_LISTENER_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "os/os.h"
#include "os/sock.h"

struct listener;
struct relay;

/* How many listeners of a relay have an open socket. */
struct listening {
    struct os_mutex lock;   /* guards what follows, and `open` of each listener */
    struct os_cond changed; /* listener_socket_close() wakes those who wait */
    uint32_t open;
};

/* Gives the listener a socket: an inherited one that is bound to its address, else a new
 * one. An error leaves none. */
enum err listener_socket_open(struct listener *listener);

/* Gives it one that is bound beside those of the listeners it replaces; see os/beside.h. */
enum err listener_socket_bind(struct listener *listener, const sock_t others[],
                              size_t other_count);

/* True when the error of binding to all addresses of both families is that there is no IPv6: they
 * are those of IPv4 then. Some systems refuse the family, some the address. */
bool listener_lacks_ipv6(bool dual_stack, enum err err);

/* What its route's `backlog` says for listen(2); `auto` is the largest number. */
int listener_backlog(const struct listener *listener);

/* Closes it, and wakes those who wait for that. Needs: it has one, and no ACCEPT in flight. */
void listener_socket_close(struct listener *listener);

/* Wait until the socket of the listener, or of each listener of the relay, is closed:
 * listener_socket_close() wakes them. False: `until_ms` of os_mono_ms() has passed before. */
bool listener_await_closed(struct listener *listener, uint64_t until_ms);
bool listening_await_none(struct relay *relay, uint64_t until_ms);

/* A copy of the socket, the caller's to close; ERR_CLOSED: it does not listen any more. */
enum err listener_copy(struct listener *listener, sock_t *out);

#endif
