/* acl_key.h - an address as a row of bits, for acl.c.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_POLICY_ACL_KEY_H
#define PAIRPORT_POLICY_ACL_KEY_H

#include <stdint.h>

#include "base/addr.h"

#define ACL_KEY_BITS 128 /* an IPv4 address is the first 32 of them, the others are zero */

struct acl_key {
    uint64_t high, low;
};

static inline uint64_t acl_key_word(const uint8_t bytes[8])
{
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; i++)
        word = word << 8 | bytes[i];
    return word;
}

static inline struct acl_key acl_key_of(const struct addr *addr)
{
    return (struct acl_key){.high = acl_key_word(addr->ip), .low = acl_key_word(addr->ip + 8)};
}

/* How many leading bits both have; ACL_KEY_BITS: they are equal. */
static inline unsigned acl_key_shared_bits(struct acl_key a, struct acl_key b)
{
    if (a.high != b.high)
        return (unsigned)__builtin_clzll(a.high ^ b.high);
    if (a.low != b.low)
        return 64 + (unsigned)__builtin_clzll(a.low ^ b.low);
    return ACL_KEY_BITS;
}

static inline unsigned acl_key_bit(struct acl_key key, unsigned place) /* place < 128 */
{
    return (place < 64 ? key.high >> (63 - place) : key.low >> (127 - place)) & 1;
}

/* The `count` bits from `place` on, as a number; none of them is behind the last, and there are at
 * most 32. */
static inline unsigned acl_key_bits(struct acl_key key, unsigned place, unsigned count)
{
    if (count == 0)
        return 0;
    uint64_t word = place >= 64  ? key.low << (place - 64)
                    : place == 0 ? key.high
                                 : key.high << place | key.low >> (64 - place);
    return (unsigned)(word >> (64 - count));
}

/* Sets one bit, which is zero. */
static inline void acl_key_set(struct acl_key *key, unsigned place)
{
    if (place < 64)
        key->high |= UINT64_C(1) << (63 - place);
    else
        key->low |= UINT64_C(1) << (127 - place);
}

static inline struct acl_key acl_key_masked(struct acl_key key, unsigned bits)
{
    if (bits < 64) {
        key.high &= ~(UINT64_MAX >> bits);
        key.low = 0;
    } else if (bits < ACL_KEY_BITS) {
        key.low &= ~(UINT64_MAX >> (bits - 64));
    }
    return key;
}

#endif
