/* spread.h - ends what is open evenly over a time: how many are due, and when the next one is.
 *
 * Who has to be rid of `left` things by a certain time looks now and then: of the time since the
 * last ones were due, so much has passed and so much remains. What ends by itself in
 * between, or comes to it, changes the pace of the rest; the last one is due at the end.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_POLICY_SPREAD_H
#define PAIRPORT_POLICY_SPREAD_H

#include <stddef.h>
#include <stdint.h>

#define SPREAD_MS_MAX (UINT64_C(3650) * 24 * 3600 * 1000) /* of a whole time */

/* How many of `left` are due, rounded down: `passed_ms` have gone since the last ones were due,
 * or since the beginning, and `remaining_ms` remain. All of them when none remains. */
size_t spread_due(size_t left, uint64_t passed_ms, uint64_t remaining_ms);

/* How much of the time that had passed the `due` ones were for, with `total_ms` to the end when it
 * began: the rest of it counts for the next. */
uint64_t spread_used_ms(size_t left, size_t due, uint64_t total_ms);

/* How long after that moment the next one is due, `total_ms` before the end; `total_ms` when
 * nothing is left. spread_due() gives 1 or more from then on. */
uint64_t spread_gap_ms(size_t left, uint64_t total_ms);

#endif
