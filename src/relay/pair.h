/* pair.h - a session: an accepted client, its upstream, and what becomes of them.
 *
 *   ACCEPT ──> CONNECT ──> DATA ──> HALF_CLOSED ──> (over)      any phase ──> (over) by an error, a
 *    (PROXY     ^   │ failed: next upstream, as often as         deadline, a kill
 *    header)    │   v connect_retries allows
 *              HELD: no upstream takes it right now
 *
 * A pair ends in one place: it is closing and nothing is in flight. Until then its memory and
 * its sockets stay. A reset of one side is passed on to the other as a reset, after the bytes
 * that came before it were acknowledged (or half_close_timeout passed without any progress, or
 * without a word of the system about it).
 *
 * While no READ waits on a side (connecting, after its FIN, while a stalled sink holds its
 * flow), nothing would report that it was reset. So the timer checks: a few times a second while
 * connecting and half-closed, once a second during a stall, which it notices within ten seconds.
 *
 * The system's send buffer takes much more than a slow reader has received, and no operation
 * tells how much of it the peer has acknowledged. So the timer asks the system: acknowledged bytes
 * are progress like moved bytes, for every deadline, also after the FIN was passed on. A side that
 * was passed a FIN has a complete stream. At half_close_timeout it is closed in order, and also at
 * any other end while bytes are left, which the system then delivers. It is reset when it
 * acknowledged nothing during the whole deadline, and when an operator kills the session.
 *
 * The same timer makes parked flows go on (flow.h) and checks the deadlines of a connected
 * session. Time during which the relay itself holds a session back is not the peers' fault: while
 * a flow is paced or the route is frozen, idle_timeout, min_rate and (except after a reset)
 * half_close_timeout do not run; while it is frozen, first_byte_timeout does not run either.
 *
 * Threads: workers call with no lock held; every function locks the pair itself. A reference keeps
 * the memory of a pair for somebody who found it in the table or by its timer.
 */
#ifndef PAIRPORT_RELAY_PAIR_H
#define PAIRPORT_RELAY_PAIR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/list.h"
#include "base/reason.h"
#include "os/os.h"
#include "os/sock.h"
#include "relay/core/timers.h"
#include "relay/server_info.h"
#include "relay/session/flow.h"
#include "route/route.h"

struct client;
struct relay;
struct relay_route;
struct session_filter;
struct worker;

struct side {
    sock_t sock;      /* SOCK_NONE: not there, or closed */
    struct addr peer; /* the other end; the target while connecting */
    bool reset;       /* it is known to be broken: nothing more can be sent to it */
    bool abort;       /* close it with a reset */

    /* What has become of the bytes that flow towards it, as the timer saw it last. */
    bool tells_nothing;    /* the system does not say what the peer has acknowledged */
    uint32_t header_bytes; /* bytes of the relay's own header, sent before those of the flow */
    uint64_t handed;       /* given to the system, or being given */
    uint64_t unacked;      /* of these, not acknowledged by the peer */
    uint64_t went;         /* seen to get on although the flow itself moved nothing meanwhile */
    uint64_t took_ms;      /* when it was seen last that some had got on */
};

/* The connect to an upstream; of session/connecting.c, and of upstream/ what it holds there. */
struct connect_attempt {
    enum {
        ATTEMPT_NONE,
        ATTEMPT_RUNS,      /* a CONNECT is in flight */
        ATTEMPT_TIMED_OUT, /* it was cancelled at its deadline */
        ATTEMPT_WAITS      /* until the server is tried once more */
    } state;
    struct route_cursor cursor;
    uint32_t tries_before;   /* of earlier turns, when the client was held again */
    uint16_t upstream_index; /* in the route, of the current or last try */
    uint16_t source_index;   /* of the route's sources, likewise */
    uint32_t server_index;   /* of the upstream, likewise */
    bool has_place;          /* at that server, see route.h */
    bool has_source;         /* counts among the connections from that source */
    bool server_fails;       /* the connect there before this one failed */
    bool counted_upstream;   /* counts among the upstream's open sessions */
    struct loop_pass *loop;  /* owned; see loop.h */
    uint64_t began_us;       /* monotonic, of the current or last try */
    uint64_t due_ms;         /* its deadline; or when to try again */
    uint64_t connect_us;     /* how long the connect took that stands; 0 before */
    uint64_t connected_ms;   /* when it stood */
};

/* The place in the queue; of session/waiting.c and queue/queue.c. */
struct pair_wait {
    bool was_held;          /* has its place in the order of those that wait */
    bool has_left;          /* its client finished while it waited; written with the lock of
                                the queue held as well */
    _Atomic bool displaced; /* another one got its place in the queue, see queue.h, or among
                                those that wait for their header */
    uint64_t held_ms;       /* when it had to wait first; 0: it never had */
    uint64_t throttled_ms;  /* for how long its route's throttle had been closed by then */
    struct list in_queue;   /* or in its route's `awaiting` */
};

