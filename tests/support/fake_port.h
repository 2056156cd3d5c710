/* fake_port.h - the port and the sockets as fakes that a unit test drives.
 *
 * A test that links the library fake_port gets port.h and os/sock.h from it instead of the
 * system's. Nothing happens by itself: an operation that was submitted waits until the test
 * finishes it, and comes out of port_wait() in the order of finishing. A cancelled operation
 * waits as well; the test decides whether it ends with ERR_CANCELLED or with its real result.
 * port_wait() never sleeps: it hands out what is finished and returns.
 *
 * The fake watches over the contract of port.h and fails the running test at the first breach:
 * an operation submitted twice, two READs or two WRITEs in flight on one socket, a socket used
 * while it is unattached, unconnected or closed, closed while something is in flight, a buffer
 * that changes under a WRITE, and whatever is left at the end. What a READ may write to is
 * filled with rubbish while it is in flight, so that bytes taken too early show.
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_FAKE_PORT_H
#define PAIRPORT_TESTS_FAKE_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "os/sock.h"
#include "port/op.h"
#include "port/port.h"

/* ---- a test's beginning and end ---- */

/* Forgets everything. For the setup of a test. */
void fake_port_begin(void);

/* Fails the test if an operation is in flight, a socket is open or a port is not closed. For
 * the end of a test or its teardown; forgets everything. */
void fake_port_end(void);

/* ---- operations ---- */

/* The oldest operation of this kind that waits on the socket (submitted, not finished), or
 * NULL. SOCK_NONE: on any socket. */
struct op *fake_port_op(sock_t sock, enum op_kind kind);

/* How many of this kind wait on the socket; SOCK_NONE: on any. */
unsigned fake_port_waiting(sock_t sock, enum op_kind kind);

/* Operations in flight in all: those that wait and those finished but not delivered. */
unsigned fake_port_in_flight(void);

/* How many finished operations the next calls of port_wait() hand out. */
unsigned fake_port_ready(void);

/* True when port_cancel() asked for this waiting operation. */
bool fake_port_cancel_asked(const struct op *op);

/* Finishes a waiting operation with this result; port_wait() delivers it. On a WRITE that is
 * ERR_OK `bytes` must be its len; the first `bytes` of its buffer count as sent (fake_sock's
 * `sent`). A CONNECT that is ERR_OK makes the socket connected. For READs with bytes and
 * for ACCEPTs that succeed see below. */
void fake_port_finish(struct op *op, enum err err, uint32_t bytes);

/* Finishes a READ with these bytes (1 <= size <= len). */
void fake_port_finish_read(struct op *op, const void *data, size_t size);

/* Finishes a READ by what has arrived at its socket (fake_sock's `coming` and `coming_end`): one
 * with room gets bytes, FIN or the error, one without room learns that it can be received. False:
 * nothing has arrived that a READ with room could get; it goes on waiting. */
bool fake_port_finish_arrived(struct op *op);

/* Finishes a WRITE: everything was taken. */
void fake_port_finish_write(struct op *op);

/* Finishes an ACCEPT with a new client from this address; gives its socket, which the owner of
 * the operation has to close. */
sock_t fake_port_finish_accept(struct op *op, const struct addr *from);

/* Finishes all operations that port_cancel() asked for with ERR_CANCELLED; SOCK_NONE: of all
 * sockets. Gives their number. */
unsigned fake_port_finish_cancelled(sock_t sock);

/* What port_reads_into_buffers() says from now on; false at first. */
void fake_port_read_into_buffers(bool does);

/* The timeout of the latest port_wait(); INT_MIN before the first. */
int fake_port_last_timeout(void);

/* ---- failures of the calls that may fail ---- */

enum fake_call {
    FAKE_PORT_OPEN,
    FAKE_PORT_ENTER,
    FAKE_PORT_ATTACH,
    FAKE_SOCK_OPEN,
    FAKE_SOCK_LISTEN,
    FAKE_SOCK_BIND,
    FAKE_CALLS
};

