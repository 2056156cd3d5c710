/* ban_clock.h - the clock that measures how long a ban lasts.
 *
 * It starts at the wall clock's time and goes on with the monotonic clock. So a wall clock that
 * is changed makes no ban longer or shorter. The state file and the console use wall clock
 * times: there, too, the time left until a ban ends is the same as here.
 *
 * Threads: any; a clock does not change after its start.
 */
#ifndef PAIRPORT_RELAY_GUARD_BAN_CLOCK_H
#define PAIRPORT_RELAY_GUARD_BAN_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/bans.h"

struct ban_clock {
    uint64_t ahead_ms; /* of the monotonic clock */
};

/* `mono_ms` is what the monotonic clock shows now. */
void ban_clock_start(struct ban_clock *clock, uint64_t mono_ms);

static inline uint64_t ban_clock_at(const struct ban_clock *clock, uint64_t mono_ms)
{
    return mono_ms + clock->ahead_ms;
}

uint64_t ban_clock_now(const struct ban_clock *clock);

/* What the wall clock is ahead of this one now, milliseconds; 0 until it is set. */
int64_t ban_clock_shift(const struct ban_clock *clock);

/* Gives a ban the times of the wall clock; shift_ms is of ban_clock_shift(). */
void ban_clock_to_wall(struct ban *ban, int64_t shift_ms);

/* The other way round, for a ban of the state file. A ban never has more time left than its whole
 * length: more would mean that the wall clock was set back since. False: it is over. */
bool ban_clock_from_wall(const struct ban_clock *clock, struct ban *ban);

#endif
