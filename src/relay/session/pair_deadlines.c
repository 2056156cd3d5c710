/* What ends a connected session unless something happens, and when; see pair.h. */
#include "relay/core/elapsed.h"
#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/session/pair_private.h"

#define SECOND_MS 1000

static bool is_paced(const struct pair *pair)
{
    return flow_is_paced(&pair->up) || flow_is_paced(&pair->down);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t pair_quiet_ms(const struct pair *pair, uint64_t now_ms)
{
    if (is_paced(pair))
        return 0;
    uint64_t since = larger(pair->deadlines.last_byte_ms, pair->deadlines.ending_ms);
    return elapsed_ms(now_ms, larger(since, pair->deadlines.resumed_ms));
}

static uint64_t moved_bytes(const struct pair *pair)
{
    return pair->up.bytes + pair->down.bytes;
}

static uint64_t went_bytes(const struct pair *pair)
{
    return pair->client.went + pair->upstream.went;
}

/* ---- time for which the relay held the session back ---- */

void pair_credit_pause(struct pair *pair, const struct flow *flow, uint64_t now_ms)
{
    if (pair->deadlines.rate_from_ms > 0) {
        uint64_t from = pair->deadlines.rate_from_ms + elapsed_ms(now_ms, flow->parked_ms);
        pair->deadlines.rate_from_ms = from < now_ms ? from : now_ms;
    }
    if (flow_is_paced(flow))
        pair->deadlines.resumed_ms = now_ms;
}

/* True while the route is frozen. In this order: who sees the end of a freeze sees that the route
 * was thawed. */
static bool update_freeze(struct pair *pair, uint64_t now_ms)
{
    bool frozen = atomic_load(&pair->route->frozen);
    uint32_t thaws = atomic_load(&pair->route->thaws);
    if (thaws != pair->seen.thaws) {
        pair->seen.thaws = thaws;
        pair->deadlines.thawed_ms = now_ms;
    }
    return frozen;
}

/* ---- the deadlines ---- */

static void consider(struct pair_deadline *nearest, enum reason reason, uint64_t limit_ms,
                     uint64_t passed_ms)
{
    uint64_t left_ms = elapsed_ms(limit_ms, passed_ms);
    if (limit_ms > 0 && left_ms < nearest->left_ms)
        *nearest = (struct pair_deadline){reason, left_ms};
}

static void consider_silence(struct pair *pair, uint64_t now_ms, struct pair_deadline *nearest)
{
    const struct conf_route *conf = pair->route->conf;
    uint64_t thawed = elapsed_ms(now_ms, pair->deadlines.thawed_ms);
    uint64_t quiet = pair_quiet_ms(pair, now_ms);
    quiet = quiet < thawed ? quiet : thawed;
    if (pair->phase == PHASE_HALF_CLOSED) {
        consider(nearest, REASON_HALF_CLOSE_TIMEOUT, conf->half_close_timeout_ms, quiet);
        return;
    }
    if (conf->first_byte_timeout_ms > 0 && flow_received(&pair->up) == 0 &&
        !flow_has_time(&pair->up))
        consider(
            nearest, REASON_FIRST_BYTE_TIMEOUT, conf->first_byte_timeout_ms,
            elapsed_ms(now_ms, larger(pair->attempt.connected_ms, pair->deadlines.thawed_ms)));
    consider(nearest, REASON_IDLE_TIMEOUT, conf->idle_timeout_ms, quiet);
}

static void begin_window(struct pair *pair, uint64_t from_ms, uint64_t from_bytes)
{
    pair->deadlines.rate_from_ms = from_ms;
    pair->deadlines.rate_from_bytes = from_bytes;
    pair->deadlines.rate_from_went = went_bytes(pair);
}

/* The first window begins when the session was connected, unless min_rate came later. */
static void begin_first_window(struct pair *pair, uint64_t now_ms)
{
    uint32_t over_ms = pair->route->conf->min_rate.over_ms;
    if (pair->deadlines.thawed_ms == 0 &&
        elapsed_ms(now_ms, pair->attempt.connected_ms) <= over_ms)
        begin_window(pair, pair->attempt.connected_ms, 0);
    else
        begin_window(pair, now_ms, moved_bytes(pair));
}

/* The relay takes a burst at once that a slow reader then needs long for; either is enough. */
static uint64_t moved_in_window(const struct pair *pair)
{
    return larger(moved_bytes(pair) - pair->deadlines.rate_from_bytes,
                  went_bytes(pair) - pair->deadlines.rate_from_went);
}

static void consider_rate(struct pair *pair, uint64_t now_ms, struct pair_deadline *nearest)
{
    const struct conf_min_rate *rate = &pair->route->conf->min_rate;
    if (rate->bytes_per_s == 0) {
        pair->deadlines.rate_from_ms = 0;
        return;
    }
    if (pair->deadlines.rate_from_ms == 0)
        begin_first_window(pair, now_ms);
    if (pair->deadlines.rate_from_ms < pair->deadlines.thawed_ms)
        begin_window(pair, pair->deadlines.thawed_ms, moved_bytes(pair));
    if (is_paced(pair))
        return;
    uint64_t passed = elapsed_ms(now_ms, pair->deadlines.rate_from_ms);
    if (passed >= rate->over_ms &&
        moved_in_window(pair) * SECOND_MS / larger(passed, 1) >= rate->bytes_per_s) {
        begin_window(pair, now_ms, moved_bytes(pair));
        passed = 0;
    }
    consider(nearest, REASON_MIN_RATE, rate->over_ms, passed);
}

static void consider_backlog(const struct pair *pair, const struct flow *flow,
                             const struct side *sink, uint64_t now_ms,
                             struct pair_deadline *nearest)
{
    uint64_t since = sink->took_ms;
    if (flow_writes(flow))
        since = larger(flow->waiting_ms, since);
    else if (sink->unacked == 0)
        return;
    consider(nearest, REASON_BACKLOG_AGE, pair->route->conf->max_backlog_age_ms,
             elapsed_ms(now_ms, since));
}

struct pair_deadline pair_next_deadline(struct pair *pair, uint64_t now_ms)
{
    struct pair_deadline nearest = {REASON_NONE, UINT64_MAX};
    bool frozen = update_freeze(pair, now_ms);
    if (!frozen) {
        consider_silence(pair, now_ms, &nearest);
        consider_rate(pair, now_ms, &nearest);
    }
    consider_backlog(pair, &pair->up, &pair->upstream, now_ms, &nearest);
    consider_backlog(pair, &pair->down, &pair->client, now_ms, &nearest);
    consider(&nearest, REASON_SESSION_TIME, pair->route->conf->max_session_time_ms,
             elapsed_ms(now_ms, pair->attempt.connected_ms));
    return nearest;
}
