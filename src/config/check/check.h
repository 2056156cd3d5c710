/* check.h - what is wrong between several lines: missing and repeated addresses, listeners that
 * get in each other's way, keys that contradict each other.
 *
 * All report to the mistakes of the draft, in which the values of [defaults] are applied.
 *
 * Threads: those of the draft.
 */
#ifndef PAIRPORT_CONFIG_CHECK_CHECK_H
#define PAIRPORT_CONFIG_CHECK_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "config/read/draft.h"

/* All of the checks below. */
void check_draft(const struct draft *draft);

/* The listeners of route number `r`, with each other and those of the routes before. */
void check_listens(const struct draft *draft, size_t r);

/* Routes that lead back to themselves, at once or through others: no server can be there, every
 * session would open the next one until no more go. */
void check_circles(const struct draft *draft);

/* The upstreams of route number `r`, with each other and its listeners. */
void check_upstreams(const struct draft *draft, size_t r);

/* Keys of route number `r` that contradict each other. */
void check_combinations(const struct draft *draft, size_t r);

/* Keys of [relay] that contradict each other. */
void check_relay(const struct draft *draft);

/* Limits of route number `r` and its clients that can't be reached. */
void check_guard(const struct draft *draft, size_t r);

/* Keys of [defaults] that no route has a use for. */
void check_defaults(const struct draft *draft);

#endif
