/* gauges.h - warns before something runs out.
 *
 * Once a second the relay compares what has a limit with its limit. At 80 % it logs a warning,
 * at most once in 10 minutes; when use is back below 70 % it logs a notice. It also warns of
 * connects that the system dropped because a backlog was full, as they are counted.
 *
 * Threads: gauges_update() and the functions on one gauge by one worker at a time;
 * gauges_get_backlog() by any thread.
 */
#ifndef PAIRPORT_RELAY_QUEUE_GAUGES_H
#define PAIRPORT_RELAY_QUEUE_GAUGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct relay;

#define GAUGE_HIGH_PERCENT 80
#define GAUGE_LOW_PERCENT  70
#define GAUGE_QUIET_MS     600000 /* between two warnings of one gauge */

/* ---- one gauge ---- */

struct gauge {        /* zero-initialised is ready */
    bool warned;      /* and not yet back */
    uint64_t next_ms; /* when it may warn again */
};

enum gauge_news { GAUGE_NO_NEWS, GAUGE_HIGH, GAUGE_BACK };

/* What is to be said of it now. `limit` 0 or UINT64_MAX: there is none. */
enum gauge_news gauge_update(struct gauge *gauge, uint64_t used, uint64_t limit,
                             uint64_t now_ms);

/* ---- all of them ---- */

enum gauge_kind { GAUGE_DESCRIPTORS, GAUGE_SESSIONS, GAUGE_MEMORY, GAUGE_KINDS };

struct gauge_use {
    uint64_t used;
    uint64_t limit; /* 0 or UINT64_MAX: none, or unknown */
};

struct gauge_readings {
    struct gauge_use each[GAUGE_KINDS];
    bool backlog_known;
    uint64_t backlog_drops, backlog_overflows; /* see os_backlog_drops() */
    uint32_t backlog_limit;                    /* see os_backlog_limit() */
    uint64_t clients_lost; /* that found no place in the table, or lost theirs too soon */
};

struct gauges { /* zero-initialised is ready */
    struct gauge each[GAUGE_KINDS];
    bool begun;                         /* the system was looked at before */
    uint64_t descriptors_ms, limits_ms; /* when they are to be looked at again */
    struct gauge_use descriptors, memory;
    uint32_t backlog_limit;
    uint64_t base_drops, base_overflows; /* at the start */
    uint64_t told_overflows;             /* since the start, as the log has it */
    uint64_t backlog_next_ms;            /* when the log may tell again */
    uint64_t told_lost;                  /* clients, as the log has it */
    uint64_t clients_next_ms;            /* when the log may tell again */
    _Atomic bool backlog_known;
    _Atomic uint64_t drops, overflows; /* since the start */
    _Atomic uint64_t drops_per_s;      /* in the last second */
};

/* Logs what the readings tell that is new. */
void gauges_note(struct gauges *gauges, const struct gauge_readings *readings, uint64_t now_ms);

/* Reads what there is now, also the routes' sessions, and notes it. Once a second. */
void gauges_update(struct relay *relay, uint64_t now_ms);

struct gauge_backlog {
    bool known;
    uint64_t drops, overflows; /* since the server was started */
    uint64_t drops_per_s;
};
void gauges_get_backlog(const struct gauges *gauges, struct gauge_backlog *out);

#endif
