#include "route/health.h"

#include <assert.h>

#include "base/str.h"

static const struct {
    const char *word;
    const char *text;
} codes[] = {
#define X(name, code, text) {code, text},
    HEALTH_TABLE(X)
#undef X
};

const char *health_code_word(enum health_code code)
{
    return codes[code].word;
}

const char *health_code_text(enum health_code code)
{
    return codes[code].text;
}

bool health_code_passes(enum health_code code)
{
    return code == HEALTH_L4OK || code == HEALTH_L7OK;
}

void health_init(struct health *health, const struct conf_health *conf, uint64_t random,
                 uint64_t now_ms)
{
    *health = (struct health){.conf = conf, .up = true, .due_ms = UINT64_MAX};
    if (!conf->on)
        return;
    health->jitter_ms = (uint32_t)(random % conf->interval_ms);
    health->due_ms = now_ms;
}

void health_change(struct health *health, const struct conf_health *conf, uint64_t random,
                   uint64_t now_ms)
{
    struct health before = *health;
    assert(!before.running);
    health_init(health, conf, random, now_ms);
    health->last = before.last;
    health->last_ms = before.last_ms;
    health->checks_total = before.checks_total;
    health->failures_total = before.failures_total;
    health->downs_total = before.downs_total;
    if (!conf->on)
        return;
    health->up = before.up;
    health->decided = before.decided;
}

/* The server's next place in the interval that is at least half an interval away. */
static uint64_t next_place(const struct health *health, uint64_t now_ms)
{
    uint64_t interval = health->conf->interval_ms;
    uint64_t earliest = now_ms + interval / 2;
    uint64_t place = earliest - earliest % interval + health->jitter_ms;
    return place < earliest ? place + interval : place;
}

bool health_take(struct health *health, uint64_t now_ms)
{
    if (health->running || now_ms < health->due_ms)
        return false;
    health->running = true;
    return true;
}

/* Counts a result that passed or failed. True: `up` changed. */
static bool judge(struct health *health, bool passed)
{
    bool first = !health->decided;
    health->decided = true;
    if (passed == health->up) {
        health->count = 0;
        return false;
    }
    health->count++;
    if (!first && health->count < (passed ? health->conf->rise : health->conf->fall))
        return false;
    health->up = passed;
    health->count = 0;
    health->downs_total += !passed;
    return true;
}

bool health_done(struct health *health, const struct health_result *result, uint64_t now_ms)
{
    assert(health->running);
    health->running = false;
    if (result->code == HEALTH_UNKNOWN) {
        health->due_ms = now_ms;
        return false;
    }
    health->last = *result;
    health->last_ms = now_ms;
    health->checks_total++;

    bool changed = false;
    if (result->code != HEALTH_SOCKERR) {
        bool passed = health_code_passes(result->code);
        health->failures_total += !passed;
        changed = judge(health, passed);
    }
    bool changing = health->count != 0 || !health->decided;
    health->due_ms = changing ? now_ms + health->conf->fast_ms : next_place(health, now_ms);
    return changed;
}

const char *health_word(const struct health *health, char *word, size_t size)
{
    const char *state = health->up ? "UP" : "DOWN";
    if (health->count == 0)
        str_format(word, size, "%s", state);
    else if (health->up)
        str_format(word, size, "%s %u/%u", state, health->conf->fall - health->count,
                   health->conf->fall);
    else
        str_format(word, size, "%s %u/%u", state, health->count, health->conf->rise);
    return word;
}

void health_get_info(const struct health *health, struct health_info *out)
{
    *out = (struct health_info){
        .checked = health->checks_total != 0,
        .running = health->running,
        .code = health->last.code,
        .err = health->last.err,
        .duration_us = health->last.duration_us,
        .last_ms = health->last_ms,
        .checks_total = health->checks_total,
        .failures_total = health->failures_total,
        .downs_total = health->downs_total,
    };
}
