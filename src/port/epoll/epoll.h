/* epoll.h - the parts of the epoll backend, for its own files only.
 *
 * One edge-triggered epoll instance is shared by all workers. Each socket has a record of one
 * cache line; an operation that cannot be done at once is parked there until an edge comes.
 *
 *   epoll.c    the port: open and close, enter and leave
 *   worker.c   ready lists and the inbox; calls none of the other files
 *   wait.c     port_wait(): events and results
 *   reserve.c  which workers serve, and which ones sleep meanwhile
 *   records.c  the table of records: attach, close, registration with epoll
 *   ops.c      operations of every kind: submit, cancel, what an edge sets going
 *   stream.c   READ and WRITE, and what goes at once without them
 *   splice.c   much that goes from one socket to another, without being copied
 *   opening.c  CONNECT and ACCEPT
 *
 * How an edge is never lost, although system calls are made without the record's lock:
 *
 *  - The record remembers what the edges said: READABLE and WRITABLE. They mean "nobody has
 *    seen EAGAIN since", not "there are bytes".
 *  - Whoever receives takes READABLE away under the lock, then calls. An edge that comes later
 *    sets it again. After EAGAIN the lock is taken once more: if READABLE is back, the call is
 *    made again; if not, the operation is parked under the same lock, and the next edge finds
 *    it there. Between taking the bit away and parking there is no gap in which an edge
 *    could be overlooked.
 *  - WRITABLE is never asked before a send, only after EAGAIN, so that a send that succeeds
 *    takes no lock. A bit left from earlier costs one more send, which says EAGAIN again.
 *  - Each operation is in one place: parked in its record, on a ready list, or in the hands of
 *    one thread. Several workers may hold edges of one socket at once; one of them takes
 *    the parked operation, the others leave their bit and go.
 *  - A cancellation takes parked operations out. One that is in a thread's hands is not
 *    parked; for it the record counts cancellations, and before it is parked the count is
 *    compared with the one noted when it left its place. So either the cancellation finds it
 *    or it finds the cancellation.
 *  - A record's socket stays open while an operation is in a thread's hands, since the
 *    operation is in flight and port_close_socket() forbids that. No call is ever made for a
 *    descriptor that is someone else's by now.
 *  - An event that was fetched before its socket was closed has the generation of then. It is
 *    compared under the lock, counted and dropped, also when the descriptor's number has been
 *    given out again. Records are never unmapped.
 *
 * Order of locks: a record's lock before the port's.
 */
#ifndef PAIRPORT_PORT_EPOLL_EPOLL_H
#define PAIRPORT_PORT_EPOLL_EPOLL_H

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"
#include "base/list.h"
#include "os/os.h"
#include "port/op.h"
#include "port/port.h"

#define CACHE_LINE 64

/* ---- operations and queues of them ---- */

/* The backend's record at the head of an operation. How far a WRITE has got is in op->bytes. */
struct native {
    struct op *next;  /* in the queue it is in, if any */
    uint32_t cancels; /* of the record, when the operation left its place there */
    bool put_off;     /* in a queue: to be run again before it can be handed out */
};
_Static_assert(sizeof(struct native) <= OP_NATIVE_SIZE, "the record fits");

static inline struct native *native_of(struct op *op)
{
    return (struct native *)(void *)op->native;
}

/* A queue of operations, first in, first out. All zero is empty. */
struct queue {
    struct op *head, *tail;
};

static inline void queue_push(struct queue *queue, struct op *op)
{
    native_of(op)->next = NULL;
    if (queue->head == NULL)
        queue->head = op;
    else
        native_of(queue->tail)->next = op;
    queue->tail = op;
}

static inline void queue_push_front(struct queue *queue, struct op *op)
{
    native_of(op)->next = queue->head;
    if (queue->head == NULL)
        queue->tail = op;
    queue->head = op;
}

static inline struct op *queue_pop(struct queue *queue)
{
    struct op *op = queue->head;
    if (op != NULL)
        queue->head = native_of(op)->next;
    return op;
}

/* Moves all of `from` to the end of `to`. */
static inline void queue_splice(struct queue *to, struct queue *from)
{
    if (from->head == NULL)
        return;
    if (to->head == NULL)
        to->head = from->head;
    else
        native_of(to->tail)->next = from->head;
    to->tail = from->tail;
    from->head = NULL;
}

/* ---- records ---- */

enum {
    OPEN = 1,         /* between attach and close */
    READABLE = 2,     /* no receive or accept has come up empty since the last edge */
    WRITABLE = 4,     /* an edge said so, and no send has looked since */
    ENDED = 8,        /* FIN, reset or an error was seen: a short receive is not the end */
    URGENT = 16,      /* so it is with urgent data, at which a receive stops short */
    WATCHED = 32,     /* registered with epoll */
    WATCHED_OUT = 64, /* registered for EPOLLOUT as well */
    ACCEPTS = 128     /* a listening socket that is registered */
};

