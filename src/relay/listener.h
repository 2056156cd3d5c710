/* listener.h - one listening socket of a route, with several ACCEPTs posted.
 *
 * A failed ACCEPT never ends a listener. An aborted client costs one more ACCEPT; when the
 * machine has no descriptors or memory left, the listener is starved: its ACCEPTs rest, and it
 * looks again after 50 ms, then less and less often, at least once a second. Meanwhile clients
 * wait in the system's backlog. While descriptors are few it takes one client after the other,
 * only when there is also a descriptor for its upstream, so that it need not turn one away.
 *
 * A range of ports is a listener each. Where they are many, each has fewer ACCEPTs posted: on
 * Windows every one holds a socket.
 *
 * Threads: workers; listener_open() and listener_free() by the server. listener_stop() from any
 * worker.
 */
#ifndef PAIRPORT_RELAY_LISTENER_H
#define PAIRPORT_RELAY_LISTENER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "config/conf.h"
#include "os/os.h"
#include "port/op.h"
#include "relay/timers.h"

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
    struct relay_route *route; /* not owned; may be another one after a standstill */
    struct addr addr;          /* with its own port */
    bool dual_stack;
    uint16_t port_offset; /* in the range of its line; likewise */
    sock_t sock;          /* SOCK_NONE once closed */
    bool nodelay;         /* of the socket, and of those accepted there */
    unsigned in_flight;
    bool stopping;
    _Atomic bool starved; /* read by the console without the lock */
    uint32_t back_off_ms; /* until the next look */
    struct timer retry;
    unsigned slot_count; /* 1..LISTENER_ACCEPTS */
    struct accept_slot slots[];
};

/* Binds and listens, or adopts a socket of the relay's door. Nothing is accepted yet. Errors of sock_listen() and port_attach(). */
enum err listener_open(struct listener **out, struct relay_route *route,
                       const struct conf_listen *conf, uint16_t port_offset);

/* Posts the ACCEPTs. */
void listener_start(struct listener *listener, struct worker *worker);

/* An ACCEPT came out. */
void listener_on_done(struct worker *worker, struct op *op);

/* Takes no more clients; the socket closes when the last ACCEPT has come out. */
void listener_stop(struct listener *listener, struct worker *worker);

/* Its socket is closed, and no ACCEPT is left. Any thread. */
bool listener_is_closed(struct listener *listener);

/* Frees a listener that was stopped, or never started. */
void listener_free(struct listener *listener);

#endif
