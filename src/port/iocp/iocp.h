/* iocp.h - the inside of the completion port of Windows; what it promises stands in port.h.
 *
 * Life of an operation. port_submit() fills every field and makes the start call (AcceptEx,
 * ConnectEx, WSARecv, WSASend). Then there are two cases:
 *
 *   the system has it   The call is pending, or it succeeded on a socket without
 *                       skip-on-success. Its packet will come out of the completion port, maybe
 *                       in another worker and before the call has returned: from here on nobody
 *                       touches the operation but the one who takes that packet.
 *   it is known         The call failed, or it succeeded on a socket with skip-on-success. There
 *                       will be no packet, the operation is still ours. It waits in the ready
 *                       list of this worker; of a thread that is no worker (or of a worker with a
 *                       long list, or a lasting one while others sleep) it goes through the
 *                       completion port as a posted packet; when posting fails for lack of
 *                       memory, through the overflow list.
 *
 * Two rules follow, and every start function keeps them: nothing in the operation is written
 * after the start call unless the result is known, and whether skip-on-success is set is read
 * from the socket's record before the call.
 *
 * Files: port.c (open, workers, waiting), submit.c (the way in, cancel), accept.c, connect.c,
 * foreign.c (listening sockets of another process's port), read.c, write.c, call.c (start calls),
 * ready.c (lists of results), socks.c (records of sockets), provider.c (Winsock's catalogue and
 * extension functions), status.c (NTSTATUS), worker.c (the thread's worker, counters).
 *
 * Threads: as port.h says, except where a function says otherwise.
 */
#ifndef PAIRPORT_PORT_IOCP_IOCP_H
#define PAIRPORT_PORT_IOCP_IOCP_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "os/os.h"
#include "os/windows/windows_api.h"
#include "port/port.h"

/* ---- the operation's native record ---- */

union native {
    OVERLAPPED overlapped; /* while the system has the operation */
    struct op *next;       /* while it waits in a ready list or the overflow list */
};

_Static_assert(sizeof(union native) <= OP_NATIVE_SIZE, "OP_NATIVE_SIZE is too small");
_Static_assert(offsetof(struct op, native) == 0, "an OVERLAPPED is found by its operation");
_Static_assert(_Alignof(struct op) >= _Alignof(union native), "native must be aligned");

static inline union native *native_of(struct op *op)
{
    return (union native *)op->native;
}

static inline struct op *op_of(OVERLAPPED *overlapped)
{
    return (struct op *)overlapped;
}

/* op->state: REST -> STARTED -> FINISHED -> REST, or REST -> FINISHED -> REST. */
enum op_state {
    STATE_REST = 0, /* the owner's */
    STATE_STARTED,  /* the start call was made, or is just being made */
    STATE_FINISHED  /* the result is in, it is on its way out */
};

/* What became of a start. */
enum outcome {
    OUTCOME_PENDING, /* the system has it: not ours any more */
    OUTCOME_KNOWN    /* the result is in the operation */
};

/* ---- sockets ---- */

/* What the port remembers of an attached socket. Records lie in a table indexed by the socket's
 * handle and are never unmapped, so finding one takes two loads and no lock. */
struct sock_record {
    struct os_mutex resend;   /* cancel against the second start of a partly sent WRITE */
    _Atomic uint32_t pending; /* operations submitted that have not come out yet */
    _Atomic uint32_t cancels; /* calls of port_cancel(), ever */
    atomic_bool attached;     /* written by attach and close, read by the socket's user */
    bool skip;                /* skip-on-success is set: a known result has no packet */
    bool foreign;             /* a listening socket that another process's port has */
    uint8_t family;           /* enum addr_family */
};

/* Handles are multiples of 4 and a process has at most 2^24 of them ("Kernel Objects", Windows
 * Internals; "Pushing the Limits of Windows: Handles"). */
#define SOCKS_PER_CHUNK 4096
#define SOCKS_CHUNKS    4096

struct sock_table {
    _Atomic(struct sock_record *) chunks[SOCKS_CHUNKS];
};

/* The record of a socket, made when it is missing. ERR_INVALID: no handle; ERR_NOMEM. */
enum err socks_make(struct sock_table *table, sock_t sock, struct sock_record **out);
/* The record of an attached socket; that it is attached is asserted. */
struct sock_record *socks_find(struct sock_table *table, sock_t sock);
void socks_free(struct sock_table *table);

/* ---- Winsock's providers ---- */

/* The extension functions of the provider of one address family. They are asked for by
 * WSAIoctl and not linked: mswsock's stubs ask again at every call. */
struct extensions {
    LPFN_ACCEPTEX accept;
    LPFN_CONNECTEX connect;
    LPFN_GETACCEPTEXSOCKADDRS accept_addrs;
    atomic_bool loaded; /* the three above may be read */
};

/* False when a provider of TCP in Winsock's catalogue gives handles that the I/O manager does not
 * know. Logs the name of such a provider. */
bool provider_all_ifs(void);

/* The family of a socket and whether its provider's handles are the I/O manager's own. */
enum err provider_of(sock_t sock, enum addr_family *family, bool *ifs);

/* ---- the port ---- */

/* Counters; the kinds of operations are added to the first two. */
enum count {
    COUNT_SUBMITS = 0,
    COUNT_COMPLETIONS = COUNT_SUBMITS + OP_WAKE + 1,
    COUNT_WAITS = COUNT_COMPLETIONS + OP_WAKE + 1,
    COUNT_SLEEPS,
    COUNT_READS,
    COUNT_WRITES,
    COUNT_SHORT_WRITES, /* a send that completed with less than was asked for */
    COUNT_INLINE,       /* results known at once */
    COUNT_SPILLS,       /* of these, posted to the port for other workers */
    COUNT_OVERFLOWS,    /* of these, posting failed */
    COUNT_TOTAL
};

