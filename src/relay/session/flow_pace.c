#include "relay/session/flow_pace.h"

#include "policy/bucket.h"
#include "policy/clients.h"
#include "relay/queue/pace.h"
#include "relay/server_info.h"
#include "relay/session/flow.h"

#define PIECE_BYTES  (16 * 1024u) /* worth a turn of its own */
#define BURST_PER_S  20u          /* a burst is at least 1/20 s of its rate */
#define PIECES_PER_S 4u           /* a slow flow moves at least so often */

/* A bucket that has a say, with the pace that counts for it. */
struct share {
    struct bucket *bucket;
    struct conf_pace pace;
    enum flow_park why;
};

#define SHARES_MAX 3

static uint32_t smaller(uint32_t a, uint64_t b)
{
    return b < a ? (uint32_t)b : a;
}

static struct conf_pace with_burst(const struct conf_pace *pace)
{
    uint64_t least = pace->bytes_per_s / BURST_PER_S;
    struct conf_pace result = *pace;
    if (least > result.burst_bytes)
        result.burst_bytes = smaller(UINT32_MAX, least);
    return result;
}

static unsigned add_share(struct share shares[], unsigned count, struct bucket *bucket,
                          const struct conf_pace *pace, enum flow_park why)
{
    if (pace->bytes_per_s == 0 || bucket == NULL)
        return count;
    shares[count] = (struct share){bucket, with_burst(pace), why};
    return count + 1;
}

/* The buckets of the flow that are in use; NULL for a client that is not remembered. */
static unsigned find_shares(const struct flow *flow, struct share shares[SHARES_MAX])
{
    struct pair *pair = flow->pair;
    struct relay_route *route = pair->route;
    const struct conf_route *conf = route->conf;
    struct client *client = pair->client_entry;
    struct bucket *own = &flow->pair->up == flow ? &pair->up.bucket : &pair->down.bucket;
    unsigned count = 0;
    if (flow == &pair->up) {
        count = add_share(shares, count, own, &conf->rate_up, FLOW_PACED_SESSION);
        count = add_share(shares, count, client != NULL ? client_bucket_up(client) : NULL,
                          &conf->rate_up_per_client, FLOW_PACED_CLIENT);
        return add_share(shares, count, &route->pace_up, &conf->rate_up_per_route,
                         FLOW_PACED_ROUTE);
    }
    count = add_share(shares, count, own, &conf->rate_down, FLOW_PACED_SESSION);
    count = add_share(shares, count, client != NULL ? client_bucket_down(client) : NULL,
                      &conf->rate_down_per_client, FLOW_PACED_CLIENT);
    return add_share(shares, count, &route->pace_down, &conf->rate_down_per_route,
                     FLOW_PACED_ROUTE);
}

/* Fewer bytes are not worth a wakeup: neither should bytes dribble, nor a slow flow stand still
 * for long. */
static uint32_t useful_piece(const struct share shares[], unsigned count)
{
    uint32_t piece = PIECE_BYTES;
    for (unsigned i = 0; i < count; i++) {
        piece = smaller(piece, shares[i].pace.burst_bytes / 4);
        piece = smaller(piece, shares[i].pace.bytes_per_s / PIECES_PER_S);
    }
    return piece > 0 ? piece : 1;
}

uint32_t flow_pace_room(const struct flow *flow, uint32_t most, uint64_t now_ms)
{
    struct share shares[SHARES_MAX];
    unsigned count = find_shares(flow, shares);
    uint32_t room = most;
    for (unsigned i = 0; i < count; i++)
        room = bucket_room(shares[i].bucket, &shares[i].pace, room, now_ms);
    if (count == 0 || room == most)
        return most;
    uint64_t with_granted = (uint64_t)room + flow->granted;
    return with_granted < smaller(most, useful_piece(shares, count))
               ? 0
               : smaller(most, with_granted);
}

void flow_pace_passed(struct flow *flow, uint32_t bytes, uint64_t now_ms)
{
    struct share shares[SHARES_MAX];
    unsigned count = find_shares(flow, shares);
    uint32_t granted = smaller(bytes, flow->granted);
    flow->granted -= granted;
    for (unsigned i = 0; i < count && bytes > granted; i++)
        bucket_passed(shares[i].bucket, &shares[i].pace, bytes - granted, now_ms);
}

uint64_t flow_pace_wait(struct flow *flow, uint64_t now_ms, enum flow_park *why)
{
    struct share shares[SHARES_MAX];
    unsigned count = find_shares(flow, shares);
    uint32_t piece = useful_piece(shares, count);
    uint32_t wanted = piece - smaller(piece, flow->granted);
    uint64_t until = now_ms;
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = bucket_room_ms(shares[i].bucket, &shares[i].pace, wanted, now_ms);
        if (at >= until) {
            until = at;
            *why = shares[i].why;
        }
        bucket_passed(shares[i].bucket, &shares[i].pace, wanted, now_ms);
    }
    flow->granted += wanted;
    return until;
}

bool flow_may_go_on(const struct flow *flow, uint64_t now_ms)
{
    switch (flow->park) {
    case FLOW_NOT_PARKED: return false;
    case FLOW_FROZEN: return !pace_is_frozen(flow->pair->route);
    case FLOW_PACED_SESSION:
    case FLOW_PACED_CLIENT:
    case FLOW_PACED_ROUTE:
    case FLOW_NO_BUFFER: break;
    }
    return now_ms >= flow->park_until_ms;
}
