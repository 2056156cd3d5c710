/* lifecycle.h - how the relay begins and ends.
 *
 * The relay consists of parts: itself, its listeners, its pairs. Stopping closes the listeners
 * and, at the deadline, ends the pairs; when the last part has ended, one EXIT message goes
 * from worker to worker, and each ends when it gets it. So no worker ends while anything is in
 * flight (on Windows that would cancel its operations).
 *
 * Threads: as each function says.
 */
#ifndef PAIRPORT_RELAY_CORE_LIFECYCLE_H
#define PAIRPORT_RELAY_CORE_LIFECYCLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "os/os.h"
#include "port/op.h"
#include "relay/core/timers.h"
#include "relay/queue/drain.h"

struct relay;
struct worker;

struct lifecycle {
    _Atomic uint32_t parts;    /* that have not ended */
    _Atomic bool running;      /* the workers have begun to work */
    _Atomic bool stopping;     /* takes no new clients */
    _Atomic bool handing_over; /* but those whose ACCEPT was in flight when it began to stop */
    _Atomic uint64_t stop_at_ms; /* monotonic: when the remaining sessions are ended */

    struct op start, stop, exit; /* WAKE messages to the workers */
    struct timer deadline;       /* fires at stop_at_ms, then every second */
    struct drain drain;          /* of all sessions, while a stop ends them evenly */
    struct timer second;         /* fires every second: statistics, held back log lines */

    struct os_mutex lock; /* guards what follows */
    struct os_cond changed;
    unsigned workers;   /* threads there are, or were */
    unsigned entered;   /* workers that have begun, or failed to */
    unsigned leaving;   /* workers that have got the EXIT message, or failed to begin */
    unsigned left;      /* of these, those that have left the port */
    enum err enter_err; /* of a worker that could not begin */
    bool accepting;     /* the listeners have been started */
};

void lifecycle_init(struct relay *relay);

/* A part of the relay begins; has ended. Any thread. */
void lifecycle_part_begins(struct relay *relay);
void lifecycle_part_ended(struct relay *relay);

/* For somebody outside who wants to arm a timer: keeps the workers until lifecycle_part_ended(),
 * unless they have not begun yet, or end already. Any thread. */
bool lifecycle_keep(struct relay *relay);

/* Starts the workers, asks whether the relay is to begin (server.h: ready) and has the workers
 * take clients. On an error none runs; `why` got a line unless it is the threads'. By the owner. */
enum err lifecycle_start(struct relay *relay, struct str *why);

/* See server_stop() and server_stop_over(). Any thread. */
void lifecycle_stop(struct relay *relay, bool now);
void lifecycle_stop_over(struct relay *relay, uint64_t over_ms);

/* See server_hand_over(). Any thread but a worker. */
bool lifecycle_hand_over(struct relay *relay, uint32_t timeout_ms);

/* See server_wait_stopped(). Any thread but a worker. */
bool lifecycle_wait_stopped(struct relay *relay, uint32_t timeout_ms);
bool lifecycle_is_stopped(struct relay *relay);

/* The calling worker has begun, or failed to with `err`. */
void lifecycle_worker_entered(struct worker *worker, enum err err);

/* The calling worker has got the EXIT message. True for the last one there is: nobody else
 * takes what is left in the port. */
bool lifecycle_worker_leaves(struct worker *worker);

/* The calling worker has left the port; unless it was the last, the next one gets EXIT. */
void lifecycle_worker_left(struct worker *worker, bool last);

/* A START or STOP message came out. By workers. */
void lifecycle_on_wake(struct worker *worker, struct op *op);

#endif
