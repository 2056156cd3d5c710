#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_WINDOW_MS 10000

static const char *const level_words[] = {
    [LOG_ERROR] = "error", [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
    [LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};
#define LEVELS (sizeof level_words / sizeof level_words[0])

static _Atomic int current_level = LOG_NOTICE;
static _Atomic uint64_t lost_total;

/* The output, field by field. A reader that finds the same even generation before and after has
 * read fields that belong together; nobody waits on the way to a log line but for the few
 * instructions of a change. */
static struct {
    _Atomic unsigned generation; /* odd while the fields change */
    uint64_t (*_Atomic now_us)(void);
    uint64_t (*_Atomic mono_ms)(void);
    void (*_Atomic write)(void *, enum log_level, const char *, size_t);
    void *_Atomic ctx;
} current; /* all NULL before the first log_set_output() */

static void write_to_stderr(void *ctx, enum log_level level, const char *line, size_t len)
{
    (void)ctx;
    (void)level;
    if (fwrite(line, 1, len, stderr) != len)
        log_note_lost();
}

void log_set_output(const struct log_output *output)
{
    assert(output->now_us != NULL && output->mono_ms != NULL && output->write != NULL);
    current.generation++;
    current.now_us = output->now_us;
    current.mono_ms = output->mono_ms;
    current.write = output->write;
    current.ctx = output->ctx;
    current.generation++;
}

static struct log_output get_output(void)
{
    struct log_output output;
    unsigned before;
    do {
        before = current.generation;
        output.now_us = current.now_us;
        output.mono_ms = current.mono_ms;
        output.write = current.write;
        output.ctx = current.ctx;
    } while (before % 2 != 0 || current.generation != before);

    if (output.write == NULL)
        output.write = write_to_stderr;
    return output;
}

static const char *_Atomic current_origin;

void log_set_origin(const char *origin)
{
    atomic_store(&current_origin, origin);
}

void log_set_level(enum log_level level)
{
    assert((size_t)level < LEVELS);
    current_level = (int)level;
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load_explicit(&current_level, memory_order_relaxed);
}

bool log_on(enum log_level level)
{
    return level <= log_get_level();
}

const char *log_level_word(enum log_level level)
{
    assert((size_t)level < LEVELS);
    return level_words[level];
}

void log_note_lost(void)
{
    lost_total++;
}

uint64_t log_lost_total(void)
{
    return lost_total;
}

/* ---- a line ---- */

struct line {
    char text[LOG_LINE_MAX + 1]; /* the zero byte is a courtesy to outputs */
    size_t len;
};

/* The calendar is computed here because the C library has no function for it that is safe in
 * threads on both systems. */
size_t log_format_time(uint64_t wall_us, char *text, size_t size)
{
    /* Years are counted from 0000-03-01, so that a leap day is the last day of its year, and
     * 400 years, which always have the same number of days, from a year divisible by 400. */
    const uint64_t days_400 = 146097;
    const uint64_t days_100 = 36524; /* the first three centuries of 400 years */
    const uint64_t days_4 = 1461;
    const uint64_t days_to_1970 = 719468;
    static const uint16_t month_starts[] = {0,   31,  61,  92,  122, 153,
                                            184, 214, 245, 275, 306, 337};

    uint64_t ms = wall_us / 1000;
    uint64_t day = ms / 86400000 + days_to_1970;
    uint64_t year = day / days_400 * 400;
    day %= days_400;
    uint64_t century = day / days_100 < 3 ? day / days_100 : 3; /* the fourth has a day more */
    day -= century * days_100;
    year += century * 100 + day / days_4 * 4;
    day %= days_4;
    uint64_t rest = day / 365 < 3 ? day / 365 : 3; /* the fourth year has a day more */
    day -= rest * 365;
    year += rest;

    unsigned month = 11; /* of the year that begins in March */
    while (day < month_starts[month])
        month--;
    uint64_t day_of_month = day - month_starts[month] + 1;
    if (month >= 10)
        year++; /* January and February */
    month = (month + 2) % 12 + 1;

    unsigned in_day = (unsigned)(ms % 86400000);
    return str_format(text, size, "%04" PRIu64 "-%02u-%02" PRIu64 "T%02u:%02u:%02u.%03uZ", year,
                      month, day_of_month, in_day / 3600000, in_day / 60000 % 60,
                      in_day / 1000 % 60, in_day % 1000);
}

/* How many bytes stand for themselves in a line. */
static size_t count_plain(const char *bytes, size_t len)
{
    size_t count = 0;
    while (count < len && bytes[count] >= ' ' && bytes[count] <= '~')
        count++;
    return count;
}

/* Appends the message, which may hold any bytes: what is no well-formed printable text stands
 * as \xNN, so that no peer can forge or hide a line. A message that would make the line longer
 * than `max` is cut between two characters and ends in "...". */
static void add_message(struct line *line, const char *message, size_t len, bool is_cut,
                        size_t max)
{
    static const char dots[] = "...";
    const size_t dots_len = sizeof dots - 1;
    size_t cut = line->len; /* where the dots can begin */

    for (size_t at = 0; at < len;) {
        size_t plain = count_plain(message + at, len - at);
        if (plain > 0 && line->len + plain + dots_len <= max) {
            memcpy(line->text + line->len, message + at, plain);
            line->len += plain;
            cut = line->len;
            at += plain;
            continue;
        }
        char piece[STR_ESCAPED_MAX];
        size_t piece_len;
        size_t step = str_escape_next(message + at, len - at, piece, &piece_len);
        if (line->len + piece_len > max) {
            is_cut = true;
            break;
        }
        memcpy(line->text + line->len, piece, piece_len);
        line->len += piece_len;
        if (line->len + dots_len <= max)
            cut = line->len;
        at += step;
    }

    if (is_cut) {
        line->len = cut;
        memcpy(line->text + line->len, dots, dots_len);
        line->len += dots_len;
    }
}

static void write_line(const struct log_output *output, enum log_level level,
                       const char *suffix, const char *format, va_list args) STR_PRINTF(4, 0);

static void write_line(const struct log_output *output, enum log_level level,
                       const char *suffix, const char *format, va_list args)
{
    char message[LOG_LINE_MAX];
    int wanted = vsnprintf(message, sizeof message, format, args);
    if (wanted < 0)
        wanted = (int)str_format(message, sizeof message, "a message that has no text");
    bool is_cut = (size_t)wanted >= sizeof message;

    struct line line;
    line.len = 0;
    if (output->now_us != NULL) {
        line.len = log_format_time(output->now_us(), line.text, sizeof line.text);
        line.text[line.len++] = ' ';
    }
    line.len += str_format(line.text + line.len, sizeof line.text - line.len, "%s ",
                           log_level_word(level));
    const char *origin = atomic_load_explicit(&current_origin, memory_order_relaxed);
    if (origin != NULL)
        line.len +=
            str_format(line.text + line.len, sizeof line.text - line.len, "[%.32s] ", origin);

    size_t suffix_len = strlen(suffix);
    add_message(&line, message, is_cut ? sizeof message - 1 : (size_t)wanted, is_cut,
                LOG_LINE_MAX - 1 - suffix_len);
    memcpy(line.text + line.len, suffix, suffix_len);
    line.len += suffix_len;
    line.text[line.len++] = '\n';
    line.text[line.len] = '\0';
    output->write(output->ctx, level, line.text, line.len);
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_on(level))
        return;
    struct log_output output = get_output();
    va_list args;
    va_start(args, format);
    write_line(&output, level, "", format, args);
    va_end(args);
}

/* ---- limited lines ---- */

void log_limited(struct log_limit *limit, enum log_level level, const char *format, ...)
{
    limit->total++;
    if (!log_on(level))
        return;

    struct log_output output = get_output();
    if (output.mono_ms != NULL) { /* without a clock there are no windows: all is written */
        uint64_t now = output.mono_ms();
        uint64_t next = limit->next_ms;
        uint32_t window = limit->window_ms != 0 ? limit->window_ms : DEFAULT_WINDOW_MS;
        if (now < next ||
            !atomic_compare_exchange_strong(&limit->next_ms, &next, now + window)) {
            limit->suppressed++; /* the window is on, or another thread has just begun it */
            return;
        }
    }

    char suffix[64] = "";
    uint64_t suppressed = atomic_exchange(&limit->suppressed, 0);
    if (suppressed != 0)
        str_format(suffix, sizeof suffix, " (%" PRIu64 " more since the last such line)",
                   suppressed);
    va_list args;
    va_start(args, format);
    write_line(&output, level, suffix, format, args);
    va_end(args);
}

bool log_limit_holds(struct log_limit *limit, enum log_level level, uint64_t now_ms)
{
    bool on = log_on(level);
    if (on && now_ms >= atomic_load_explicit(&limit->next_ms, memory_order_relaxed))
        return false;
    limit->total++;
    if (on)
        limit->suppressed++;
    return true;
}

void log_limit_flush(struct log_limit *limit, enum log_level level, const char *what)
{
    if (limit->suppressed == 0 || !log_on(level))
        return;
    struct log_output output = get_output();
    if (output.mono_ms == NULL || output.mono_ms() >= limit->next_ms)
        log_limit_end(limit, level, what);
}

void log_limit_end(struct log_limit *limit, enum log_level level, const char *what)
{
    if (!log_on(level))
        return;
    uint64_t suppressed = atomic_exchange(&limit->suppressed, 0);
    if (suppressed != 0)
        log_write(level, "%s: %" PRIu64 " more", what, suppressed);
}
