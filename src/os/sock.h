/* sock.h - TCP sockets of the system, without the system's headers.
 *
 * A socket is not inherited by child processes. Sockets for the port are non-blocking (Linux)
 * or overlapped and non-blocking (Windows); plain blocking use is not offered here, tests and
 * tools bring their own.
 *
 * Threads: any; one socket must not be closed while another thread calls for it.
 */
#ifndef PAIRPORT_OS_SOCK_H
#define PAIRPORT_OS_SOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

typedef intptr_t sock_t; /* file descriptor or SOCKET */
#define SOCK_NONE ((sock_t)-1)

/* Sockets of sessions and health checks get only the first `count` descriptors of the process;
 * those behind them are for its files, its console and its listeners. Linux gives the lowest
 * free number, so a number of `count` or more says that as many are in use. Without a call all
 * may be used, as on Windows, where nothing limits them. Before the first socket. */
void sock_set_ceiling(uint64_t count);

/* True for a socket above the ceiling, which is to be closed. */
bool sock_is_above_ceiling(sock_t sock);

/* A TCP socket for the port. Urgent bytes (MSG_OOB) stay in its stream, at their place, as they do
 * in what a listener accepts (SO_OOBINLINE; Linux: inherited). ERR_NO_DESCRIPTORS, also at the
 * ceiling; ERR_NOMEM; ERR_NO_FAMILY (no such addresses on this system: a kernel without IPv6). */
enum err sock_open(enum addr_family family, sock_t *out);

/* The same for one that is to listen: the ceiling does not hold. */
enum err sock_open_listener(enum addr_family family, sock_t *out);

/* A listening TCP socket. Linux: SO_REUSEADDR; Windows: SO_EXCLUSIVEADDRUSE ("Using
 * SO_REUSEADDR and SO_EXCLUSIVEADDRUSE"), and a backlog of SOMAXCONN_HINT(backlog).
 * `dual_stack` lets an IPv6 listener take IPv4 clients (IPV6_V6ONLY = 0), else it is IPv6 only.
 * ERR_IN_USE, ERR_ACCESS, ERR_NO_ADDRESS and the errors of sock_open(), whose ceiling does not
 * hold here; on Windows also
 * ERR_RESERVED: the port lies in a range that the system has put aside ("netsh int ipv4 show
 * excludedportrange tcp"; Hyper-V and Docker take such ranges), or its holder is exclusive. */
enum err sock_listen(const struct addr *addr, bool dual_stack, int backlog, sock_t *out);

/* Binds a socket that will connect to this source address (port 0: any). */
enum err sock_bind(sock_t sock, const struct addr *source);

/* True when the address, whatever its port, is one of this machine's. */
bool sock_is_own_addr(const struct addr *addr);

enum err sock_local_addr(sock_t sock, struct addr *out); /* normalised */
enum err sock_peer_addr(sock_t sock, struct addr *out);  /* normalised */

/* True when a socket that has just connected to `peer_port` is connected to itself. The system
 * may choose the port of the destination as the local one; where nobody listens there, the
 * socket's SYN then meets the socket itself (RFC 9293 3.5, simultaneous open). Such a socket is
 * set to be reset when it is closed, however it is closed: an orderly end would keep the port in
 * TIME_WAIT and a server from binding it. One system call as a rule. */
bool sock_refuse_itself(sock_t sock, uint16_t peer_port);

/* Options are wishes: a system that lacks one leaves the socket usable. */
void sock_set_nodelay(sock_t sock, bool on);
/* True where accepted sockets have their listener's TCP_NODELAY (Linux). */
bool sock_accept_inherits(void);
/* Keepalive after `idle_ms` of silence, then every `interval_ms`; 0 idle_ms turns it off. */
void sock_set_keepalive(sock_t sock, uint32_t idle_ms, uint32_t interval_ms);

/* Before the connect of a socket that is only to learn whether somebody listens, and is closed with
 * SOCK_CLOSE_ABORT at once when it knows: on Linux the acknowledgement that would establish the
 * connection waits (TCP_QUICKACK off, 200 ms as a rule), so the reset takes its place, the server's
 * system drops the half-open connection, and accept() never returns it. Windows has nothing like
 * it: there the server accepts a connection that is reset. */
void sock_delay_ack(sock_t sock);

/* Sends FIN after what was sent. ERR_CLOSED: the connection is gone already. */
enum err sock_shutdown_send(sock_t sock);

enum sock_close_how {
    SOCK_CLOSE_NORMAL,  /* FIN, if the data was read; what was sent is still delivered */
    SOCK_CLOSE_DISCARD, /* FIN, also when data was not read: throws away what has come by now,
                           since the systems send RST for it, and drop what is unsent. A system
                           call more. */
    SOCK_CLOSE_ABORT    /* RST (SO_LINGER {1,0}); unsent data is thrown away */
};
/* Nothing may be in flight on it (see port.h). */
void sock_close(sock_t sock, enum sock_close_how how);

/* True when the peer has reset the connection, or the system has given it up, also while no READ
 * is waiting, with unread bytes before it, and after one FIN. It takes nothing: a later READ
 * still gets its bytes and its error; once one got the error, Linux answers false. Between both
 * FINs and the close there is no connection that could be reset. Under Wine it is true also where
 * a READ gets FIN for a reset. One system call as a rule; for slow checks, not for the byte
 * path. */
bool sock_peer_reset(sock_t sock);

/* What the system tells about the bytes that were handed to a connection. */
struct sock_sent {
    enum sock_tells {
        SOCK_TELLS_NOTHING, /* Windows before 10 1703, Wine; a connection that is gone */
        SOCK_TELLS_UNACKED, /* Linux: `unacked` */
        SOCK_TELLS_COUNTS   /* Windows: the other three */
    } tells;
    uint64_t unacked; /* not acknowledged by the peer, whether sent or not; a FIN counts as one
                           (SIOCOUTQ) */
    uint64_t out;     /* sent since the beginning, what was sent again included (BytesOut) */
    uint64_t again;   /* sent again (BytesRetrans) */
    uint64_t in_flight; /* sent and not acknowledged; what waits behind a closed window was not
                           sent, and is not in it (BytesInFlight) */
};
void sock_query_sent(sock_t sock, struct sock_sent *sent);

/* How many of the `handed` bytes that the system was given, those of a WRITE in flight included,
 * the peer has not acknowledged; less than are there while a WRITE is in flight on Linux, where
 * the system has a part of it only. False: the system does not tell, now or ever. One call. */
bool sock_unacked(sock_t sock, uint64_t handed, uint64_t *bytes);

/* What TCP knows of a connection. */
struct sock_tcp_info {
    uint32_t rtt_us;     /* smoothed round trip time */
    uint32_t rtt_var_us; /* 0 if unknown */
    uint64_t
        retransmits_total; /* segments (Linux) or bytes (Windows, see `in_bytes`) sent again */
    bool retransmits_in_bytes;
};
/* False where the system has nothing to say. */
bool sock_tcp_info(sock_t sock, struct sock_tcp_info *out);

#endif
