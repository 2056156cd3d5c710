/* endpoint_private.h - the clients of a local endpoint and their places; see endpoint.h.
 *
 * A client has a place from when it was accepted until its thread has ended. When all
 * ENDPOINT_CLIENTS_MAX places are taken, the one that has been idle for longest is dropped for
 * the next. When none can be dropped, since a command runs for each, the next client gets a spare
 * place, where only `takeover` and `shutdown` are served.
 *
 * Threads: the lock of the endpoint is held for every call here.
 */
#ifndef PAIRPORT_CONTROL_CONSOLE_ENDPOINT_PRIVATE_H
#define PAIRPORT_CONTROL_CONSOLE_ENDPOINT_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "control/console/endpoint.h"
#include "os/local.h"
#include "os/os.h"

#define ENDPOINT_SPARES   2 /* one for a takeover, one for a shutdown */
#define ENDPOINT_PLACES   (ENDPOINT_CLIENTS_MAX + ENDPOINT_SPARES)
#define ENDPOINT_STUCK_MS 2000 /* an answer that takes longer to send counts as idle time */

enum client_state {
    CLIENT_IDLE = 0, /* its next line is waited for */
    CLIENT_RUNS,     /* a command runs for it */
    CLIENT_TAKES     /* its answer is being sent */
};

struct client {
    struct endpoint *endpoint;
    struct os_thread *thread; /* NULL: the place is free */
    struct local_conn *conn;  /* NULL when the place is free or its thread ends */
    enum client_state state;
    uint64_t since_ms; /* when the state began, monotonic clock */
    bool spare;        /* has a spare place */
    bool gives;        /* runs a takeover */
    bool dropped;      /* is on its way out, or will be soon; its place does not count */
};

struct endpoint {
    const struct console *console;
    struct local_listener *listener; /* NULL once it is released */
    struct os_thread *thread;        /* takes clients; ends with the listener */

    /* How often each of these is logged. */
    struct log_limit strangers, failed_accepts, dropped;

    struct os_mutex lock;   /* guards all below */
    struct os_cond changed; /* an answer is sent, or a client is gone */
    bool stopping;
    struct os_thread *ended; /* of the client that left last; the next one to leave joins it */
    struct client clients[ENDPOINT_PLACES];
};

/* A free place, another client being dropped for it if need be; waits a moment until that one has
 * left. NULL: none, and none can be dropped. *spare tells which kind of place it is. */
struct client *endpoint_find_place(struct endpoint *endpoint, bool *spare);

/* Drops one client, of whichever place, and waits a moment until it has left; for its
 * descriptors. False: there is none that could be. */
bool endpoint_drop_one(struct endpoint *endpoint);

/* Why the client must not have this line run; NULL: it may. A client in a spare place gets an
 * ordinary one when there is one. */
const char *endpoint_refusal(struct client *client, const char *line, bool takeover);

#endif
