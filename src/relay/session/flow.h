/* flow.h - one direction of a relayed connection.
 *
 * A flow waits until its source has something (READ with length 0), receives it into its
 * worker's scratch buffer and sends it on, as long as both go at once. What the sink does not
 * take is copied into a buffer of the flow, and a WRITE waits until all of it is gone; only
 * then the flow receives again. So a slow reader holds a fast writer back, and a flow holds
 * memory only while its sink is slow. One operation is enough: a flow either reads or writes.
 * Its state only moves forward.
 *
 *   OPEN  READ 0 ──> receive, send ──┬──> all sent: again, or back to READ 0
 *           ^                        └──> some left: WRITE ──> all sent
 *           └─────────────────────────────────────────────────────┘
 *
 *   FIN from the source: shutdown of the sink, SHUT; an error of either end: DEAD.
 *
 * Where the port itself puts bytes into the buffer of a READ (port_reads_into_buffers()), that
 * saves the receive call of each message, but a buffer lies idle while it waits. So there a
 * flow waits in this way while it is hot: while what comes is small, and comes soon after it
 * began to wait. READ N, with room for N bytes, takes the place of READ 0:
 *
 *   OPEN  READ N ──┬──> bytes, less than N: send ──┬──> all sent: back to READ N, same buffer
 *                  │                               └──> some left: WRITE, from this buffer
 *                  ├──> N bytes: send, then receive, send as above
 *                  └──> nothing for seconds: is cancelled, then READ 0, without a buffer
 *
 * A flow that may not move anything right now, since a pace has no room for it or its route is
 * frozen, is parked before it receives: OPEN, with nothing in flight and no buffer, until its
 * pair's timer has it go on. (Only bytes that came into the buffer of a READ N while the route
 * was being frozen wait in that buffer.)
 *
 * No flow receives what it has no place for. While memory is out and the worker's reserve is used
 * up (buffers.h), a flow looks at what is there, sends it, and only then receives as much as the
 * sink took. One whose sink takes less is parked and tries again after a moment; its bytes wait
 * with the system.
 *
 * Threads: call with the lock of its pair held.
 */
#ifndef PAIRPORT_RELAY_SESSION_FLOW_H
#define PAIRPORT_RELAY_SESSION_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/bucket.h"
#include "port/op.h"
#include "relay/core/buffers.h"
#include "relay/server_info.h"

struct pair;
struct worker;

enum flow_state {
    FLOW_NEW = 0, /* the upstream is not connected yet */
    FLOW_OPEN,    /* the source may still send */
    FLOW_SHUT,    /* FIN came and was passed on to the sink */
    FLOW_DEAD     /* failed or given up; unsent bytes are lost */
};

struct flow {
    struct op op; /* in flight: READ while nothing waits to be sent, WRITE while something
                     does; the down flow's also carries the CONNECT */
    struct pair *pair;
    sock_t source;
    sock_t sink;
    enum flow_state state;
    bool source_broken;    /* the source was reset: what looks like its FIN is none */
    bool busy;             /* a READ or WRITE was submitted and its result not taken yet; unlike
                              op.in_flight, which the port clears, guarded by the pair's lock */
    bool recalled;         /* the running READ was asked to come out without bytes */
    enum err err;          /* why it is DEAD */
    uint32_t room;         /* how much is received at once: grows while the sink keeps up */
    struct buffer buffer;  /* owned; what the running WRITE sends, or the room of a READ */
    uint32_t early;        /* bytes in `buffer` that came before the upstream was connected */
    uint64_t bytes;        /* taken by the sink since the session began */
    uint64_t writes;       /* WRITE operations that took them */
    uint64_t waiting_ms;   /* clock when the running operation was submitted; of a READ
                              only where the port reads into buffers */
    uint64_t window_ms;    /* clock when the current rate window began */
    uint64_t window_bytes; /* moved in it */
    uint64_t bytes_per_s;  /* of the last full window */

