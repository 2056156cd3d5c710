/* listener.h - one listening socket of a route, with several ACCEPTs posted.
 *
 * A failed ACCEPT never ends a listener. After an aborted client one more ACCEPT is posted.
 * When the machine has no descriptors or memory left, the listener is starved: its ACCEPTs
 * rest, and it tries again after 50 ms, then less and less often, at least once a second.
 * Clients wait in the system's backlog meanwhile. While descriptors are few, it takes one
 * client after the other, each only when there is a descriptor for its upstream as well, so
 * that none has to be refused.
 *
 * A range of ports has a listener for each port. When there are many, each has fewer ACCEPTs
 * posted: on Windows every ACCEPT holds a socket.
 *
 * A listener whose address overlaps with that of the listener it replaces is bound beside it,
 * and listens just before the relay is quiesced for the reload (os/beside.h). The old one
 * lingers: for a moment it serves clients that had begun to connect to it, and leaves all
 * others to its successor.
 *
 * Threads: workers; listener_open() and listener_free() by the server. listener_stop() from any
 * worker.
 */
#ifndef PAIRPORT_RELAY_ACCEPT_LISTENER_H
#define PAIRPORT_RELAY_ACCEPT_LISTENER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"
#include "os/os.h"
#include "port/op.h"
#include "relay/core/timers.h"

#define LISTENER_ACCEPTS 8

struct relay;
struct relay_route;
struct worker;

struct listener;

struct accept_slot {
    struct op op; /* its owner is the listener */
    _Alignas(8) unsigned char scratch[OP_ACCEPT_SCRATCH];
    bool resting; /* not in flight because the listener is starved or stopped */
};

struct listener {
    struct os_mutex lock;      /* guards what follows but the first five */
    struct relay *relay;       /* not owned */
    struct relay_route *route; /* not owned; may be another one after a reload */
    struct addr addr;          /* with its own port */
    bool dual_stack;
    struct addr bound;    /* where its socket is: `addr`, or 0.0.0.0 where there is no IPv6 */
    uint16_t port_offset; /* in the range of its line; likewise */
    sock_t sock;          /* SOCK_NONE once closed */
    bool open;            /* it has a socket, for those who wait; under listening.lock */
    bool nodelay;         /* of the socket, and of those accepted there */
    unsigned in_flight;
    bool stopping;
    bool again;           /* bound where this process has closed a socket; see os/beside.h */
    bool lingers;         /* it has a successor: it will stop, but not at once */
    _Atomic bool starved; /* read by the console without the lock */
    uint32_t back_off_ms; /* until the next try */
    struct timer retry;
    unsigned slot_count; /* 1..LISTENER_ACCEPTS */
    struct accept_slot slots[];
};

/* Binds and listens, or adopts an inherited socket. On a system without IPv6 a listener
 * for all addresses is one for all of IPv4, of which the log tells. Nothing is accepted yet.
 * Errors of sock_listen() and port_attach(). */
enum err listener_open(struct listener **out, struct relay_route *route,
                       const struct conf_listen *conf, uint16_t port_offset);

/* The same beside `others`, listeners that it is to replace: it is bound, and listener_listen()
 * has it listen. Either way beside_end() is due for their sockets. ERR_UNSUPPORTED: they have to
 * close first. */
enum err listener_open_beside(struct listener **out, struct relay_route *route,
                              const struct conf_listen *conf, uint16_t port_offset,
                              const sock_t others[], size_t other_count);
enum err listener_listen(struct listener *listener);

/* The listener was stopped and its socket is closed: it listens again, as before. Errors of
 * listener_open(). By the thread that reloads. */
enum err listener_reopen(struct listener *listener);

/* As listener_open(), where the listeners that were in the way have just been closed. */
enum err listener_open_again(struct listener **out, struct relay_route *route,
                             const struct conf_listen *conf, uint16_t port_offset);

/* True where the system would not let the two listen at the same time. */
bool listener_overlaps(const struct listener *listener, const struct conf_listen *conf,
                       uint16_t port_offset);

/* Adds why a port can't be listened on: the route, the address as it is configured, the error,
 * and who listens there, where the system tells. */
void listener_tell_failure(struct str *why, const char *route, const struct conf_listen *conf,
                           uint16_t port_offset, enum err err);

/* Posts the ACCEPTs. */
void listener_start(struct listener *listener, struct worker *worker);

/* An ACCEPT came out. */
void listener_on_done(struct worker *worker, struct op *op);

/* Stops accepting; the socket closes when the last ACCEPT has come out. One that lingers
 * does so later. */
void listener_stop(struct listener *listener, struct worker *worker);
void listener_retire(struct listener *listener, struct worker *worker);

/* Its socket is closed, and no ACCEPT is left. Any thread. */
bool listener_is_closed(struct listener *listener);

/* Frees a listener that was stopped, or never started. */
void listener_free(struct listener *listener);

#endif
