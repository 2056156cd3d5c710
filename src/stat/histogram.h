/* histogram.h - how values are distributed, with a known error and in bounded memory.
 *
 * Log-linear buckets: 16 a power of two, so a quantile is at most 1/16 (6.25 %) above the true
 * value; values from 0 to 2^40 (12 days in microseconds, 34 years in milliseconds), larger
 * ones count as the largest. Unit is whatever the owner records.
 *
 * Threads: any may record and read; a reading is not a snapshot of one instant.
 */
#ifndef PAIRPORT_STAT_HISTOGRAM_H
#define PAIRPORT_STAT_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 4
#define HISTOGRAM_MAX_BITS 40
#define HISTOGRAM_BUCKETS  ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS]; /* zero-initialised is empty */
    _Atomic uint64_t sum;                        /* of the values as they count */
    _Atomic uint64_t max;
};

void histogram_record(struct histogram *histogram, uint64_t value);

/* Adds all of `from` to `to`, for a sum over several histograms. */
void histogram_add(struct histogram *to, const struct histogram *from);

struct histogram_summary {
    uint64_t count;
    uint64_t mean;
    uint64_t p50, p90, p99, p999;
    uint64_t max; /* exact */
};
/* All zero when nothing was recorded. */
void histogram_summarise(const struct histogram *histogram, struct histogram_summary *out);

#endif