/* What ends a session unless something happens; of session/pair_deadlines.c. */
struct pair_deadlines {
    uint64_t last_byte_ms;    /* last progress either way, or when the phase began */
    uint64_t ending_ms;       /* when the first side finished or failed; 0 before */
    uint64_t resumed_ms;      /* when a paced flow went on last; 0: never */
    uint64_t thawed_ms;       /* when the pair saw last that its route was thawed; 0: never */
    uint64_t rate_from_ms;    /* when the current window of min_rate began; 0: there is none */
    uint64_t rate_from_bytes; /* both ways, moved before it */
    uint64_t rate_from_went;  /* the same of what the systems got on with */
};

/* What the session has taken over from its route. */
struct pair_seen {
    uint32_t options; /* route->options, when the sockets got theirs last */
    uint32_t thaws;   /* of the route's `thaws` */
    uint32_t repaced; /* of its `repaced` */
    bool keepalive;   /* was set on both sockets */
};

struct pair {
    struct os_mutex lock;  /* guards everything below but the fields that never change */
    _Atomic uint32_t refs; /* one for being open, one for each pair_ref() */

    uint64_t id;         /* never changes, like relay, route, started_ms and port_offset */
    struct relay *relay; /* not owned */
    struct relay_route *route; /* not owned */
    uint64_t started_ms;
    uint16_t port_offset; /* of the port it came to, in its listener's range */

    enum phase phase;
    enum {
        PAIR_OPEN,
        PAIR_END_WANTED, /* somebody outside asked for the end; `reason` is set */
        PAIR_CLOSING,    /* no operation is submitted any more */
        PAIR_RELEASED    /* over; only references keep the memory */
    } life;
    enum reason reason; /* the first that decided the end; NONE while open */
    enum phase reason_phase;
    unsigned in_flight;   /* operations of the two flows, 0..2 */
    bool counted_session; /* was admitted */

    struct side client;
    struct side upstream;
    struct client *client_entry;       /* NULL: none */
    struct proxy_header *proxy_header; /* owned; NULL where no PROXY header is read or was */
    struct flow up;                    /* client -> upstream */
    struct flow down;                  /* upstream -> client */

    struct connect_attempt attempt;
    struct pair_wait wait;
    struct pair_deadlines deadlines;
    struct pair_seen seen;

    uint64_t check_ms; /* the next check of the timer; for a parked flow it fires earlier */
    struct timer timer;
    struct list in_table;
};

static inline bool pair_is_closing(const struct pair *pair)
{
    return pair->life >= PAIR_CLOSING;
}

/* A client was accepted on a listener of `route`: admits it and connects the upstream, or turns
 * it away. Owns `sock` from here on. ERR_NO_DESCRIPTORS or ERR_NOMEM tell the listener that the
 * machine is exhausted; the client has been turned away then. */
enum err pair_begin(struct worker *worker, struct relay_route *route, sock_t sock,
                    const struct addr *client, uint16_t port_offset);

/* A held client gets its turn. False: no upstream takes it, and it waits again. */
bool pair_serve(struct pair *pair, struct worker *worker);

/* Connects begun; with the lock, or when it is over. */
static inline uint32_t pair_tries(const struct pair *pair)
{
    return pair->attempt.tries_before + pair->attempt.cursor.tries;
}

/* An operation of the pair's flow came out. */
void pair_on_done(struct worker *worker, struct flow *flow);

/* False when the session is over. `with_tcp` also asks the system about both connections. */
bool pair_get_info(struct pair *pair, bool with_tcp, struct server_session_info *out);

/* ---- core/pair_ref.c ---- */

/* Memory for a pair, all zero but `refs`, which is 1, and `relay`. NULL: there is none. */
struct pair *pair_take(struct relay *relay);

/* One reference more, and one less; the last one gives the memory back. */
void pair_ref(struct pair *pair);
void pair_unref(struct pair *pair);

/* ---- core/sessions.c ---- */

/* Asks a worker to end the pair for this reason; any thread. False: it is ending already. */
bool pair_end(struct pair *pair, enum reason reason);

/* The same, but only where the filter matches; false also when it does not. */
bool pair_end_if(struct pair *pair, const struct session_filter *filter, uint64_t now_ms,
                 enum reason reason);

/* True when the filter matches, and the pair is not ending already. Any thread. */
bool pair_matches(struct pair *pair, const struct session_filter *filter, uint64_t now_ms);

/* The first event that decides the end gives the reason. One side's FIN does not decide yet:
 * what goes wrong after it is worth more. */
void pair_note_reason(struct pair *pair, enum reason reason);

#endif