/* One worker thread; written by it alone, except that the counters are read by others. The
 * margins keep its cache lines its own. */
struct worker {
    unsigned char margin_before[64];
    struct port *port;
    struct list in_port;
    struct op *first; /* the ready list, oldest first, linked through native.next */
    struct op *last;
    unsigned ready;    /* its length */
    unsigned unpolled; /* turns since the completion port was looked at */
    _Atomic uint64_t counts[COUNT_TOTAL];
    unsigned char margin_after[64];
};

struct port {
    HANDLE handle;
    ULONG batch;        /* packets taken at a time, at most PACKETS_MAX */
    DWORD longest_wait; /* milliseconds, see wait_for_packets() */
    bool may_skip;      /* skip-on-success is safe on this machine */
    struct sock_table socks;
    struct extensions extensions[2]; /* IPv4, IPv6 */

    _Atomic uint32_t sleeping;   /* workers that wait for packets */
    _Atomic uint32_t overflowed; /* length of the overflow list, for a look without the lock */
    struct os_mutex overflow_lock;
    struct op *overflow_first;
    struct op *overflow_last;

    struct os_mutex waiters_lock; /* guards the two lists */
    struct waiter *waiters;       /* owned: all there are; see foreign.c */
    struct waiter *waiters_idle;

    struct os_mutex lock; /* guards what follows, and loading of extensions */
    struct list workers;
    uint64_t counts_left[COUNT_TOTAL]; /* of workers that have left */

    _Atomic uint64_t counts_foreign[COUNT_TOTAL]; /* of threads that are no workers */
};

/* The calling thread as a worker of this port, or NULL. */
struct worker *worker_of(const struct port *port);
/* The calling thread becomes that worker; NULL: none any more. */
void worker_bind(struct worker *worker);

/* Makes the extension functions for sockets of this family known, by way of one of them. */
enum err provider_load(struct port *port, sock_t sock, enum addr_family family);
/* They, for a family that has had an attached socket. */
const struct extensions *provider_functions(const struct port *port, enum addr_family family);

/* ---- ACCEPTs of a socket that another process's port has ---- */

struct waiter; /* opaque */

/* A waiter for the ACCEPT whose start call comes next, with its event in the OVERLAPPED. NULL: no
 * memory for one. */
struct waiter *foreign_begin(struct port *port, struct op *op, OVERLAPPED *overlapped);
/* The start call is pending: the result will come out of the port. */
void foreign_wait(struct waiter *waiter);
/* The start call has a result. */
void foreign_end(struct waiter *waiter);
/* Needs: no ACCEPT in flight. */
void foreign_close(struct port *port);

/* ---- the kinds of operations ----
 * start: makes the call. finish: takes the packet of a started operation and puts the result
 * into it; OUTCOME_PENDING when it was started again instead (a WRITE that was cut short). */
enum outcome accept_start(struct port *port, struct op *op);
void accept_finish(struct port *port, struct op *op, LONG status);
enum outcome connect_start(struct port *port, struct op *op);
void connect_finish(struct op *op, LONG status);
/* What Winsock's error of ConnectEx means. */
enum err connect_error(int code);
/* How often a SYN is to be repeated, also after a refusal; 0 needs `knows_none`. */
unsigned connect_syn_retries(const struct addr *to, bool is_check, bool knows_none);
enum outcome read_start(struct port *port, struct op *op);
void read_finish(struct op *op, LONG status, uint32_t bytes);
enum outcome write_start(struct port *port, struct op *op);
enum outcome write_finish(struct port *port, struct op *op, LONG status, uint32_t bytes);

/* The last thing before a start call: a clean OVERLAPPED, for its first use and every other. */
OVERLAPPED *iocp_begin(struct op *op);

/* What a start call said; the very next thing after it. On CALL_PENDING the operation is not
 * ours any more. On CALL_FAILED *code gets Winsock's error. */
enum call {
    CALL_PENDING, /* a packet will come, also after a success without skip-on-success */
    CALL_DONE,    /* succeeded, and no packet will come */
    CALL_FAILED   /* failed, and no packet will come */
};
enum call iocp_called(bool success, bool skip, int *code);

/* Puts the result into an operation that is ours. */
static inline enum outcome iocp_known(struct op *op, enum err err, int32_t raw)
{
    op->err = err;
    op->raw = raw;
    return OUTCOME_KNOWN;
}

/* ---- results on their way out ---- */

/* Takes over an operation whose result is known. */
void ready_deliver(struct port *port, struct op *op);
/* Sends a finished operation through the completion port, or through the overflow list. */
void ready_post(struct port *port, struct op *op);
/* The oldest of this worker's ready list, or NULL. */
struct op *ready_pop(struct worker *worker);
/* Gives some of this worker's list to workers that sleep. */
void ready_share(struct port *port, struct worker *worker);
/* Moves what is in the overflow list to this worker's ready list. */
void ready_take_overflow(struct port *port, struct worker *worker);
/* A worker leaves: the others get its list. */
void ready_hand_back(struct port *port, struct worker *worker);

/* ---- status and counters ---- */

/* The error that an NTSTATUS stands for; ERR_OK when it is one of success. */
enum err status_error(LONG status);

void counts_add(struct port *port, enum count count);
uint64_t counts_sum(struct port *port, enum count count); /* with port->lock held */

/* Completion keys: what a packet is. */
enum key {
    KEY_SOCKET = 1, /* from the I/O manager: a started operation */
    KEY_POSTED = 2  /* from ready_post(): a finished one */
};

#define PACKETS_MAX 16

#endif
