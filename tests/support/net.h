/* net.h - blocking TCP for tests, with a time limit on every call.
 *
 * Sockets are the system's own, used without os/ and port/, so that a fault there cannot hide
 * itself. Every function that waits takes a limit in milliseconds; NET_PATIENCE_MS is meant to
 * end a test that hangs and is never what a test measures. Errors are returned, not asserted,
 * so threads may call everything here. os_init() must have run.
 *
 * Threads: any; one thread a socket and direction.
 */
#ifndef PAIRPORT_TESTS_NET_H
#define PAIRPORT_TESTS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "os/sock.h"
#include "support/sha256.h"

#define NET_PATIENCE_MS 60000u

/* 127.0.0.1 or ::1 with this port. */
struct addr net_loopback(enum addr_family family, uint16_t port);
bool net_has_ipv6(void); /* ::1 can be bound */

/* A port that nobody listens on now, outside the range from which systems take the local ports
 * of outgoing connections; free for IPv4 and IPv6, and another one at every call. 0: none was
 * found. */
uint16_t net_free_port(void);

/* Listens; with port 0 the system picks one. `bound` (may be NULL) gets the real address.
 * Buffer sizes set on a listener hold for the connections it accepts. */
enum err net_listen(const struct addr *addr, int backlog, sock_t *out, struct addr *bound);
enum err net_accept(sock_t listener, uint32_t timeout_ms, sock_t *out);

enum err net_connect(const struct addr *to, uint32_t timeout_ms, sock_t *out);
/* The same with these socket buffers, set before connecting so that the window obeys them;
 * 0 leaves the system's. */
enum err net_connect_small(const struct addr *to, uint32_t send_bytes, uint32_t receive_bytes,
                           uint32_t timeout_ms, sock_t *out);
/* The same from this local address; with port 0 the system picks one. */
enum err net_connect_from(const struct addr *from, const struct addr *to, uint32_t timeout_ms,
                          sock_t *out);
/* Begins to connect and does not wait: the socket may be connected later, or never. */
enum err net_connect_begin(const struct addr *to, sock_t *out);
/* Waits for the end of net_connect_begin(). */
enum err net_connect_finish(sock_t sock, uint32_t timeout_ms);

/* A listener that does not answer: its backlog is full and nobody accepts, so the system drops
 * further SYNs (Linux, also under Wine; Windows itself refuses instead). net_deaf_close()
 * closes the listener and the connections that fill it. */
#define NET_DEAF_FILL 8
struct net_deaf {
    struct addr addr;
    sock_t listener;
    sock_t fill[NET_DEAF_FILL];
};
enum err net_deaf_open(enum addr_family family, struct net_deaf *out);
void net_deaf_close(struct net_deaf *deaf);
/* Lets a deaf listener hear: takes the connections that fill its backlog and gives the first
 * one that does not. Its SYN comes again after a second or more. */
enum err net_deaf_accept(struct net_deaf *deaf, uint32_t timeout_ms, sock_t *out);

/* Sends all of it. `sent` (may be NULL) gets the bytes that the system took, also on an error:
 * ERR_TIMEDOUT, ERR_RESET, ERR_CLOSED. */
enum err net_send(sock_t sock, const void *data, size_t len, uint32_t timeout_ms, size_t *sent);

/* A byte of urgent data (MSG_OOB); the system has room for it. */
enum err net_send_urgent(sock_t sock, char byte);

/* Sends until the system takes nothing for `quiet_ms`: fills every buffer on the way to a
 * reader that does not read. Gives the bytes taken. */
enum err net_send_until_full(sock_t sock, uint32_t quiet_ms, uint64_t *sent);

/* Receives 1..size bytes; *got 0 is FIN. */
enum err net_receive(sock_t sock, void *buf, size_t size, uint32_t timeout_ms, size_t *got);

/* Receives exactly `len` bytes; ERR_CLOSED: FIN came before. */
enum err net_receive_all(sock_t sock, void *buf, size_t len, uint32_t timeout_ms);

/* How a connection ended, seen from one side. */
enum net_end { NET_END_FIN, NET_END_RESET, NET_END_NONE /* still open when time was over */ };
const char *net_end_word(enum net_end end);

/* Receives until the end. `bytes` and `hash` (may be NULL) gather what came before it. */
enum net_end net_receive_end(sock_t sock, uint32_t timeout_ms, uint64_t *bytes,
                             struct sha256 *hash);

/* Waits for a reset without receiving: whether one came also when unread bytes or a FIN stand
 * before it in the stream. */
bool net_wait_reset(sock_t sock, uint32_t timeout_ms);

void net_set_buffers(sock_t sock, uint32_t send_bytes, uint32_t receive_bytes); /* 0: leave */
void net_set_nodelay(sock_t sock);
enum err net_local_addr(sock_t sock, struct addr *out);
enum err net_peer_addr(sock_t sock, struct addr *out);

void net_finish(sock_t sock); /* half-close: FIN after what was sent */
void net_close(sock_t sock);  /* SOCK_NONE is fine */
void net_reset(sock_t sock);  /* RST (SO_LINGER 0), and closes */

#endif
