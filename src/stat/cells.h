/* cells.h - the memory behind stat.h, shared by its files. */
#ifndef PAIRPORT_STAT_CELLS_H
#define PAIRPORT_STAT_CELLS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "stat/histogram.h"
#include "stat/stat.h"

/* A minute needs 61 samples a second apart; the one being written and two more make it even. */
#define STAT_SAMPLES   64
#define STAT_RATES_MAX 60 /* seconds */

/* What one worker has counted in one scope. Only that worker writes. It begins on a cache line
 * of its own, so that no two workers write to the same one. */
struct stat_cell {
    _Alignas(64) _Atomic uint64_t counters[STAT_COUNTERS];
    _Atomic uint64_t reasons[REASON_COUNT];
};

/* What the rates are made from, in the order of struct stat_rates. */
enum stat_rated {
    RATED_SESSIONS,
    RATED_BYTES_UP,
    RATED_BYTES_DOWN,
    RATED_WRITES_UP,
    RATED_WRITES_DOWN,
    RATED
};

struct stat_scope {
    struct histogram connect_us;
    struct histogram length_ms;
    _Atomic uint64_t samples[STAT_SAMPLES][RATED]; /* a ring, in step with stat.sample_ms */
};

struct stat {
    unsigned workers;
    size_t route_count;
    size_t scope_count;
    size_t *first_scope;       /* owned; of each route: itself, then its upstreams */
    struct stat_cell *cells;   /* owned; cells[worker * scope_count + scope] */
    struct stat_scope *scopes; /* owned */

    _Atomic uint64_t sample_ms[STAT_SAMPLES];
    _Atomic uint64_t sample_count; /* ever taken; the latest is number sample_count - 1 */
};

#endif
