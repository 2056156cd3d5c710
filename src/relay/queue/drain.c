#include "relay/queue/drain.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/str.h"
#include "config/conf.h"
#include "policy/spread.h"
#include "relay/core/elapsed.h"
#include "relay/core/sessions.h"
#include "relay/relay.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"

#define COUNT_MS    1000  /* how often what is left is counted, at least */
#define STEP_MIN_MS 100   /* sessions that are due within this time end together */
#define TELL_MAX_MS 60000 /* between two lines about the progress */
#define TELL_MIN_MS 1000

/* ---- the log ---- */

static uint32_t tell_every_ms(uint64_t over_ms)
{
    uint64_t tenth_ms = over_ms / 10;
    if (over_ms == 0 || tenth_ms > TELL_MAX_MS)
        return TELL_MAX_MS;
    return tenth_ms < TELL_MIN_MS ? TELL_MIN_MS : (uint32_t)tenth_ms;
}

static void tell(const struct drain_of *of, const struct server_drain_info *info)
{
    char human[STR_HUMAN_MAX];
    if (info->left == 0)
        log_notice("%s: drained in %s: no session is left, %" PRIu64 " were ended", of->subject,
                   str_human_duration(info->age_ms, human), info->ended_total);
    else if (info->over)
        log_notice("%s: drains: %zu of %zu sessions left, ended evenly within %s", of->subject,
                   info->left, info->first_left, str_human_duration(info->left_ms, human));
    else
        log_notice("%s: drains: %zu of %zu sessions left after %s", of->subject, info->left,
                   info->first_left, str_human_duration(info->age_ms, human));
}

/* ---- begin and end ---- */

/* With the lock held. */
static void fill(const struct drain *drain, size_t left, uint64_t now_ms,
                 struct server_drain_info *out)
{
    *out = (struct server_drain_info){
        .on = drain_is_on(drain),
        .over = drain->until_ms != 0,
        .left = left,
        .first_left = drain->first_left,
        .ended_total = drain->ended_total,
        .age_ms = elapsed_ms(now_ms, drain->began_ms),
        .left_ms = elapsed_ms(drain->until_ms, now_ms),
    };
}

enum err drain_begin(struct drain *drain, const struct drain_of *of,
                     const struct server_drain_plan *plan, uint64_t now_ms,
                     struct server_drain_info *out)
{
    bool at_once = plan->kill && plan->over_ms == 0;
    size_t left = 0, ended = 0;
    bool again =
        atomic_exchange(&drain->on, true); /* whoever comes from here on is no session of it */
    enum err err = sessions_end_oldest(of->relay, of->filter, at_once ? SIZE_MAX : 0,
                                       of->reason, &ended, &left);
    os_mutex_lock(&drain->lock);
    drain->told_empty = false;
    drain->began_ms = now_ms;
    drain->until_ms = at_once ? now_ms : plan->over_ms > 0 ? now_ms + plan->over_ms : 0;
    drain->ended_ms = now_ms;
    drain->step_ms = now_ms;
    drain->tell_every_ms = tell_every_ms(plan->over_ms);
    drain->tell_ms = now_ms + drain->tell_every_ms;
    drain->first_left = left + ended;
    drain->ended_total = ended;
    fill(drain, left, now_ms, out);
    out->again = again;
    os_mutex_unlock(&drain->lock);
    return err;
}

bool drain_end(struct drain *drain)
{
    return atomic_exchange(&drain->on, false);
}

/* ---- a step ---- */

/* What a step finds and does. */
struct step {
    uint64_t now_ms, passed_ms, remaining_ms; /* UINT64_MAX remain where no time is set */
    size_t before, left;                      /* it, and after it */
    size_t due, ended;
};

