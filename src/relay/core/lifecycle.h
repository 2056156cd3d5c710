/* lifecycle.h - counts the references that keep the workers running.
 *
 * The relay itself, each listener and each pair hold a reference. A stop closes the listeners
 * and, at its deadline, ends the pairs (run.h). When the last reference is gone, one EXIT
 * message passes from worker to worker, and each worker ends when it gets it. So no worker ends
 * while an operation is in flight; on Windows the end of a thread would cancel its operations.
 *
 * Threads: as each function says.
 */
#ifndef PAIRPORT_RELAY_CORE_LIFECYCLE_H
#define PAIRPORT_RELAY_CORE_LIFECYCLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "os/os.h"
#include "port/op.h"
#include "relay/core/timers.h"

struct relay;
struct worker;

struct lifecycle {
    _Atomic uint32_t refs;     /* to the workers */
    _Atomic bool running;      /* the workers have begun to work */
    _Atomic bool stopping;     /* takes no new clients */
    _Atomic bool handing_over; /* but those whose ACCEPT was in flight when it began to stop */
    _Atomic uint64_t stop_at_ms; /* monotonic: when the remaining sessions are ended */

    struct op start, stop, exit; /* WAKE messages to the workers */
    struct timer deadline;       /* fires at stop_at_ms, then every second */
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

/* One reference more, and one less, after which the workers may be gone. Any thread. */
void lifecycle_ref(struct relay *relay);
void lifecycle_unref(struct relay *relay);

/* For somebody outside who wants to arm a timer: a reference, unless the workers have
 * not begun yet, or end already. Any thread. */
bool lifecycle_try_ref(struct relay *relay);

/* Has each limited log of the relay account for what it held back, with log_limit_flush() or
 * log_limit_end(). By a worker. */
void lifecycle_each_log(struct relay *relay,
                        void (*account)(struct log_limit *limit, enum log_level level,
                                        const char *what));

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

#endif