    enum flow_park park;
    uint32_t kept;          /* while FROZEN: bytes in `buffer` of a READ that came too late */
    uint32_t granted;       /* bytes that it may move, taken from the buckets in advance */
    struct bucket bucket;   /* what the session may move in this direction */
    uint64_t parked_ms;     /* clock when it was parked */
    uint64_t park_until_ms; /* when it goes on, unless it is FROZEN */
};

/* What a finished operation of a flow came to. */
enum flow_event {
    FLOW_GOES_ON,       /* another operation was submitted */
    FLOW_STALLS,        /* the same, and it is a WRITE: the sink is slow */
    FLOW_PARKED,        /* nothing was submitted; flow_go_on() later */
    FLOW_FINISHED,      /* FIN came and was passed on: the flow is SHUT */
    FLOW_SOURCE_FAILED, /* the source failed: DEAD */
    FLOW_SINK_FAILED,   /* the sink failed: DEAD */
    FLOW_ENDED          /* it was DEAD before; nothing of it is in flight any more */
};

/* Prepares a flow that does nothing yet. */
void flow_init(struct flow *flow, struct pair *pair);

/* Before flow_start(): waits until `sock` has something, without taking it. flow_start() may come
 * while it waits. */
void flow_wait_early(struct flow *flow, sock_t sock, struct worker *worker);

/* That wait came out. False: with an error. */
bool flow_take_early(struct flow *flow);

/* Keeps bytes of the source, `before` and then `bytes`, that go to the sink first of all. `bytes`
 * may be in the worker's scratch buffer, `before` not. False: no memory, and no reserve. Once. */
bool flow_keep_early(struct flow *flow, struct worker *worker, const unsigned char *before,
                     size_t before_len, const unsigned char *bytes, size_t len);

enum flow_early {
    FLOW_EARLY_WAITS, /* for more */
    FLOW_EARLY_FULL,  /* as many bytes are kept as there is room for: it waits for no more */
    FLOW_EARLY_FIN,   /* the source has finished; flow->early tells whether bytes came before */
    FLOW_EARLY_FAILED /* flow->err */
};

/* Before flow_start(), with nothing in flight: receives what `sock` has, up to BUFFER_SMALLEST
 * bytes in all, and keeps it for the sink; then waits for more, so that the end of the stream is
 * seen as soon as it comes. */
enum flow_early flow_listen_early(struct flow *flow, sock_t sock, struct worker *worker);

/* Both ends are connected: sends what came early, then waits for bytes. The flow is parked at
 * once when its route is frozen. */
void flow_start(struct flow *flow, sock_t source, sock_t sink, struct worker *worker);

/* Takes the flow's finished READ or WRITE and submits what follows. */
enum flow_event flow_on_done(struct flow *flow, struct worker *worker);

/* The flow is parked, and its time has come: goes on, or is parked again. */
enum flow_event flow_go_on(struct flow *flow, struct worker *worker);
bool flow_may_go_on(const struct flow *flow, uint64_t now_ms);

static inline bool flow_is_paced(const struct flow *flow)
{
    return flow->park != FLOW_NOT_PARKED && flow->park != FLOW_FROZEN &&
           flow->park != FLOW_NO_BUFFER;
}

/* Parked, and goes on at park_until_ms. */
static inline bool flow_has_time(const struct flow *flow)
{
    return flow->park != FLOW_NOT_PARKED && flow->park != FLOW_FROZEN;
}

/* Bytes that its source has sent, as far as the relay received them. */
uint64_t flow_received(const struct flow *flow);

/* Once in a while, in its pair's timer: an idle flow is made to hold no buffer. */
void flow_release_idle(struct flow *flow, struct worker *worker);

/* Gives up, unless it is SHUT: what is in flight still comes out, nothing follows. */
void flow_kill(struct flow *flow, struct worker *worker);

/* Waits for its source; waits for its sink to take bytes. */
static inline bool flow_reads(const struct flow *flow)
{
    return flow->busy && flow->op.kind == OP_READ;
}

static inline bool flow_writes(const struct flow *flow)
{
    return flow->busy && flow->op.kind == OP_WRITE;
}

/* For the console. */
void flow_get_info(const struct flow *flow, uint64_t now_ms, struct server_flow_info *out);

#endif
