/* pair_private.h - what the files that make up a pair share. */
#ifndef PAIRPORT_RELAY_SESSION_PAIR_PRIVATE_H
#define PAIRPORT_RELAY_SESSION_PAIR_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/reason.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/session/admission.h"
#include "relay/session/connecting.h"
#include "relay/session/proxy_header.h"

/* How often a timer looks for what no operation would report (see pair.h). */
#define CHECK_SOON_MS  250  /* connecting, half-closed */
#define CHECK_STALL_MS 1000 /* a sink takes nothing */
#define CHECK_CLOSE_MS 1000 /* closing, or too late: cancel again, should anything be left */

static inline struct flow *pair_flow_from(struct pair *pair, const struct side *side)
{
    return side == &pair->client ? &pair->up : &pair->down;
}

static inline struct flow *pair_flow_to(struct pair *pair, const struct side *side)
{
    return side == &pair->client ? &pair->down : &pair->up;
}

static inline struct side *pair_other_side(struct pair *pair, const struct side *side)
{
    return side == &pair->client ? &pair->upstream : &pair->client;
}

/* Gives the pair's timer its meaning. Before anybody else knows the pair. */
void pair_init_timer(struct pair *pair);

/* Puts the pair, whose client was admitted so, into the table, and begins with its PROXY header or
 * its first try, all under its lock: whoever finds the pair may end it, and it must not be gone before it began. The pair may
 * be over and gone when this returns; the reason says why, REASON_NONE when it is not. Without
 * the lock. */
enum reason pair_first_step(struct pair *pair, struct worker *worker,
                            const struct admission *admission);

/* The client is turned away no more: what happens to it now happens to a session. Counts once.
 * With the lock, or when the pair is over. */
static inline void pair_count_session(struct pair *pair, struct worker *worker)
{
    if (pair->counted_session)
        return;
    pair->counted_session = true;
    stat_add(worker->relay->stat, worker->number, pair->route->scope, STAT_SESSIONS, 1);
}

/* ---- events; with the lock ---- */

/* The end of every event: what follows from it for the pair, then unlocks. The pair may be gone
 * when this returns. */
void pair_leave(struct pair *pair, struct worker *worker);

void pair_connect_step(struct pair *pair, struct worker *worker, struct connect_step step);
void pair_proxy_header_step(struct pair *pair, struct worker *worker,
                            struct proxy_header_step step);
void pair_flow_event(struct pair *pair, struct worker *worker, struct flow *flow,
                     enum flow_event event);
void pair_side_failed(struct pair *pair, struct worker *worker, struct side *side,
                      enum err err);

/* ---- the timer; with the lock ---- */

/* Moves the next check to `in_ms` from now. A parked flow still goes on in time. */
void pair_arm(struct pair *pair, struct worker *worker, uint64_t in_ms);

/* Arms the timer for the next check, or for a parked flow if that is sooner. */
void pair_arm_again(struct pair *pair, struct worker *worker);

/* The rates of its route are others than when it saw them last. */
static inline bool pair_is_repaced(const struct pair *pair)
{
    return pair->seen.repaced != atomic_load(&pair->route->repaced);
}

/* A flow was parked; a flow waits for its sink. The timer fires in time for that. */
void pair_arm_parked(struct pair *pair, struct worker *worker);
void pair_arm_stalled(struct pair *pair, struct worker *worker);

/* Arms the timer for the deadline of a client that has no upstream yet, or for an earlier check. */
void pair_arm_waiting(struct pair *pair, struct worker *worker);
void pair_arm_proxy_header(struct pair *pair, struct worker *worker);

/* For how long nothing has moved, and no pace was the cause of it. */
uint64_t pair_quiet_ms(const struct pair *pair, uint64_t now_ms);

/* The next thing that ends the session unless something happens. */
struct pair_deadline {
    enum reason reason;
    uint64_t left_ms; /* 0: it is due; UINT64_MAX: there is none */
};

/* While connected. Takes note of a thaw, and begins a window of min_rate when one is over. */
struct pair_deadline pair_next_deadline(struct pair *pair, uint64_t now_ms);

/* A flow goes on that was parked. */
void pair_credit_pause(struct pair *pair, const struct flow *flow, uint64_t now_ms);

/* Sees how far the systems have got with what they were given; costs a call for each side that
 * had something left, or got more since the last update. While connected. */
void pair_update_delivered(struct pair *pair, struct worker *worker);

/* True when a reset of this side would not overtake bytes that were handed to its system, as far
 * as that tells. Updates first. */
bool pair_is_delivered(struct pair *pair, struct worker *worker, struct side *side);

/* True when this side was passed a FIN, so that what is left is its system's to deliver, and an
 * end of the session for this reason leaves it to that. As of the last update. */
bool pair_ends_in_order(const struct pair *pair, const struct side *side, enum reason reason);

/* One side is broken: the other one gets what came before, then a reset as well. */
void pair_pass_reset_on(struct pair *pair, struct worker *worker);

/* ---- the end; with the lock but the last ---- */

/* Nothing is submitted from here on; what is in flight comes out, then the pair is released. */
void pair_begin_closing(struct pair *pair, struct worker *worker);

/* The relay or an operator ends the session: neither side may take its stream for complete. */
void pair_abort(struct pair *pair, struct worker *worker, enum reason reason);

/* The only place where a pair ends: it is closing and nothing is in flight. Before that the
 * system may still write into its memory. */
void pair_release(struct pair *pair, struct worker *worker);

/* After pair_release(), without the lock: out of the table, the timers and the counts. */
void pair_finalize(struct pair *pair, struct worker *worker);

#endif
