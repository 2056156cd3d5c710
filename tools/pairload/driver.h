/* driver.h - a thread of the load generator: a port of its own and its share of connections.
 *
 * Threads: driver_start() and driver_join() from the main thread; everything else from the
 * driver's own.
 */
#ifndef PAIRPORT_TOOLS_DRIVER_H
#define PAIRPORT_TOOLS_DRIVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "options.h"
#include "os/os.h"
#include "port/port.h"
#include "result.h"

struct conn;

/* With a warm-up: what the drivers agree on about the time that is measured. */
struct window {
    _Atomic uint32_t connecting; /* drivers with connections that are yet to be established */
    _Atomic uint64_t start_us;   /* 0: not known yet */
};

struct driver {
    const struct options *options;   /* not owned */
    struct result *result;           /* not owned */
    struct window *window;           /* not owned */
    const _Atomic bool *interrupted; /* not owned; true ends the run early, in order */
    struct port *port;
    struct os_thread *thread;
    unsigned index;

    struct conn *conns; /* owned, conn_count of them */
    uint32_t conn_count;
    uint32_t begun;      /* the first of `conns` that have been started */
    uint32_t connecting; /* of these, not yet established */
    uint32_t ended;      /* of these, over for good */
    uint32_t retrying;   /* of these, to be begun again in a moment */
    uint64_t streams;    /* how many connections were begun, for their numbers */

    uint64_t start_us;   /* when the first connect began */
    uint64_t now_us;     /* read once a turn */
    uint64_t end_us;     /* what is measured ends, and without a warm-up no more messages begin;
                            UINT64_MAX: there is no such time */
    bool established;    /* all of `conns` have been connected, or have failed to */
    bool measuring;      /* what comes now counts */
    uint64_t budget;     /* messages that may still begin */
    bool finishing;      /* time is over: what is on its way comes back, nothing new begins */
    uint64_t scanned_us; /* when stalled connections were last looked for */

    uint64_t paced_us;   /* MODE_PACED: due time of the driver's first message, 0 before */
    uint64_t paced_next; /* number of the driver's next message */

    enum err err; /* why the driver could not run */
};

/* `driver` is zeroed but for options, result, window, interrupted and index. */
enum err driver_start(struct driver *driver);
enum err driver_join(struct driver *driver); /* waits for its end and frees what it held */

/* ---- what connections ask of their driver ---- */

void driver_on_open(struct driver *driver, struct conn *conn); /* established */
/* All that was allowed has been sent; more may be allowed by setting conn->allowed, or
 * conn->finish. */
void driver_on_all_sent(struct driver *driver, struct conn *conn);
void driver_on_message(struct driver *driver, struct conn *conn); /* an echo came back whole */
/* MODE_FLOOD: the other side has ended it before the echo. */
void driver_on_turned_away(struct driver *driver, const struct conn *conn);
void driver_on_closed(struct driver *driver, struct conn *conn, bool failed);

#endif
