/* bucket.c - token buckets in one word.
 *
 * `full_at` is in nanoseconds: 64 bits of them last for centuries, and whoever moves bytes so
 * fast that a rounded nanosecond mattered could not make the calls. Additions stop at the end of
 * the range instead of coming round: a burst of 4 GB at 1 byte/s alone takes 136 years to fill. */
#include "policy/bucket.h"

#define NS_OF_MS 1000000u
#define NS_OF_S  1000000000u

/* Clocks that are read once a turn differ by less than this. */
#define CLOCKS_NS NS_OF_S

static uint64_t sum(uint64_t a, uint64_t b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

static uint64_t product(uint64_t a, uint64_t b)
{
    uint64_t result;
    return __builtin_mul_overflow(a, b, &result) ? UINT64_MAX : result;
}

static uint64_t difference(uint64_t a, uint64_t b) /* none below zero */
{
    return a > b ? a - b : 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t ns_of_ms(uint64_t ms)
{
    return product(ms, NS_OF_MS);
}

static uint64_t ms_of_ns(uint64_t ns) /* rounded up */
{
    return ns / NS_OF_MS + (ns % NS_OF_MS != 0);
}

/* The word says how many, it publishes nothing else, so no order of memory is asked for. */
static uint64_t full_at(const struct bucket *bucket)
{
    return atomic_load_explicit(&bucket->full_at, memory_order_relaxed);
}

/* False: *seen is read again. */
static bool change(struct bucket *bucket, uint64_t *seen, uint64_t to)
{
    return atomic_compare_exchange_weak_explicit(&bucket->full_at, seen, to,
                                                 memory_order_relaxed, memory_order_relaxed);
}

void bucket_fill(struct bucket *bucket)
{
    atomic_store_explicit(&bucket->full_at, 0, memory_order_relaxed);
}

bool bucket_is_full(const struct bucket *bucket, uint64_t now_ms)
{
    return full_at(bucket) <= ns_of_ms(now_ms);
}

/* ---- a rate ---- */

/* Nanoseconds until there is one more, to the nearest. */
static uint64_t ns_of_one(const struct conf_rate *rate)
{
    uint64_t ns = (ns_of_ms(rate->per_ms) + rate->count / 2) / rate->count;
    return larger(ns, 1);
}

bool bucket_take(struct bucket *bucket, const struct conf_rate *rate, uint64_t now_ms)
{
    if (rate->count == 0)
        return true;
    uint64_t now = ns_of_ms(now_ms);
    uint64_t one = ns_of_one(rate);
    uint64_t empty =
        sum(now, product(one, rate->burst)); /* what `full_at` of an empty one is */
    uint64_t seen = full_at(bucket);
    for (;;) {
        uint64_t with_one = sum(larger(seen, now), one);
        if (with_one <= empty) {
            if (change(bucket, &seen, with_one))
                return true;
        } else if (seen <= sum(empty, CLOCKS_NS) || change(bucket, &seen, empty)) {
            return false; /* what a slower rate has left is cut off, see bucket_fill() */
        }
    }
}

void bucket_give(struct bucket *bucket, const struct conf_rate *rate)
{
    if (rate->count == 0)
        return;
    uint64_t one = ns_of_one(rate);
    uint64_t seen = full_at(bucket);
    while (!change(bucket, &seen, difference(seen, one)))
        continue; /* `seen` was read again */
}

uint64_t bucket_next_ms(const struct bucket *bucket, const struct conf_rate *rate,
                        uint64_t now_ms)
{
    if (rate->count == 0)
        return now_ms;
    uint64_t one = ns_of_one(rate);
    uint64_t empty = sum(ns_of_ms(now_ms), product(one, rate->burst));
    uint64_t seen = full_at(bucket);
    if (seen > sum(empty, CLOCKS_NS))
        seen = empty; /* as bucket_take() has it */
    return larger(ms_of_ns(difference(seen, product(one, rate->burst - 1))), now_ms);
}

/* ---- a pace ---- */

/* Nanoseconds that so many bytes take, rounded up. 2^32 bytes at 1 byte/s are within range. */
static uint64_t ns_of_bytes(const struct conf_pace *pace, uint32_t bytes)
{
    uint64_t product = (uint64_t)bytes * NS_OF_S;
    return product / pace->bytes_per_s + (product % pace->bytes_per_s != 0);
}

/* The `full_at` from which on an empty bucket has nothing. */
static uint64_t empty_at(const struct conf_pace *pace, uint64_t now_ms)
{
    return sum(ns_of_ms(now_ms), ns_of_bytes(pace, pace->burst_bytes));
}

uint32_t bucket_room(const struct bucket *bucket, const struct conf_pace *pace, uint32_t most,
                     uint64_t now_ms)
{
    if (pace->bytes_per_s == 0)
        return most;
    most = (uint32_t)smaller(most, pace->burst_bytes);
    uint64_t time = difference(empty_at(pace, now_ms), full_at(bucket));
    if (time >= ns_of_bytes(pace, most))
        return most;
    /* Less than the time of `most` bytes, so the product is less than 2^32 seconds of it. */
    return (uint32_t)(time * pace->bytes_per_s / NS_OF_S);
}

void bucket_passed(struct bucket *bucket, const struct conf_pace *pace, uint32_t bytes,
                   uint64_t now_ms)
{
    if (pace->bytes_per_s == 0)
        return;
    uint64_t now = ns_of_ms(now_ms);
    uint64_t time = ns_of_bytes(pace, bytes);
    uint64_t seen = full_at(bucket);
    while (!change(bucket, &seen, sum(larger(seen, now), time)))
        continue; /* `seen` was read again */
}

uint64_t bucket_room_ms(const struct bucket *bucket, const struct conf_pace *pace,
                        uint32_t bytes, uint64_t now_ms)
{
    if (pace->bytes_per_s == 0)
        return now_ms;
    uint64_t burst = ns_of_bytes(pace, pace->burst_bytes);
    uint64_t wanted = ns_of_bytes(pace, (uint32_t)smaller(bytes, pace->burst_bytes));
    return larger(ms_of_ns(difference(full_at(bucket), burst - wanted)), now_ms);
}
