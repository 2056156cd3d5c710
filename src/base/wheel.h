/* wheel.h - timers by the thousand, for deadlines that mostly never come.
 *
 * A hashed hierarchical wheel with slots of WHEEL_SLOT_MS: adding, moving and removing an
 * entry are a list operation each. An entry fires at its time or up to one slot later, never
 * early. Owners keep their real deadline themselves and put the entry back in when it fires
 * too soon (lazy timers), so moving bytes touches no wheel.
 *
 * Threads: none of its own; guard a wheel with its owner's lock. Times are milliseconds of
 * one monotonic clock.
 */
#ifndef PAIRPORT_BASE_WHEEL_H
#define PAIRPORT_BASE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

#define WHEEL_SLOT_MS 16
#define WHEEL_BITS    6  /* 64 slots a level */
#define WHEEL_LEVELS  10 /* 64^10 slots of 16 ms: whatever 64 bits of milliseconds can say */

struct wheel_entry {
    struct list link; /* in a slot or among the due while armed, else alone */
    uint64_t when;    /* due, in slots since the wheel's zero; rounded up from milliseconds */
};

struct wheel {
    struct list slots[WHEEL_LEVELS][1 << WHEEL_BITS];
    uint64_t busy[WHEEL_LEVELS]; /* one bit a slot: it holds entries */
    struct list due;             /* entries whose time has come, not taken out yet */
    uint64_t now;                /* slots up to here have been looked at */
    size_t armed;                /* entries in the wheel, the due ones included */
};

#define WHEEL_NEVER UINT64_MAX

void wheel_init(struct wheel *wheel, uint64_t now_ms);
void wheel_entry_init(struct wheel_entry *entry);
bool wheel_is_armed(const struct wheel_entry *entry);

/* Arms the entry for `due_ms`, also when it is armed for another time. A due time in the past
 * fires with the next wheel_expire(). */
void wheel_arm(struct wheel *wheel, struct wheel_entry *entry, uint64_t due_ms);
void wheel_disarm(struct wheel *wheel, struct wheel_entry *entry); /* armed or not */

/* Moves the wheel's time to `now_ms` and takes out one entry that is due, or gives NULL when
 * none is left. Call until NULL. */
struct wheel_entry *wheel_expire(struct wheel *wheel, uint64_t now_ms);

/* The earliest time at which wheel_expire() may have something to do: never later than the
 * earliest entry's time rounded up to a slot; 0 when an entry is due already, WHEEL_NEVER when
 * the wheel is empty. It may be earlier than the entry, since a far entry moves closer in steps,
 * of which it takes fewer than WHEEL_LEVELS: each is 64 times as long as the next. */
uint64_t wheel_next_ms(const struct wheel *wheel);

#endif
