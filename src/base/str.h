/* str.h - text: a growing string, numbers with units, names that resemble each other.
 *
 * Nothing here depends on the locale. Parsers take a whole zero-terminated text (no blanks
 * around it) and write the result only on success.
 *
 * Threads: a struct str belongs to one thread at a time; the functions keep no state.
 */
#ifndef PAIRPORT_BASE_STR_H
#define PAIRPORT_BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#if defined(__MINGW32__)
#define STR_PRINTF(fmt, args) __attribute__((format(gnu_printf, fmt, args)))
#else
#define STR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#endif

/* A growing string. `data` is always zero-terminated. When memory runs out the string keeps
 * what it has, `failed` is set and later additions do nothing. */
struct str {
    char *data; /* owned; never NULL after str_init() */
    size_t len; /* bytes without the zero byte */
    size_t cap; /* bytes allocated; 0 while data points to a constant "" */
    bool failed;
};

void str_init(struct str *str);
void str_free(struct str *str);  /* and makes it empty again */
void str_clear(struct str *str); /* len = 0, not failed; keeps the memory */
void str_add(struct str *str, const char *text);
void str_add_bytes(struct str *str, const char *bytes, size_t len);
void str_add_char(struct str *str, char c);
void str_addf(struct str *str, const char *format, ...) STR_PRINTF(2, 3);
void str_vaddf(struct str *str, const char *format, va_list args) STR_PRINTF(2, 0);

/* snprintf that always terminates and returns the length actually written (size - 1 at most). */
size_t str_format(char *buf, size_t size, const char *format, ...) STR_PRINTF(3, 4);

/* A decimal number, digits only. ERR_INVALID: not a number; ERR_RANGE: over 2^64-1. */
enum err str_parse_u64(const char *text, uint64_t *value);

/* "250ms", "5s", "10m", "2h", "7d" to milliseconds; "0" needs no unit. ERR_INVALID: no number,
 * missing or unknown unit; ERR_RANGE: does not fit. */
enum err str_parse_duration(const char *text, uint64_t *ms);

/* "512B", "16KB", "1MB", "2GB" (powers of 1024; KiB, MiB, GiB are taken too) to bytes; "0" needs
 * no unit. Errors as above. */
enum err str_parse_size(const char *text, uint64_t *bytes);

/* "yes" or "no" (also true/false, on/off). ERR_INVALID otherwise. */
enum err str_parse_bool(const char *text, bool *value);

/* Human units; each writes into `buf` and returns it.
 * Sizes: "0 B", "999 B", "1.50 KB", "12.3 MB" (powers of 1024, three digits).
 * Rates: the same with "/s". Durations from milliseconds: "0ms", "350ms", "4.2s", "3m12s",
 * "5h03m", "12d04h". Duration as configured, exact and parsable: "250ms", "5s", "10m". */
#define STR_HUMAN_MAX 24
const char *str_human_size(uint64_t bytes, char buf[STR_HUMAN_MAX]);
const char *str_human_rate(uint64_t bytes_per_s, char buf[STR_HUMAN_MAX]);
const char *str_human_duration(uint64_t ms, char buf[STR_HUMAN_MAX]);
const char *str_exact_duration(uint64_t ms, char buf[STR_HUMAN_MAX]);
const char *str_exact_size(uint64_t bytes, char buf[STR_HUMAN_MAX]);

/* Number of single-character edits (insert, delete, replace, swap of neighbours) between two
 * texts, case ignored. Texts over 64 bytes compare by their first 64. */
unsigned str_distance(const char *a, const char *b);

/* The name of `names` (NULL-terminated array) nearest to `word`, or NULL when none is near
 * enough to be a likely slip (more than a third of its letters differ). */
const char *str_nearest(const char *word, const char *const names[]);

/* The length of the well-formed UTF-8 prefix of bytes (RFC 3629: no overlong forms, no
 * surrogates, at most U+10FFFF); equals len when all of it is well-formed. */
size_t str_utf8_prefix(const char *bytes, size_t len);

/* True for a character that could end a line, move a terminal's cursor or reorder what is shown:
 * C0 and C1 controls, DEL, the line and paragraph separators, and all that control the direction
 * of text (Unicode's Bidi_Control). `c` begins a well-formed one. */
bool str_is_control(const char *c);

/* Writes what a terminal may get in the place of the next bytes of a text that may hold anything:
 * the character itself or, for controls and bytes that are no UTF-8, each byte as "\xNN". Returns
 * how many bytes of the text that was, 1 or more; *piece_len is that of the piece, without a
 * zero byte. */
#define STR_ESCAPED_MAX 16
size_t str_escape_next(const char *text, size_t len, char piece[STR_ESCAPED_MAX],
                       size_t *piece_len);

/* Adds a text of several lines escaped like that; only newlines and tabs stay as they are. */
void str_add_escaped(struct str *str, const char *text, size_t len);
void str_escape(struct str *str); /* the same for all that it holds */

/* Display columns of UTF-8 text, one per code point. */
size_t str_columns(const char *text);

#endif