/* False: there is nothing to do before *next_ms, or another worker is at it. */
static bool begin_step(struct drain *drain, struct step *step, uint64_t *next_ms)
{
    uint64_t now_ms = step->now_ms;
    os_mutex_lock(&drain->lock);
    bool due = !drain->stepping && now_ms >= drain->step_ms;
    *next_ms = drain->step_ms > now_ms ? drain->step_ms : now_ms + STEP_MIN_MS;
    step->passed_ms = elapsed_ms(now_ms, drain->ended_ms);
    step->remaining_ms =
        drain->until_ms == 0 ? UINT64_MAX : elapsed_ms(drain->until_ms, now_ms);
    if (due)
        drain->stepping = true;
    os_mutex_unlock(&drain->lock);
    return due;
}

/* Counts them, and ends those that are due. */
static enum err take_step(const struct drain_of *of, struct step *step)
{
    enum err err = sessions_count(of->relay, of->filter, &step->before);
    step->left = step->before;
    if (err == ERR_OK && step->remaining_ms != UINT64_MAX)
        step->due = spread_due(step->before, step->passed_ms, step->remaining_ms);
    if (step->due > 0)
        err = sessions_end_oldest(of->relay, of->filter, step->due, of->reason, &step->ended,
                                  &step->left);
    return err;
}

/* When the next step is. With the lock held. */
static uint64_t next_step(const struct drain *drain, size_t left, uint64_t now_ms)
{
    uint64_t next_ms = now_ms + COUNT_MS;
    if (drain->until_ms == 0)
        return next_ms;
    uint64_t total_ms = elapsed_ms(drain->until_ms, drain->ended_ms);
    uint64_t due_ms = drain->ended_ms + spread_gap_ms(left, total_ms);
    if (due_ms < next_ms)
        next_ms = due_ms;
    return next_ms < now_ms + STEP_MIN_MS ? now_ms + STEP_MIN_MS : next_ms;
}

/* Notes what a step has done. True: it is time to write `info` to the log. */
static bool end_step(struct drain *drain, const struct step *step,
                     struct server_drain_info *info)
{
    uint64_t now_ms = step->now_ms;
    os_mutex_lock(&drain->lock);
    drain->stepping = false;
    drain->ended_total += step->ended;
    drain->ended_ms +=
        spread_used_ms(step->before, step->due, elapsed_ms(drain->until_ms, drain->ended_ms));
    drain->step_ms = next_step(drain, step->left, now_ms);
    bool tells = step->left == 0 ? !drain->told_empty : now_ms >= drain->tell_ms;
    if (step->left == 0)
        drain->told_empty = true;
    if (now_ms >= drain->tell_ms)
        drain->tell_ms = now_ms + drain->tell_every_ms;
    fill(drain, step->left, now_ms, info);
    os_mutex_unlock(&drain->lock);
    return tells && info->on;
}

/* Nothing could be counted, for want of memory. */
static void put_off_step(struct drain *drain, uint64_t now_ms)
{
    os_mutex_lock(&drain->lock);
    drain->stepping = false;
    drain->step_ms = now_ms + COUNT_MS;
    os_mutex_unlock(&drain->lock);
}

static uint64_t step_ms(struct drain *drain)
{
    os_mutex_lock(&drain->lock);
    uint64_t next_ms = drain->step_ms;
    os_mutex_unlock(&drain->lock);
    return next_ms;
}

uint64_t drain_step(struct drain *drain, const struct drain_of *of, uint64_t now_ms)
{
    struct step step = {.now_ms = now_ms};
    struct server_drain_info info;
    uint64_t next_ms;
    if (!drain_is_on(drain))
        return UINT64_MAX;
    if (!begin_step(drain, &step, &next_ms))
        return next_ms;
    if (take_step(of, &step) != ERR_OK)
        put_off_step(drain, now_ms);
    else if (end_step(drain, &step, &info) && of->subject != NULL)
        tell(of, &info);
    return step_ms(drain);
}

