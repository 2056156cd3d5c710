/* Samples once a second, and the rates between two of them; see stat.h. */
#include <string.h>

#include "stat/cells.h"

static const enum stat_counter rated[RATED] = {
    [RATED_SESSIONS] = STAT_SESSIONS,       [RATED_BYTES_UP] = STAT_BYTES_UP,
    [RATED_BYTES_DOWN] = STAT_BYTES_DOWN,   [RATED_WRITES_UP] = STAT_WRITES_UP,
    [RATED_WRITES_DOWN] = STAT_WRITES_DOWN,
};

void stat_sample(struct stat *stat, uint64_t now_ms)
{
    uint64_t number = atomic_load_explicit(&stat->sample_count, memory_order_relaxed);
    size_t slot = number % STAT_SAMPLES;
    for (size_t scope = 0; scope < stat->scope_count; scope++) {
        struct stat_sums sums;
        stat_read(stat, scope, &sums);
        for (size_t i = 0; i < RATED; i++)
            atomic_store_explicit(&stat->scopes[scope].samples[slot][i],
                                  sums.counters[rated[i]], memory_order_relaxed);
    }
    atomic_store_explicit(&stat->sample_ms[slot], now_ms, memory_order_relaxed);
    atomic_store_explicit(&stat->sample_count, number + 1, memory_order_release);
}

/* A span of time between two samples. */
struct span {
    size_t from, to; /* slots */
    uint64_t ms;     /* 0: there is nothing to measure */
};

static struct span span_of(const struct stat *stat, unsigned seconds)
{
    struct span span = {0, 0, 0};
    uint64_t count = atomic_load_explicit(&stat->sample_count, memory_order_acquire);
    if (seconds > STAT_RATES_MAX)
        seconds = STAT_RATES_MAX;
    uint64_t back = count > seconds ? seconds : count > 0 ? count - 1 : 0;
    if (back == 0)
        return span;
    span.from = (count - 1 - back) % STAT_SAMPLES;
    span.to = (count - 1) % STAT_SAMPLES;
    span.ms = atomic_load_explicit(&stat->sample_ms[span.to], memory_order_relaxed) -
              atomic_load_explicit(&stat->sample_ms[span.from], memory_order_relaxed);
    return span;
}

static uint64_t grown(const struct stat *stat, size_t scope, struct span span,
                      enum stat_rated what)
{
    return atomic_load_explicit(&stat->scopes[scope].samples[span.to][what],
                                memory_order_relaxed) -
           atomic_load_explicit(&stat->scopes[scope].samples[span.from][what],
                                memory_order_relaxed);
}

static void add_growth(const struct stat *stat, size_t scope, struct span span,
                       uint64_t sums[RATED])
{
    for (size_t i = 0; i < RATED; i++)
        sums[i] += grown(stat, scope, span, (enum stat_rated)i);
}

static uint64_t per_second(uint64_t n, uint64_t ms)
{
    return (uint64_t)((double)n * 1000.0 / (double)ms + 0.5);
}

static void fill(struct stat_rates *out, const uint64_t sums[RATED], uint64_t ms)
{
    memset(out, 0, sizeof *out);
    if (ms == 0)
        return;
    out->sessions = per_second(sums[RATED_SESSIONS], ms);
    out->bytes_up = per_second(sums[RATED_BYTES_UP], ms);
    out->bytes_down = per_second(sums[RATED_BYTES_DOWN], ms);
    out->writes_up = per_second(sums[RATED_WRITES_UP], ms);
    out->writes_down = per_second(sums[RATED_WRITES_DOWN], ms);
}

void stat_rates(struct stat *stat, size_t scope, unsigned seconds, struct stat_rates *out)
{
    uint64_t sums[RATED] = {0};
    struct span span = span_of(stat, seconds);
    add_growth(stat, scope, span, sums);
    fill(out, sums, span.ms);
}

void stat_rates_total(struct stat *stat, unsigned seconds, struct stat_rates *out)
{
    uint64_t sums[RATED] = {0};
    struct span span = span_of(stat, seconds);
    for (size_t i = 0; i < stat->route_count; i++)
        add_growth(stat, stat_route_scope(stat, i), span, sums);
    fill(out, sums, span.ms);
}
