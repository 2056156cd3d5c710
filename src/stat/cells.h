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
    enum stat_kind kind;
    struct histogram connect_us;
    struct histogram length_ms;
    _Atomic uint64_t samples[STAT_SAMPLES][RATED]; /* a ring, in step with stat.sample_ms */
    void *memory;                                  /* what is freed with the scope */
    struct stat_scope *next_spare;
    struct stat_cell cells[]; /* one for each worker */
};

struct stat {
    unsigned workers;
    struct stat_scope **scopes; /* owned, as what is in it; NULL where a number is free */
    size_t scope_count;         /* numbers there are */
    size_t scope_room;          /* numbers that `scopes` has room for */

    /* for scopes that begin later; scope_room or `larger` has numbers for all of them */
    struct stat_scope *spares; /* owned, a list */
    size_t spare_count;
    struct stat_scope **larger; /* owned: takes the place of `scopes`; NULL: none is needed */
    size_t larger_room;

    struct stat_scope *gone; /* owned: the sum of the routes that have gone */

    _Atomic uint64_t sample_ms[STAT_SAMPLES];
    _Atomic uint64_t sample_count; /* ever taken; the latest is number sample_count - 1 */
};

/* Calls for each route's scope, that of the gone ones first. */
#define STAT_EACH_ROUTE(scope, stat)                                                           \
    for (size_t at_ = 0; at_ <= (stat)->scope_count; at_++)                                    \
        for (struct stat_scope *scope = at_ == 0 ? (stat)->gone : (stat)->scopes[at_ - 1];     \
             scope != NULL && scope->kind == STAT_ROUTE; scope = NULL)

#endif