/* How it is; what is left is counted now, and 0 without memory for that. */
static void get_info(struct drain *drain, const struct drain_of *of, uint64_t now_ms,
                     struct server_drain_info *out)
{
    size_t left = 0;
    if (drain_is_on(drain))
        (void)sessions_count(of->relay, of->filter, &left);
    os_mutex_lock(&drain->lock);
    fill(drain, left, now_ms, out);
    os_mutex_unlock(&drain->lock);
    if (!out->on)
        *out = (struct server_drain_info){.on = false};
}

/* ---- routes and upstreams ---- */

/* Room for "route 'NAME': upstream 'NAME'". */
#define SUBJECT_MAX (CONF_NAME_MAX + CONF_HOST_MAX + 64)

static const char *route_subject(const struct relay_route *route, char text[SUBJECT_MAX])
{
    str_format(text, SUBJECT_MAX, "route '%s'", route->conf->name);
    return text;
}

static const char *upstream_subject(const struct relay_route *route, size_t upstream,
                                    char text[SUBJECT_MAX])
{
    str_format(text, SUBJECT_MAX, "route '%s': upstream '%s'", route->conf->name,
               route->conf->upstreams[upstream].name);
    return text;
}

static struct session_filter of_route(const struct relay_route *route)
{
    return (struct session_filter){.route = route};
}

static struct session_filter of_upstream(const struct relay_route *route, size_t upstream)
{
    return (struct session_filter){.route = route, .at_upstream = true, .upstream = upstream};
}

static struct drain_of drain_of(struct relay_route *route, const struct session_filter *filter)
{
    return (struct drain_of){.relay = route->relay, .filter = filter, .reason = REASON_DRAINED};
}

uint64_t drain_step_route(struct relay_route *route, uint64_t now_ms)
{
    char subject[SUBJECT_MAX];
    uint64_t next_ms = UINT64_MAX;
    if (drain_is_on(&route->drain)) {
        const struct session_filter filter = of_route(route);
        struct drain_of of = drain_of(route, &filter);
        of.subject = route_subject(route, subject);
        next_ms = drain_step(&route->drain, &of, now_ms);
    }
    for (size_t i = 0; i < route->conf->upstream_count; i++) {
        struct drain *drain = &route->upstreams.each[i]->drain;
        if (!drain_is_on(drain))
            continue;
        const struct session_filter filter = of_upstream(route, i);
        struct drain_of of = drain_of(route, &filter);
        of.subject = upstream_subject(route, i, subject);
        uint64_t step_ms = drain_step(drain, &of, now_ms);
        next_ms = step_ms < next_ms ? step_ms : next_ms;
    }
    return next_ms;
}

enum err drain_begin_route(struct relay_route *route, const struct server_drain_plan *plan,
                           uint64_t now_ms, struct server_drain_info *out)
{
    const struct session_filter filter = of_route(route);
    const struct drain_of of = drain_of(route, &filter);
    return drain_begin(&route->drain, &of, plan, now_ms, out);
}

enum err drain_begin_upstream(struct relay_route *route, size_t upstream,
                              const struct server_drain_plan *plan, uint64_t now_ms,
                              struct server_drain_info *out)
{
    const struct session_filter filter = of_upstream(route, upstream);
    const struct drain_of of = drain_of(route, &filter);
    return drain_begin(&route->upstreams.each[upstream]->drain, &of, plan, now_ms, out);
}

void drain_get_route_info(struct relay_route *route, uint64_t now_ms,
                          struct server_drain_info *out)
{
    const struct session_filter filter = of_route(route);
    const struct drain_of of = drain_of(route, &filter);
    get_info(&route->drain, &of, now_ms, out);
}

void drain_get_upstream_info(struct relay_route *route, size_t upstream, uint64_t now_ms,
                             struct server_drain_info *out)
{
    const struct session_filter filter = of_upstream(route, upstream);
    const struct drain_of of = drain_of(route, &filter);
    get_info(&route->upstreams.each[upstream]->drain, &of, now_ms, out);
}
