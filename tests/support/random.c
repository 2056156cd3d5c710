#include "support/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/os.h"

static uint64_t choose_seed(void)
{
    const char *text = getenv("PAIRPORT_SEED");
    if (text == NULL || *text == '\0')
        return os_random();
    char *end;
    uint64_t seed = strtoull(text, &end, 0);
    if (*end != '\0') {
        fprintf(stderr, "PAIRPORT_SEED='%s' is not a number\n", text);
        exit(2);
    }
    return seed;
}

uint64_t random_test_seed(void)
{
    static bool chosen;
    static uint64_t seed;
    if (!chosen) {
        seed = choose_seed();
        chosen = true;
        printf("random seed: set PAIRPORT_SEED=0x%" PRIx64 " to repeat this run\n", seed);
        fflush(stdout);
    }
    return seed;
}

/* The finalizer of splitmix64: every input bit reaches every output bit. */
static uint64_t scramble(uint64_t value)
{
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

void random_init(struct random *random, uint64_t seed, uint64_t stream)
{
    random->state = scramble(scramble(seed) + stream);
}

uint64_t random_next(struct random *random)
{
    random->state += 0x9e3779b97f4a7c15u; /* 2^64 divided by the golden ratio, odd */
    return scramble(random->state);
}

uint64_t random_below(struct random *random, uint64_t limit)
{
    return random_next(random) % limit;
}

uint64_t random_between(struct random *random, uint64_t low, uint64_t high)
{
    return low + random_below(random, high - low + 1);
}

bool random_chance(struct random *random, unsigned percent)
{
    return random_below(random, 100) < percent;
}

void random_fill(struct random *random, void *buf, size_t len)
{
    unsigned char *bytes = buf;
    while (len > 0) {
        uint64_t word = random_next(random);
        size_t part = len < sizeof word ? len : sizeof word;
        memcpy(bytes, &word, part);
        bytes += part;
        len -= part;
    }
}