struct record {
    alignas(CACHE_LINE) struct os_mutex lock; /* guards all but `cancels` and `reset` */
    uint32_t generation;                      /* counts the sockets that had this number */
    uint8_t flags;
    atomic_bool reset;    /* a call said ECONNRESET: the kernel tells that only once */
    atomic_uint cancels;  /* cancellations of this socket's operations; changed under lock */
    struct op *reader;    /* the parked READ */
    struct op *writer;    /* the parked WRITE or CONNECT */
    struct queue accepts; /* the parked ACCEPTs of a listener */
};
_Static_assert(sizeof(struct record) == CACHE_LINE, "a record is one cache line");

#define CHUNK_BITS    10
#define CHUNK_RECORDS (1u << CHUNK_BITS)
#define CHUNKS        16384u /* descriptors below 2^24 */

/* ---- workers and the port ---- */

/* Each is written by one thread only; an atomic, since others read it. */
struct counters {
    atomic_uint_fast64_t submits[OP_WAKE + 1];
    atomic_uint_fast64_t completions[OP_WAKE + 1];
    atomic_uint_fast64_t waits, wakeups, reads, writes, stale_events;
};

/* One thread's part of a port. Threads that did not enter have none: their results go to the
 * inbox, their counts to port->foreign. */
struct worker {
    alignas(CACHE_LINE) struct port *port;
    struct queue ready; /* finished or unfinished operations, this worker's alone */
    unsigned ready_count;
    unsigned turns;          /* calls of port_wait() since epoll was last asked */
    unsigned handed;         /* operations handed out since then */
    uint64_t extra_until_us; /* monotonic: it came to help and goes back then; 0: it stays */
    struct pipe {
        int out, in;
        uint32_t room; /* bytes; 0: there is none */
    } pipe;            /* owned, of splice.c; empty between its calls */
    struct list link;  /* in port->workers */
    struct counters counters;
};

struct port {
    int epoll_fd;
    int event_fd; /* edge-triggered and never read: each write wakes a worker for the inbox */
    bool shared;  /* for several workers; else the reserve below does not exist */
    _Atomic(struct record *) *chunks; /* [CHUNKS]; a chunk is made once and stays */

    /* who serves, see reserve.c */
    alignas(CACHE_LINE) atomic_bool has_leader; /* a worker waits for epoll */
    atomic_uint serving;                        /* workers that are not in reserve */
    atomic_uint reserves;                       /* workers that sleep there, or are about to */
    atomic_uint fetches;                        /* times that epoll was asked */
    atomic_bool watch_set;                      /* timer_fd will wake one of the reserve */
    atomic_bool called;                         /* call_fd does */
    atomic_uint_fast64_t watch_after_us;        /* not before then, monotonic */
    unsigned half;                              /* of the processors, rounded down */
    int reserve_fd;                             /* the epoll instance they sleep on */
    int timer_fd, call_fd;                      /* edge-triggered there and never read */
    struct os_mutex watch_lock;                 /* guards `watch` */
    struct watch {
        unsigned fetches;  /* as they were at the last look */
        unsigned busy;     /* looks in a row that found no leader */
        uint64_t began_us; /* monotonic, and what was idle then, at the look that counts */
        uint64_t began_idle_us;
    } watch;

    alignas(CACHE_LINE) struct os_mutex lock; /* guards the rest */
    struct queue inbox;                       /* for any worker, see inbox_splice() */
    struct list workers;
    struct counters foreign; /* of threads without a worker and of workers that left; added to
                              * without the lock */
};

/* The calling thread's worker of this port, or NULL. */
struct worker *worker_of(const struct port *port);

/* The calling thread becomes that worker; NULL: none any more. */
void worker_bind(struct worker *worker);

/* Adds to a counter of this worker, or of the port when `worker` is NULL. */
#define count_up(port, worker, field)                                                          \
    do {                                                                                       \
        if ((worker) != NULL)                                                                  \
            counter_step(&(worker)->counters.field);                                           \
        else                                                                                   \
            atomic_fetch_add_explicit(&(port)->foreign.field, 1, memory_order_relaxed);        \
    } while (0)

static inline void counter_step(atomic_uint_fast64_t *counter)
{
    uint64_t now = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, now + 1, memory_order_relaxed);
}

/* Queues a finished operation on this worker's ready list; without a worker, in the inbox, and
 * wakes one. `code` is the errno behind the error. */
void worker_finish(struct port *port, struct worker *worker, struct op *op, enum err err,
                   int code);

/* Queues an operation likewise that is to be run again before it can be handed out. */
void worker_put_off(struct port *port, struct worker *worker, struct op *op);

#define INBOX_DATA UINT64_MAX /* epoll's word for the event_fd; no socket has this number */

/* Queues operations for any worker and wakes one; `from` is empty afterwards. */
void inbox_splice(struct port *port, struct queue *from);

/* Moves a share of the inbox to this worker's ready list. */
void inbox_take(struct port *port, struct worker *worker);

