#include "stat/histogram.h"

#include <string.h>

#define SUB_BUCKETS (1u << HISTOGRAM_SUB_BITS)
#define VALUE_MAX   ((UINT64_C(1) << HISTOGRAM_MAX_BITS) - 1)

/* Values below SUB_BUCKETS have a bucket each; above, every power of two has SUB_BUCKETS.
 * Needs value <= VALUE_MAX. */
static unsigned bucket_of(uint64_t value)
{
    if (value < SUB_BUCKETS)
        return (unsigned)value;
    unsigned top = 63u - (unsigned)__builtin_clzll(value); /* the highest bit set */
    unsigned shift = top - HISTOGRAM_SUB_BITS;
    unsigned sub = (unsigned)(value >> shift) - SUB_BUCKETS;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + sub;
}

/* The largest value of a bucket. */
static uint64_t bucket_top(unsigned bucket)
{
    if (bucket < SUB_BUCKETS)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t sub = bucket % SUB_BUCKETS + SUB_BUCKETS;
    return ((sub + 1) << shift) - 1;
}

static void raise_max(struct histogram *histogram, uint64_t value)
{
    uint64_t max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    while (max < value &&
           !atomic_compare_exchange_weak_explicit(&histogram->max, &max, value,
                                                  memory_order_relaxed, memory_order_relaxed))
        ; /* somebody recorded another one meanwhile; `max` holds it */
}

/* A bucket is counted last and with release, so that who sees the count sees the maximum and
 * the sum that belong to it. */
void histogram_record(struct histogram *histogram, uint64_t value)
{
    raise_max(histogram, value);
    uint64_t counted = value < VALUE_MAX ? value : VALUE_MAX;
    atomic_fetch_add_explicit(&histogram->sum, counted, memory_order_relaxed);
    atomic_fetch_add_explicit(&histogram->buckets[bucket_of(counted)], 1, memory_order_release);
}

void histogram_add(struct histogram *to, const struct histogram *from)
{
    uint64_t counts[HISTOGRAM_BUCKETS];
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        counts[i] = atomic_load_explicit(&from->buckets[i], memory_order_acquire);
    raise_max(to, atomic_load_explicit(&from->max, memory_order_relaxed));
    atomic_fetch_add_explicit(&to->sum, atomic_load_explicit(&from->sum, memory_order_relaxed),
                              memory_order_relaxed);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        if (counts[i] != 0)
            atomic_fetch_add_explicit(&to->buckets[i], counts[i], memory_order_release);
}

/* The value that `per_mille` of the recorded ones do not exceed, rounded up to its bucket. */
static uint64_t quantile(const uint64_t counts[], uint64_t count, unsigned per_mille,
                         uint64_t max)
{
    uint64_t rank = (count * per_mille + 999) / 1000;
    uint64_t seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += counts[i];
        if (seen >= rank && seen > 0)
            return bucket_top(i) < max ? bucket_top(i) : max;
    }
    return max;
}

void histogram_summarise(const struct histogram *histogram, struct histogram_summary *out)
{
    uint64_t counts[HISTOGRAM_BUCKETS];
    memset(out, 0, sizeof *out);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        counts[i] = atomic_load_explicit(&histogram->buckets[i], memory_order_acquire);
        out->count += counts[i];
    }
    if (out->count == 0)
        return;
    out->max = atomic_load_explicit(&histogram->max, memory_order_relaxed);
    out->mean = atomic_load_explicit(&histogram->sum, memory_order_relaxed) / out->count;
    if (out->mean > out->max) /* values on their way are in the sum, but not counted yet */
        out->mean = out->max;
    out->p50 = quantile(counts, out->count, 500, out->max);
    out->p90 = quantile(counts, out->count, 900, out->max);
    out->p99 = quantile(counts, out->count, 990, out->max);
    out->p999 = quantile(counts, out->count, 999, out->max);
}
