/* mix.h - hashes and random numbers that are the same on every system. Not for secrets.
 *
 * Threads: any; they keep no state of their own.
 */
#ifndef PAIRPORT_ROUTE_MIX_H
#define PAIRPORT_ROUTE_MIX_H

#include <stddef.h>
#include <stdint.h>

/* The finalizer of splitmix64: every bit of `value` reaches every bit of the result. */
static inline uint64_t mix(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

/* The hash of `hash` (0 at first) followed by these bytes. */
static inline uint64_t mix_bytes(uint64_t hash, const void *bytes, size_t len)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u; /* FNV-1a's prime */
    return mix(hash + len);
}

/* The next random number of a generator; any start will do. */
static inline uint64_t mix_next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u; /* 2^64 divided by the golden ratio, odd */
    return mix(*state);
}

#endif
