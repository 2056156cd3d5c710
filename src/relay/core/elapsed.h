/* elapsed.h - the time between two clock readings of different workers.
 *
 * Each worker reads the clock once a turn, so a time stored by one worker may be slightly later
 * than another worker's `now`. The difference then counts as zero and does not wrap around.
 */
#ifndef PAIRPORT_RELAY_CORE_ELAPSED_H
#define PAIRPORT_RELAY_CORE_ELAPSED_H

#include <stdint.h>

static inline uint64_t elapsed_ms(uint64_t now_ms, uint64_t since_ms)
{
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

#endif
