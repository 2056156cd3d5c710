/* Samples once a second, and the rates between two of them; see stat.h. */
#include <assert.h>
#include <string.h>

#include "stat/cells.h"

static const enum stat_counter rated[RATED] = {
    [RATED_SESSIONS] = STAT_SESSIONS,       [RATED_BYTES_UP] = STAT_BYTES_UP,
    [RATED_BYTES_DOWN] = STAT_BYTES_DOWN,   [RATED_WRITES_UP] = STAT_WRITES_UP,
    [RATED_WRITES_DOWN] = STAT_WRITES_DOWN,
};

/* Samples are stored with release and read with acquire: who reads one of the next round also
 * sees the sample_count that went before it, which is how read_growth() finds out. */
static uint64_t time_of(const struct stat *stat, uint64_t number)
{
    return atomic_load_explicit(&stat->sample_ms[number % STAT_SAMPLES], memory_order_acquire);
}

static void sample_scope(const struct stat *stat, struct stat_scope *scope, size_t slot)
{
    for (size_t i = 0; i < RATED; i++) {
        uint64_t sum = 0;
        for (unsigned w = 0; w < stat->workers; w++)
            sum +=
                atomic_load_explicit(&scope->cells[w].counters[rated[i]], memory_order_relaxed);
        atomic_store_explicit(&scope->samples[slot][i], sum, memory_order_release);
    }
}

void stat_sample(struct stat *stat, uint64_t now_ms)
{
    uint64_t number = atomic_load_explicit(&stat->sample_count, memory_order_relaxed);
    size_t slot = number % STAT_SAMPLES;
    if (number > 0 && now_ms <= time_of(stat, number - 1))
        return; /* no time has passed, so there is nothing to divide by */
    sample_scope(stat, stat->gone, slot);
    for (size_t scope = 0; scope < stat->scope_count; scope++)
        if (stat->scopes[scope] != NULL)
            sample_scope(stat, stat->scopes[scope], slot);
    atomic_store_explicit(&stat->sample_ms[slot], now_ms, memory_order_release);
    atomic_store_explicit(&stat->sample_count, number + 1, memory_order_release);
}

/* The number of the sample nearest to `seconds` before sample `last`, which is not the first.
 * Samples may come late, so it is the clock that counts, not their number. */
static uint64_t find_begin(const struct stat *stat, uint64_t last, unsigned seconds)
{
    uint64_t end_ms = time_of(stat, last);
    uint64_t wanted = (uint64_t)seconds * 1000;
    uint64_t oldest = last < STAT_SAMPLES - 1 ? 0 : last - (STAT_SAMPLES - 2);

    uint64_t begin = last - 1;
    uint64_t age = end_ms - time_of(stat, begin);
    while (age < wanted && begin > oldest) {
        uint64_t older = end_ms - time_of(stat, begin - 1);
        if (older > wanted && older - wanted > wanted - age)
            break;
        begin--;
        age = older;
    }
    return begin;
}

static void add_growth(const struct stat_scope *s, uint64_t begin, uint64_t last,
                       uint64_t sums[RATED])
{
    for (size_t i = 0; i < RATED; i++)
        sums[i] +=
            atomic_load_explicit(&s->samples[last % STAT_SAMPLES][i], memory_order_acquire) -
            atomic_load_explicit(&s->samples[begin % STAT_SAMPLES][i], memory_order_acquire);
}

static uint64_t per_second(uint64_t n, uint64_t ms)
{
    return (uint64_t)((double)n * 1000.0 / (double)ms + 0.5);
}

/* What the scope, or all routes, have grown by over the last `seconds`; gives the milliseconds
 * in between, 0 when there is nothing to measure. Nobody waits for readers: when the sampler may
 * have come round to the older sample meanwhile, which takes it most of a minute, the reading is
 * done again. */
static uint64_t read_growth(const struct stat *stat, const size_t *scope, unsigned seconds,
                            uint64_t sums[RATED])
{
    assert(seconds >= 1 && seconds <= STAT_RATES_MAX);
    uint64_t begin;
    uint64_t ms;
    do {
        memset(sums, 0, RATED * sizeof *sums);
        uint64_t count = atomic_load_explicit(&stat->sample_count, memory_order_acquire);
        if (count < 2)
            return 0;
        uint64_t last = count - 1;
        begin = find_begin(stat, last, seconds);
        ms = time_of(stat, last) - time_of(stat, begin);
        if (scope != NULL) {
            add_growth(stat->scopes[*scope], begin, last, sums);
            continue;
        }
        STAT_EACH_ROUTE (route, stat)
            add_growth(route, begin, last, sums);
    } while (atomic_load_explicit(&stat->sample_count, memory_order_acquire) >=
             begin + STAT_SAMPLES);
    return ms;
}

static void read_rates(const struct stat *stat, const size_t *scope, unsigned seconds,
                       struct stat_rates *out)
{
    uint64_t sums[RATED];
    uint64_t ms = read_growth(stat, scope, seconds, sums);
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
    assert(scope < stat->scope_count);
    read_rates(stat, &scope, seconds, out);
}

void stat_rates_total(struct stat *stat, unsigned seconds, struct stat_rates *out)
{
    read_rates(stat, NULL, seconds, out);
}
