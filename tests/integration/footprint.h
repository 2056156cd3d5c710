/* footprint.h - what the relay's process holds while it has nothing to do.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_TESTS_FOOTPRINT_H
#define PAIRPORT_TESTS_FOOTPRINT_H

#include <stdint.h>

#include "relay_run.h"

struct footprint {
    uint64_t descriptors;
    uint64_t resident; /* bytes */
};

/* Waits until nothing is left of any session. */
struct footprint footprint_take(struct relay_run *relay);

/* Descriptors and memory are back where they began; prints both memories. */
void footprint_assert_same(struct relay_run *relay, struct footprint before);

#endif
