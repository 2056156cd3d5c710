/* bucket.h - how often, or how much, something may happen: token buckets in one word.
 *
 * A bucket is the time at which it would be full again (GCRA, ITU-T I.371 annex A.1), so an
 * unused one is zero, needs no refilling by anybody, and is one atomic. Times are monotonic; of
 * callers whose clocks differ a little nobody gains more than that.
 *
 * Threads: any; one compare-and-swap, seldom more.
 */
#ifndef PAIRPORT_POLICY_BUCKET_H
#define PAIRPORT_POLICY_BUCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/conf.h"

struct bucket {
    _Atomic uint64_t full_at; /* nanoseconds of the monotonic clock; zero: it is full */
};

/* Makes it full. A bucket remembers how long it takes to fill, so one whose rate or pace was
 * changed a lot is better filled. One of a rate gets over it: it is never more than a second
 * emptier than empty. */
void bucket_fill(struct bucket *bucket);

/* Takes one; false, and nothing is taken: there is none. A rate that is off always gives. */
bool bucket_take(struct bucket *bucket, const struct conf_rate *rate, uint64_t now_ms);

/* Gives back one that was taken and not used. */
void bucket_give(struct bucket *bucket, const struct conf_rate *rate);

/* When the next one can be taken: `now_ms` or later, and not a millisecond later than needed. */
uint64_t bucket_next_ms(const struct bucket *bucket, const struct conf_rate *rate,
                        uint64_t now_ms);

bool bucket_is_full(const struct bucket *bucket, uint64_t now_ms);

/* Bytes that may pass right now, at most `most`; nothing is taken. A pace that is off: `most`. */
uint32_t bucket_room(const struct bucket *bucket, const struct conf_pace *pace, uint32_t most,
                     uint64_t now_ms);

/* So many bytes have passed, more than there was room for, too: then the next ones wait. */
void bucket_passed(struct bucket *bucket, const struct conf_pace *pace, uint32_t bytes,
                   uint64_t now_ms);

/* When there is room for `bytes`, or for a whole burst if that is less: `now_ms` or later. */
uint64_t bucket_room_ms(const struct bucket *bucket, const struct conf_pace *pace,
                        uint32_t bytes, uint64_t now_ms);

#endif
