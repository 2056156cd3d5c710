/* What becomes of bytes after the system took them; see pair.h. */
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/session/pair_private.h"

/* A WRITE in flight is given to the system as a whole (Windows) or in parts (Linux). */
static uint64_t handed_to(struct pair *pair, const struct side *side)
{
    const struct flow *flow = pair_flow_to(pair, side);
    return side->header_bytes + flow->bytes + (flow_writes(flow) ? flow->op.len : 0);
}

/* How many bytes got on since the last update, at least, when the flow itself moved none. Growing
 * is no less: while a WRITE waits the system takes more only when it got rid of some. */
static uint64_t got_on(const struct side *side, uint64_t unacked, bool writes)
{
    if (unacked <= side->unacked)
        return side->unacked - unacked;
    return writes ? unacked - side->unacked : 0;
}

static void ask(struct pair *pair, struct worker *worker, struct side *side)
{
    uint64_t handed = handed_to(pair, side), unacked;
    bool moved = handed != side->handed;
    side->handed = handed;
    if (side->tells_nothing || !sock_unacked(side->sock, handed, &unacked)) {
        side->tells_nothing = true;
        side->unacked = 0;
        return;
    }
    uint64_t went = moved ? 0 : got_on(side, unacked, flow_writes(pair_flow_to(pair, side)));
    side->unacked = unacked;
    side->went += went;
    if (moved)
        side->took_ms = pair->deadlines.last_byte_ms; /* that of this flow, or later */
    if (went > 0)
        side->took_ms = pair->deadlines.last_byte_ms = worker->now_ms;
}

static void update_delivered(struct pair *pair, struct worker *worker, struct side *side)
{
    bool something_left = side->unacked > 0 || side->handed != handed_to(pair, side) ||
                          flow_writes(pair_flow_to(pair, side));
    if (something_left && !side->reset)
        ask(pair, worker, side);
}

void pair_update_delivered(struct pair *pair, struct worker *worker)
{
    update_delivered(pair, worker, &pair->client);
    update_delivered(pair, worker, &pair->upstream);
}

/* Without a word of the system only what was never given to it is sure not to be left. */
static bool nothing_left(const struct side *side)
{
    return side->tells_nothing ? side->handed == 0 : side->unacked == 0;
}

bool pair_is_delivered(struct pair *pair, struct worker *worker, struct side *side)
{
    ask(pair, worker, side);
    return nothing_left(side);
}

bool pair_ends_in_order(const struct pair *pair, const struct side *side, enum reason reason)
{
    const struct flow *flow = side == &pair->client ? &pair->down : &pair->up;
    if (flow->state != FLOW_SHUT)
        return false;
    switch (reason) {
    case REASON_KILLED:
    case REASON_BAN: return false;
    case REASON_HALF_CLOSE_TIMEOUT:
    case REASON_BACKLOG_AGE:
    case REASON_MIN_RATE:
        return side->tells_nothing || nothing_left(side); /* else it took nothing for so long */
    default: return !nothing_left(side);
    }
}