/* One call of epoll_wait that is counted. */
static inline int wait_on(struct worker *worker, int epoll_fd, struct epoll_event *events,
                          int max, int timeout_ms)
{
    counter_step(&worker->counters.waits);
    if (timeout_ms != 0) /* may sleep; whether it did, the system does not tell */
        counter_step(&worker->counters.wakeups);
    return epoll_wait(epoll_fd, events, max, timeout_ms); /* EINTR: nothing after all */
}

/* Registers an eventfd or timerfd that is never read, edge-triggered. */
enum err watch_counter(int epoll_fd, int fd, uint64_t data);

/* Writes to such an eventfd: one of those who wait for it wakes up. */
void wake_one(int fd);

/* ---- reserve.c ---- */

enum err reserve_open(struct port *port);
void reserve_close(struct port *port);

/* A worker begins, and ends, to serve. */
void reserve_enter(struct port *port);
void reserve_leave(struct port *port);

/* True: the worker came to help, its time is over, and others serve. */
bool reserve_is_due(struct port *port, struct worker *worker);

/* Sleeps until the worker is needed, or timeout_ms is over (-1: never). At once, when nobody
 * else serves. */
void reserve_sleep(struct port *port, struct worker *worker, int timeout_ms);

/* The calling worker is about to wait for epoll; false: another one does. */
bool reserve_lead(struct port *port);
/* It has waited. */
void reserve_stop_leading(struct port *port);

/* There is more to do at once than one worker should. */
void reserve_call(struct port *port);

/* ---- records.c ---- */

enum err records_open(struct port *port);
void records_close(struct port *port);            /* frees them; every socket is closed */
unsigned records_in_use(const struct port *port); /* when no other thread uses the port */

/* The record of a socket that was attached. */
static inline struct record *record_of(const struct port *port, sock_t sock)
{
    struct record *chunk =
        atomic_load_explicit(&port->chunks[(size_t)sock >> CHUNK_BITS], memory_order_acquire);
    return &chunk[(size_t)sock & (CHUNK_RECORDS - 1)];
}

/* Sees to it that edges of this socket come from now on, EPOLLOUT among them if `out`. What
 * is so already comes as an edge, too. With the record's lock held. 0 or an errno. */
int record_watch(const struct port *port, struct record *record, sock_t sock, bool out);

/* Why record_watch() failed: the user's limit of watches, or memory. */
enum err record_watch_error(int code);

/* The number of cancellations so far. Whoever calls this outside the lock holds an operation
 * that is in flight, and compares the number under the lock later. */
static inline uint32_t record_cancels(const struct record *record)
{
    return atomic_load_explicit(&record->cancels, memory_order_relaxed);
}

/* Takes READABLE away before a receive. With the lock held. True when a short receive would
 * not mean that nothing is left. */
static inline bool record_take_readable(struct record *record)
{
    record->flags &= (uint8_t)~READABLE;
    return (record->flags & (ENDED | URGENT)) != 0;
}

static inline bool would_block(int code)
{
    return code == EAGAIN || code == EWOULDBLOCK;
}

/* ---- ops.c ---- */

/* Runs an operation again that was put off. */
void op_resume(struct port *port, struct worker *worker, struct op *op);

/* Takes what epoll said about a socket: remembers it and runs what waited for it. `data` is
 * what record_watch() registered. */
void op_on_edge(struct port *port, struct worker *worker, uint64_t data, uint32_t events);

/* ---- splice.c ---- */

/* Makes the worker's pipe, if the system has the descriptors; closes it, if there is one. */
void splice_open(struct worker *worker);
void splice_close(struct worker *worker);

/* ---- stream.c and opening.c ----
 * An operation is started once, by start, and run once more whenever it was parked and an edge
 * has come. `cancels` is what record_cancels() said when the operation was submitted or left
 * its place; `unsure` what record_take_readable() said then. Each ends with the operation
 * finished or parked; what is parked is not touched any more. */
void read_start(struct port *port, struct worker *worker, struct record *record, struct op *op);
void read_run(struct port *port, struct worker *worker, struct record *record, struct op *op,
              bool unsure, uint32_t cancels);
void write_run(struct port *port, struct worker *worker, struct record *record, struct op *op,
               uint32_t cancels);
/* The end of what can be received: 0 bytes, or an errno. Gives the errno to report, 0 for FIN. */
int end_of_stream(struct record *record, int code);

/* A send failed with this errno: remembers a reset, which the kernel tells only once. */
void send_failed(struct port *port, sock_t sock, int code);
void connect_start(struct port *port, struct worker *worker, struct record *record,
                   struct op *op, uint32_t cancels);
void connect_end(struct port *port, struct worker *worker, struct op *op, uint32_t events);
void accept_start(struct port *port, struct worker *worker, struct record *record,
                  struct op *op);
/* Takes clients for this ACCEPT and, while they come, for the parked ones. READABLE was taken
 * away. */
void accept_run(struct port *port, struct worker *worker, struct record *record, struct op *op,
                uint32_t cancels);

#endif
