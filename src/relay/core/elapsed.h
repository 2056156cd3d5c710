/* elapsed.h - time that has passed, by the clocks of several workers.
 *
 * Each worker reads the clock once a turn, so a time noted by one may lie a little ahead of
 * another's `now`. That is no time at all, not half an eternity.
 */
#ifndef PAIRPORT_RELAY_CORE_ELAPSED_H
#define PAIRPORT_RELAY_CORE_ELAPSED_H

#include <stdint.h>

static inline uint64_t elapsed_ms(uint64_t now_ms, uint64_t since_ms)
{
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

#endif
