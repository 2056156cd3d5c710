/* hash.h - a hash of three words that nobody can foresee who does not know the seed.
 *
 * SipHash-1-3 (Aumasson and Bernstein): a peer that chooses its addresses cannot make many of
 * them meet in one chain of a table.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_POLICY_HASH_H
#define PAIRPORT_POLICY_HASH_H

#include <stdint.h>

struct hash_state {
    uint64_t a, b, c, d;
};

static inline uint64_t hash_turned(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static inline void hash_round(struct hash_state *s)
{
    s->a += s->b;
    s->c += s->d;
    s->b = hash_turned(s->b, 13) ^ s->a;
    s->d = hash_turned(s->d, 16) ^ s->c;
    s->a = hash_turned(s->a, 32);
    s->c += s->b;
    s->a += s->d;
    s->b = hash_turned(s->b, 17) ^ s->c;
    s->d = hash_turned(s->d, 21) ^ s->a;
    s->c = hash_turned(s->c, 32);
}

static inline uint64_t hash_words(uint64_t seed, uint64_t first, uint64_t second,
                                  uint64_t third)
{
    const uint64_t words[] = {first, second, third,
                              (uint64_t)24 << 56}; /* the last: 24 bytes */
    uint64_t other_seed = (seed ^ 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    struct hash_state s = {
        seed ^ 0x736f6d6570736575u,
        other_seed ^ 0x646f72616e646f6du,
        seed ^ 0x6c7967656e657261u,
        other_seed ^ 0x7465646279746573u,
    };
    for (unsigned i = 0; i < 4; i++) {
        s.d ^= words[i];
        hash_round(&s);
        s.a ^= words[i];
    }
    s.c ^= 0xff;
    for (unsigned i = 0; i < 3; i++)
        hash_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

#endif
