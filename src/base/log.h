/* log.h - one event, one line.
 *
 * A line is `TIME LEVEL message`, lower case, no final dot, names in quotes; TIME is UTC,
 * "2026-11-23T17:04:05.123Z". Bytes of a message that are no printable UTF-8 text (controls,
 * line separators, stray bytes) stand as \xNN, so no peer can forge a line. Where lines go is
 * decided by the output that the program hands over (stderr, a file, the console's screen).
 * Repeated failures go through a struct log_limit: the first of a window is written, the rest
 * are counted, and the count is written with the next one, by log_limit_flush() or by
 * log_limit_end(); nothing is dropped without a number.
 *
 * Threads: any; the output must be callable from any thread too. Nothing is allocated.
 */
#ifndef PAIRPORT_BASE_LOG_H
#define PAIRPORT_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum log_level { LOG_ERROR = 0, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

/* Longest line with its newline; a longer one is cut and ends in "...\n". */
#define LOG_LINE_MAX 1024

/* Where lines go. `now_us` is wall-clock time in microseconds since 1970 UTC; `mono_ms` is
 * monotonic. `write` gets one whole line with its newline. All three must stay callable until
 * log_set_output() is called with another output. */
struct log_output {
    uint64_t (*now_us)(void);
    uint64_t (*mono_ms)(void);
    void (*write)(void *ctx, enum log_level level, const char *line, size_t len);
    void *ctx;
};

/* Until the first call lines go to stderr without a time. `output` is copied. Call while no
 * other thread logs, or with an output whose `write` may still be called for a moment. */
void log_set_output(const struct log_output *output);

/* Each line says from here on whose it is, "[pid 17] ", for a program that is not the only one to
 * write to the log. `origin` is not copied; NULL: none. */
void log_set_origin(const char *origin);

void log_set_level(enum log_level level); /* lines above it are not written; default NOTICE */
enum log_level log_get_level(void);
bool log_on(enum log_level level); /* true when a line of that level would be written */

const char *log_level_word(enum log_level level); /* "error", "warning", ... */

void log_write(enum log_level level, const char *format, ...) STR_PRINTF(2, 3);

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)

/* One kind of failure that may repeat. Zero-initialised it allows one line per 10 s; set
 * `window_ms` for another window. */
struct log_limit {
    uint32_t window_ms;          /* 0 means 10,000 */
    _Atomic uint64_t next_ms;    /* monotonic time from which the next line may be written */
    _Atomic uint64_t suppressed; /* lines not written since the last one */
    _Atomic uint64_t total;      /* events in all, for counters */
};

/* As log_write(), at most once per window; a written line ends in " (N more since the last
 * such line)" when others were held back. */
void log_limited(struct log_limit *limit, enum log_level level, const char *format, ...)
    STR_PRINTF(3, 4);

/* For who would have to make up the arguments of a line that is held back: true when
 * log_limited() would write none at `now_ms` (monotonic); the event is counted as it does. False:
 * nothing is counted, and log_limited() is to be called. */
bool log_limit_holds(struct log_limit *limit, enum log_level level, uint64_t now_ms);

/* Writes "WHAT: N more" when lines were held back and the window is over; called now and then
 * so that the last burst is accounted for. */
void log_limit_flush(struct log_limit *limit, enum log_level level, const char *what);

/* The same before the window is over, for the end of whatever could fail: nobody comes later. */
void log_limit_end(struct log_limit *limit, enum log_level level, const char *what);

/* Writes the UTC time as lines have it, ISO 8601 with milliseconds; gives its length. A signal
 * handler may call it. */
#define LOG_TIME_MAX 32
size_t log_format_time(uint64_t wall_us, char *text, size_t size);

/* Lines that were lost because the output failed (full disk). The output calls log_note_lost()
 * when it could not write one. */
void log_note_lost(void);
uint64_t log_lost_total(void);

#endif
