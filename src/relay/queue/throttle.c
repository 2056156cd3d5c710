#include "relay/queue/throttle.h"

#include "base/str.h"
#include "relay/core/elapsed.h"
#include "relay/queue/queue.h"
#include "relay/relay.h"

/* Keeps the count of closed time right over a change of `paused` or `ramps`. With the lock. */
static void set(struct gate *gate, bool paused, bool ramps, uint64_t now_ms)
{
    bool was_closed = gate_is_closed(gate);
    atomic_store(&gate->paused, paused);
    atomic_store(&gate->ramps, ramps);
    bool closed = paused || ramps;
    if (closed && !was_closed)
        gate->closed_since_ms = now_ms;
    else if (was_closed && !closed)
        gate->closed_before_ms += elapsed_ms(now_ms, gate->closed_since_ms);
}

/* A ramp where there is one, and an upstream that it is for. With the lock. */
static bool begin_ramp(struct relay_route *route, uint64_t now_ms)
{
    struct gate *gate = &route->gate;
    if (!gate->up || route->conf->admission_ramp.count == 0)
        return false;
    gate->ramp_ms = now_ms;
    return true;
}

bool gate_pause(struct relay_route *route, const char *by, uint64_t now_ms)
{
    struct gate *gate = &route->gate;
    os_mutex_lock(&gate->lock);
    bool changed = !gate_is_paused(gate);
    if (changed) {
        gate->paused_ms = now_ms;
        str_format(gate->paused_by, sizeof gate->paused_by, "%s", by);
        set(gate, true, false, now_ms);
    }
    os_mutex_unlock(&gate->lock);
    return changed;
}

bool gate_resume(struct relay_route *route, uint64_t now_ms, uint64_t *lasted_ms)
{
    struct gate *gate = &route->gate;
    os_mutex_lock(&gate->lock);
    bool changed = gate_is_paused(gate);
    if (changed) {
        *lasted_ms = elapsed_ms(now_ms, gate->paused_ms);
        set(gate, false, begin_ramp(route, now_ms), now_ms);
    }
    os_mutex_unlock(&gate->lock);
    return changed;
}

void gate_see(struct relay_route *route, bool up, uint64_t now_ms)
{
    struct gate *gate = &route->gate;
    os_mutex_lock(&gate->lock);
    bool changed = up != gate->up;
    gate->up = up;
    if (changed && !gate_is_paused(gate))
        set(gate, false, begin_ramp(route, now_ms), now_ms);
    os_mutex_unlock(&gate->lock);
}

void gate_begin_ramp(struct relay_route *route, uint64_t now_ms)
{
    struct gate *gate = &route->gate;
    os_mutex_lock(&gate->lock);
    gate->up = true;
    if (!gate_is_paused(gate))
        set(gate, false, begin_ramp(route, now_ms), now_ms);
    os_mutex_unlock(&gate->lock);
}

void gate_end_ramp(struct relay_route *route, uint64_t now_ms)
{
    struct gate *gate = &route->gate;
    if (!gate_ramps(gate))
        return;
    os_mutex_lock(&gate->lock);
    set(gate, gate_is_paused(gate), false, now_ms);
    os_mutex_unlock(&gate->lock);
}

void gate_settle(struct relay_route *route, uint64_t now_ms)
{
    struct gate *gate = &route->gate;
    if (!gate_ramps(gate))
        return;
    os_mutex_lock(&gate->lock);
    bool over = queue_count(&route->queue) == 0 && bucket_is_full(&gate->ramp, now_ms) &&
                elapsed_ms(now_ms, gate->ramp_ms) >= GATE_RAMP_MIN_MS;
    if (gate_ramps(gate) && (over || route->conf->admission_ramp.count == 0))
        set(gate, gate_is_paused(gate), false, now_ms);
    os_mutex_unlock(&gate->lock);
}

bool gate_admits(struct relay_route *route, uint64_t now_ms)
{
    struct gate *gate = &route->gate;
    if (gate_is_paused(gate))
        return false;
    gate_settle(route, now_ms);
    return !gate_ramps(gate) || bucket_take(&gate->ramp, &route->conf->admission_ramp, now_ms);
}

void gate_return(struct relay_route *route)
{
    if (gate_ramps(&route->gate))
        bucket_give(&route->gate.ramp, &route->conf->admission_ramp);
}

uint64_t gate_next_ms(struct relay_route *route, uint64_t now_ms)
{
    struct gate *gate = &route->gate;
    if (gate_is_paused(gate))
        return UINT64_MAX;
    if (!gate_ramps(gate))
        return now_ms;
    return bucket_next_ms(&gate->ramp, &route->conf->admission_ramp, now_ms);
}

uint64_t gate_closed_ms(struct gate *gate, uint64_t now_ms)
{
    os_mutex_lock(&gate->lock);
    uint64_t closed_ms = gate->closed_before_ms;
    if (gate_is_closed(gate))
        closed_ms += elapsed_ms(now_ms, gate->closed_since_ms);
    os_mutex_unlock(&gate->lock);
    return closed_ms;
}

void gate_get_info(struct gate *gate, uint64_t now_ms, struct gate_info *out)
{
    *out = (struct gate_info){.paused = false};
    os_mutex_lock(&gate->lock);
    out->paused = gate_is_paused(gate);
    out->ramps = gate_ramps(gate);
    if (out->paused) {
        out->paused_ms = elapsed_ms(now_ms, gate->paused_ms);
        str_format(out->paused_by, sizeof out->paused_by, "%s", gate->paused_by);
    }
    os_mutex_unlock(&gate->lock);
}