/* Lets the call succeed `skip` times more, then fail `times` times with `err`. */
void fake_port_fail(enum fake_call call, unsigned skip, unsigned times, enum err err);

/* How often it was called since fake_port_begin(), failures included. */
unsigned fake_port_calls(enum fake_call call);

/* ---- sockets ---- */

enum fake_sock_state { FAKE_SOCK_IS_OPEN, FAKE_SOCK_ENDED, FAKE_SOCK_ABORTED };

/* A fake socket. Its number is never used again; its record stays until fake_port_end(). */
struct fake_sock {
    sock_t number;
    enum fake_sock_state state; /* ENDED, ABORTED: closed, and how */
    bool attached;
    bool listener;
    bool discarded; /* ENDED by SOCK_CLOSE_DISCARD */
    bool connected; /* accepted, or its CONNECT was delivered with ERR_OK */

    /* what the program asked for */
    bool shut;           /* sock_shutdown_send() was called and succeeded */
    unsigned shut_calls; /* how often it was called */
    bool nodelay;
    bool delays_ack; /* sock_delay_ack() before its CONNECT */
    uint32_t keepalive_idle_ms, keepalive_interval_ms;
    uint32_t send_buffer_bytes, receive_buffer_bytes;
    bool dual_stack;
    int backlog;
    bool shares;         /* others may bind beside it: beside_end() is due */
    bool refuses_new;    /* beside_refuse_new() */
    struct addr source;  /* sock_bind(); ADDR_NONE before */
    unsigned char *sent; /* all bytes of its finished WRITEs and of port_send_now() */
    size_t sent_len;

    /* what port_receive_now() finds and port_send_now() may take: nothing at first */
    unsigned char *coming; /* fake_sock_arrive() */
    size_t coming_len;
    enum err
        coming_end; /* after these bytes: ERR_AGAIN (nothing yet), ERR_OK (FIN), an error */
    size_t room;    /* bytes that port_send_now() takes; goes down as it does */
    enum err send_result; /* ERR_OK, or what port_send_now() fails with */

    /* what the system answers; the test may change it at any time */
    struct addr local, peer;
    enum err shutdown_result; /* of the next sock_shutdown_send() */
    bool peer_reset;
    enum sock_tells
        tells; /* SOCK_TELLS_UNACKED at first; SOCK_TELLS_COUNTS counts `sent_len` */
    uint64_t unsent_bytes;                 /* of what it took the peer has not acknowledged */
    uint64_t in_flight_bytes, again_bytes; /* with SOCK_TELLS_COUNTS: of these on the way; sent
                                              twice */
    bool tells_tcp_info;                   /* false at first */
    struct sock_tcp_info tcp_info;
};

/* The record of a socket that exists or existed; fails the test if there was none. */
struct fake_sock *fake_sock(sock_t sock);

/* The socket made last by sock_open(), sock_listen() or fake_port_finish_accept(). */
sock_t fake_sock_latest(void);

/* How many are open. */
unsigned fake_sock_open_count(void);

/* Bytes for port_receive_now() to find. */
void fake_sock_arrive(sock_t sock, const void *data, size_t size);

/* An open, connected, unattached socket, for tests that start in the middle. */
sock_t fake_sock_make(const struct addr *local, const struct addr *peer);

/* ---- names ----
 * These may be called while another thread looks names up. */

struct dns_answer;

/* What every name resolves to from now on; count 0: to nothing. */
void fake_resolve_to(const struct addr *addrs, size_t count);
/* The same, with all there is to an answer but its id. */
void fake_resolve_answer(const struct dns_answer *answer);
unsigned fake_resolve_asked(void); /* how often a name was asked for, ever */

/* Lets no answer come for this name; "": for none. */
void fake_resolve_hold(const char *host);
/* One answer comes for it. */
void fake_resolve_release(const struct dns_answer *answer);

#endif
