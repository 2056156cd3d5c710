/* stat.h - what is counted, by route, by upstream and in all.
 *
 * Every worker adds to cells of its own, so counting on the byte path is a plain store to
 * memory that no other worker writes; readers add the workers' cells up. A scope is a route or
 * an upstream of a route; the sum over the routes, those that have gone included, is the whole.
 * Once a second stat_sample() keeps the sums, from which the rates over 1, 10 and 60 s come.
 *
 * Threads: stat_add() only for the caller's own worker number; stat_open(), stat_close() and
 * stat_sample() by the server; stat_begin_scope() and stat_end_scope() while nobody else uses
 * the statistics; stat_reserve() by the thread that calls those two; everything else from any
 * thread, never stopping a worker.
 */
#ifndef PAIRPORT_STAT_STAT_H
#define PAIRPORT_STAT_STAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "stat/histogram.h"

enum stat_counter {
    STAT_SESSIONS,         /* admitted (route) or connected (upstream) */
    STAT_CONNECTS,         /* connects to upstreams begun, retries included */
    STAT_CONNECT_FAILURES, /* of these, failed: refused, timed out, unreachable, ... */
    STAT_RETRIES,          /* of these, made because an earlier one of the session failed */
    STAT_BYTES_UP,         /* client -> upstream, taken by the sink's system */
    STAT_BYTES_DOWN,       /* upstream -> client */
    STAT_WRITES_UP,        /* WRITE operations finished, client -> upstream */
    STAT_WRITES_DOWN,
    STAT_ACCEPT_FAILURES, /* ACCEPT operations that failed: aborted, no descriptors, no memory */
    STAT_PACED,           /* waits of a flow because a rate_* had no room */
    STAT_COUNTERS
};

struct stat; /* opaque */

/* Without scopes. ERR_NOMEM leaves nothing. */
enum err stat_open(struct stat **out, unsigned workers);
void stat_close(struct stat *stat);

/* A scope: a number for stat_add() and the readers. All of it begins at zero. ERR_NOMEM leaves
 * *scope and everything else as they were. */
enum stat_kind { STAT_ROUTE, STAT_UPSTREAM };
enum err stat_begin_scope(struct stat *stat, enum stat_kind kind, size_t *scope);

/* Memory for so many scopes that begin later, and no more: stat_begin_scope() can't fail for
 * these. 0 gives back what was reserved and not used. Others may use the statistics meanwhile.
 * ERR_NOMEM: for fewer. */
enum err stat_reserve(struct stat *stat, size_t count);

/* The scope is not used any more, its number may be given again. What a route has counted stays
 * a part of the whole. */
void stat_end_scope(struct stat *stat, size_t scope);

/* Adds to a counter; only from worker `worker` (0 .. workers - 1). */
void stat_add(struct stat *stat, unsigned worker, size_t scope, enum stat_counter counter,
              uint64_t n);

/* Counts an ended or refused session by its reason; only from worker `worker`. */
void stat_add_reason(struct stat *stat, unsigned worker, size_t scope, enum reason reason);

/* The histograms of a scope, for recording and reading by anybody: connect time of successful
 * connects in microseconds; length of sessions, admitted to ended, in milliseconds. */
struct histogram *stat_connect_us(struct stat *stat, size_t scope);
struct histogram *stat_length_ms(struct stat *stat, size_t scope);

/* The same for all routes together, added to *sum. */
void stat_add_connect_us(const struct stat *stat, struct histogram *sum);
void stat_add_length_ms(const struct stat *stat, struct histogram *sum);

struct stat_sums {
    uint64_t counters[STAT_COUNTERS];
    uint64_t reasons[REASON_COUNT]; /* ended and refused sessions by reason */
};
void stat_read(const struct stat *stat, size_t scope, struct stat_sums *out);
void stat_read_total(const struct stat *stat, struct stat_sums *out); /* all routes */

/* Keeps the sums of all scopes with their time; called about once a second. */
void stat_sample(struct stat *stat, uint64_t now_ms);

struct stat_rates { /* per second, rounded; 0 before the second sample */
    uint64_t sessions;
    uint64_t bytes_up;
    uint64_t bytes_down;
    uint64_t writes_up;
    uint64_t writes_down;
};
/* Over the last `seconds` (1..60) up to the last sample, or over as much as there is. */
void stat_rates(struct stat *stat, size_t scope, unsigned seconds, struct stat_rates *out);
void stat_rates_total(struct stat *stat, unsigned seconds, struct stat_rates *out);

#endif
