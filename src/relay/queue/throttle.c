#include "relay/queue/throttle.h"

#include "base/str.h"
#include "relay/core/elapsed.h"
#include "relay/queue/queue.h"
#include "relay/relay.h"

/* Keeps the count of closed time right over a change of `paused` or `ramps`. With the lock. */
static void set(struct throttle *throttle, bool paused, bool ramps, uint64_t now_ms)
{
    bool was_closed = throttle_is_on(throttle);
    atomic_store(&throttle->paused, paused);
    atomic_store(&throttle->ramps, ramps);
    bool closed = paused || ramps;
    if (closed && !was_closed)
        throttle->on_since_ms = now_ms;
    else if (was_closed && !closed)
        throttle->on_before_ms += elapsed_ms(now_ms, throttle->on_since_ms);
}

/* A ramp where there is one, and an upstream that it is for. With the lock. */
static bool begin_ramp(struct relay_route *route, uint64_t now_ms)
{
    struct throttle *throttle = &route->throttle;
    if (!throttle->up || route->conf->admission_ramp.count == 0)
        return false;
    throttle->ramp_ms = now_ms;
    return true;
}

bool throttle_pause(struct relay_route *route, const char *by, uint64_t now_ms)
{
    struct throttle *throttle = &route->throttle;
    os_mutex_lock(&throttle->lock);
    bool changed = !throttle_is_paused(throttle);
    if (changed) {
        throttle->paused_ms = now_ms;
        str_format(throttle->paused_by, sizeof throttle->paused_by, "%s", by);
        set(throttle, true, false, now_ms);
    }
    os_mutex_unlock(&throttle->lock);
    return changed;
}

bool throttle_resume(struct relay_route *route, uint64_t now_ms, uint64_t *lasted_ms)
{
    struct throttle *throttle = &route->throttle;
    os_mutex_lock(&throttle->lock);
    bool changed = throttle_is_paused(throttle);
    if (changed) {
        *lasted_ms = elapsed_ms(now_ms, throttle->paused_ms);
        set(throttle, false, begin_ramp(route, now_ms), now_ms);
    }
    os_mutex_unlock(&throttle->lock);
    return changed;
}

void throttle_set_up(struct relay_route *route, bool up, uint64_t now_ms)
{
    struct throttle *throttle = &route->throttle;
    os_mutex_lock(&throttle->lock);
    bool changed = up != throttle->up;
    throttle->up = up;
    if (changed && !throttle_is_paused(throttle))
        set(throttle, false, begin_ramp(route, now_ms), now_ms);
    os_mutex_unlock(&throttle->lock);
}

void throttle_begin_ramp(struct relay_route *route, uint64_t now_ms)
{
    struct throttle *throttle = &route->throttle;
    os_mutex_lock(&throttle->lock);
    throttle->up = true;
    if (!throttle_is_paused(throttle))
        set(throttle, false, begin_ramp(route, now_ms), now_ms);
    os_mutex_unlock(&throttle->lock);
}

void throttle_end_ramp(struct relay_route *route, uint64_t now_ms)
{
    struct throttle *throttle = &route->throttle;
    if (!throttle_ramps(throttle))
        return;
    os_mutex_lock(&throttle->lock);
    set(throttle, throttle_is_paused(throttle), false, now_ms);
    os_mutex_unlock(&throttle->lock);
}

void throttle_settle(struct relay_route *route, uint64_t now_ms)
{
    struct throttle *throttle = &route->throttle;
    if (!throttle_ramps(throttle))
        return;
    os_mutex_lock(&throttle->lock);
    bool over = queue_count(&route->queue) == 0 && bucket_is_full(&throttle->ramp, now_ms) &&
                elapsed_ms(now_ms, throttle->ramp_ms) >= THROTTLE_RAMP_MIN_MS;
    if (throttle_ramps(throttle) && (over || route->conf->admission_ramp.count == 0))
        set(throttle, throttle_is_paused(throttle), false, now_ms);
    os_mutex_unlock(&throttle->lock);
}

bool throttle_admits(struct relay_route *route, uint64_t now_ms)
{
    struct throttle *throttle = &route->throttle;
    if (throttle_is_paused(throttle))
        return false;
    throttle_settle(route, now_ms);
    return !throttle_ramps(throttle) ||
           bucket_take(&throttle->ramp, &route->conf->admission_ramp, now_ms);
}

void throttle_return_token(struct relay_route *route)
{
    if (throttle_ramps(&route->throttle))
        bucket_give(&route->throttle.ramp, &route->conf->admission_ramp);
}

uint64_t throttle_next_ms(struct relay_route *route, uint64_t now_ms)
{
    struct throttle *throttle = &route->throttle;
    if (throttle_is_paused(throttle))
        return UINT64_MAX;
    if (!throttle_ramps(throttle))
        return now_ms;
    return bucket_next_ms(&throttle->ramp, &route->conf->admission_ramp, now_ms);
}

uint64_t throttle_on_ms(struct throttle *throttle, uint64_t now_ms)
{
    os_mutex_lock(&throttle->lock);
    uint64_t closed_ms = throttle->on_before_ms;
    if (throttle_is_on(throttle))
        closed_ms += elapsed_ms(now_ms, throttle->on_since_ms);
    os_mutex_unlock(&throttle->lock);
    return closed_ms;
}

void throttle_get_info(struct throttle *throttle, uint64_t now_ms, struct throttle_info *out)
{
    *out = (struct throttle_info){.paused = false};
    os_mutex_lock(&throttle->lock);
    out->paused = throttle_is_paused(throttle);
    out->ramps = throttle_ramps(throttle);
    if (out->paused) {
        out->paused_ms = elapsed_ms(now_ms, throttle->paused_ms);
        str_format(out->paused_by, sizeof out->paused_by, "%s", throttle->paused_by);
    }
    os_mutex_unlock(&throttle->lock);
}
