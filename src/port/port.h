/* port.h - one completion port for all sockets and all workers.
 *
 * Windows: an I/O completion port. Linux: the same interface over one edge-triggered epoll
 * instance. Workers call port_wait() in a loop; any worker may get any completion. Results
 * known at once also come out of port_wait() (of the submitting worker, as a rule), so no
 * handler ever runs inside port_submit().
 *
 * Contract of the operations, for every backend:
 *  - ACCEPT   completes with a client (ERR_OK, `accepted`, `addr`), or fails transiently
 *             (ERR_ABORTED, ERR_NO_DESCRIPTORS, ERR_NOMEM); the listener lives on and the
 *             operation can be submitted again. Several may be in flight on one listener.
 *  - CONNECT  completes when the connection stands (getpeername and shutdown work) or with an
 *             error; the socket is then of no use but to be closed. One that got connected to
 *             itself fails with ERR_REFUSED, as if nobody listened, which is so.
 *  - READ     with len 0 completes with ERR_OK when something can be received: bytes, FIN or,
 *             where the system tells, an error; it may complete without cause. With len > 0
 *             it completes with 1..len bytes, with 0 bytes for FIN, or with an error.
 *  - WRITE    completes when all bytes were taken by the system, or with an error and `bytes`
 *             saying how many were. len > 0.
 *  - WAKE     comes out in some worker.
 *  At most one READ and one WRITE or CONNECT are in flight on a socket.
 *
 * What need not wait can be had without an operation: port_receive_now(), port_send_now() and,
 * both in one, port_move_now().
 *
 * Threads: port_wait() from threads that called port_enter(). port_submit() from those, or
 * from a thread that outlives the operation (Windows cancels a thread's operations when it
 * exits: "AcceptEx", remarks). Everything else from any thread.
 */
#ifndef PAIRPORT_PORT_PORT_H
#define PAIRPORT_PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "os/sock.h"
#include "port/op.h"

struct port; /* opaque; the backend's */

/* Opens the port for `workers` threads. On an error nothing is left behind. */
enum err port_open(struct port **out, unsigned workers);

/* Needs: no operation in flight, every socket detached, every worker left. */
void port_close(struct port *port);

const char *port_backend_name(void); /* "iocp" or "epoll", as shown in the log */

/* A worker thread begins and ends its use of port_wait(). Leaving hands results that this
 * worker holds back to the others. ERR_NOMEM. */
enum err port_enter(struct port *port);
void port_leave(struct port *port);

/* Makes a socket known to the port, once, before its first operation: listeners, accepted
 * sockets and sockets that will connect. Fails with ERR_NOMEM or ERR_NO_DESCRIPTORS; the
 * socket is then still the caller's to close. ERR_IN_USE: the port of another process has it. */
enum err port_attach(struct port *port, sock_t sock);

/* Detaches and closes a socket. Needs: nothing in flight on it. */
void port_close_socket(struct port *port, sock_t sock, enum sock_close_how how);

/* Whether the bytes that a READ with len > 0 waits for come into its buffer without a further
 * call. False: the system only says that they are there, and each READ receives them by a call
 * of its own; then a READ with len 0 costs no more and holds no buffer. Never changes. */
bool port_reads_into_buffers(void);

/* Starts the operation. Never blocks and never fails: an error comes out of port_wait(). */
void port_submit(struct port *port, struct op *op);

/* Receives what is there, at once and without an operation: ERR_OK with 1..len bytes, or with 0
 * for FIN; ERR_AGAIN when nothing is there, or nothing that port_wait() has noticed yet (a READ
 * completes then); else the connection's error. By workers. Needs an attached and connected
 * socket without a READ in flight, and len > 0. */
enum err port_receive_now(struct port *port, sock_t sock, void *buf, uint32_t len,
                          uint32_t *got);

/* The same, but what is received stays there, to be received again. */
enum err port_peek_now(struct port *port, sock_t sock, void *buf, uint32_t len, uint32_t *got);

/* Sends what the system takes at once, without an operation: ERR_OK with 0..len bytes in *sent
 * (less than len: the rest would have to wait), else the connection's error. By workers. Needs
 * an attached and connected socket without a WRITE in flight, and len > 0. */
enum err port_send_now(struct port *port, sock_t sock, const void *buf, uint32_t len,
                       uint32_t *sent);

/* What port_move_now() did. */
struct port_move {
    uint32_t got;  /* received; 0: FIN */
    uint32_t sent; /* of these, taken by the other socket */
    const unsigned char
        *rest;         /* the got - sent bytes that it did not take, in the caller's `buf` */
    uint32_t left;     /* 0; a caller that receives only what was sent notes here how much of
                          `got` it left with the system */
    enum err send_err; /* of the other socket, if it failed; the rest is then lost */
    bool drained;      /* nothing was left to receive; false: perhaps more is there */
};

/* Receives what is there, up to len bytes, and sends it to the other socket, both at once and
 * without an operation. Where the system can, much is moved without being copied. Returns as
 * port_receive_now(), for `from`; *move is complete when that is ERR_OK. `buf` has room for len
 * bytes. Needs what port_receive_now() needs of `from` and port_send_now() of `to`. */
enum err port_move_now(struct port *port, sock_t from, sock_t to, unsigned char *buf,
                       uint32_t len, struct port_move *move);

/* Asks that everything in flight on the socket comes out soon, with ERR_CANCELLED or with its
 * real result. The caller guards the socket against being closed meanwhile. */
void port_cancel(struct port *port, sock_t sock);

/* Queues a WAKE operation; it comes out in some worker. Also from signal-handling threads. */
void port_post(struct port *port, struct op *op);

/* The calling worker will be away from port_wait() for a while: one that sleeps takes its place
 * right now, if there is one. */
void port_step_aside(struct port *port);

/* Waits up to timeout_ms (-1: for ever, 0: not at all) and fills `ops` with at most `max`
 * finished operations. 0: the time is over, or nothing after all. Bounded: a caller is never
 * handed more than `max`, and no socket can keep the others from being served. */
#define PORT_BATCH 64 /* a sensible max */
int port_wait(struct port *port, struct op *ops[], int max, int timeout_ms);

/* What the backend did since it was opened; for `show info` and for tests. Sums over the
 * workers, each field exact for finished work, not a snapshot of one instant. */
struct port_stats {
    uint64_t submits[OP_WAKE + 1];     /* by kind */
    uint64_t completions[OP_WAKE + 1]; /* by kind; submits - completions are in flight */
    uint64_t waits_total;              /* system calls that waited (epoll_wait, GQCSEx) */
    uint64_t wakeups_total;            /* of these, those that had to sleep */
    uint64_t reads_total;              /* receive calls to the system */
    uint64_t writes_total;             /* send calls to the system */
    uint64_t stale_events_total;       /* events for a socket that was already closed */
};
void port_get_stats(struct port *port, struct port_stats *out);

#endif
