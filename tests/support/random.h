/* random.h - random tests that can be repeated.
 *
 * random_test_seed() takes PAIRPORT_SEED from the environment (decimal or 0x...), else a fresh
 * seed from the system, and prints it once, so a failed run can be run again. Generators made
 * from a seed give the same numbers on every system.
 *
 * Threads: one generator a thread; random_test_seed() from the main thread first.
 */
#ifndef PAIRPORT_TESTS_RANDOM_H
#define PAIRPORT_TESTS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

uint64_t random_test_seed(void);

/* Generators of one seed with different `stream` numbers are independent of each other. */
void random_init(struct random *random, uint64_t seed, uint64_t stream);
uint64_t random_next(struct random *random);
uint64_t random_below(struct random *random, uint64_t limit); /* 0..limit-1; limit > 0 */
uint64_t random_between(struct random *random, uint64_t low, uint64_t high); /* inclusive */
bool random_chance(struct random *random, unsigned percent);
void random_fill(struct random *random, void *buf, size_t len);

#endif
