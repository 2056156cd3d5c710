/* How a pair passes a reset of one side on to the other; see pair.h. */
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/session/pair_private.h"

#define CHECK_FLUSH_MS     32 /* a reset waits until the last bytes are out; a second long */
#define CHECK_FLUSH_FOR_MS 1000

static bool is_overdue(const struct pair *pair, uint64_t now_ms)
{
    return pair_quiet_ms(pair, now_ms) >= pair->route->conf->half_close_timeout_ms;
}

void pair_pass_reset_on(struct pair *pair, struct worker *worker)
{
    struct side *broken = pair->client.reset ? &pair->client : &pair->upstream;
    struct side *other = pair_other_side(pair, broken);
    if (other->reset || other->sock == SOCK_NONE || pair->phase < PHASE_DATA) {
        pair_begin_closing(pair, worker);
        return;
    }
    const struct flow *flow = pair_flow_from(pair, broken);
    bool begins = flow->state == FLOW_NEW; /* what came early is sent when its READ is out */
    bool rest_moves = begins || flow->state == FLOW_OPEN;
    bool delivered = pair_is_delivered(pair, worker, other) && !rest_moves;
    if (delivered || is_overdue(pair, worker->now_ms)) {
        pair_begin_closing(pair, worker);
        return;
    }
    bool soon = !rest_moves && pair_quiet_ms(pair, worker->now_ms) < CHECK_FLUSH_FOR_MS;
    pair_arm(pair, worker, soon ? CHECK_FLUSH_MS : CHECK_SOON_MS);
}
