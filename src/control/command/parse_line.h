/* parse_line.h - a typed line becomes words.
 *
 * Words are separated by blanks (space, tab). "double quotes" hold a word together, with \" and
 * \\ inside; 'single quotes' take everything as it stands; outside of quotes a backslash takes
 * the next character as it stands. A line whose first word begins with # is a comment and has no
 * words. A line may end in CR, LF or both. Control characters (NUL and those that change the
 * direction of text too), bytes that are no well-formed UTF-8, unclosed quotes, overlong lines
 * and too many words are errors, never cut or skipped in silence, so nothing that came through
 * here can upset a terminal or a log.
 *
 * Threads: any; no state is kept.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_PARSE_LINE_H
#define PAIRPORT_CONTROL_COMMAND_PARSE_LINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define PARSE_LINE_MAX  1024 /* bytes of a line without its end */
#define PARSE_WORDS_MAX 32
#define PARSE_WHY_MAX   128 /* room for the longest message, with its zero byte */

/* The words point into `text`: a parsed line must not be copied. */
struct parsed_line {
    size_t count;
    const char *words[PARSE_WORDS_MAX]; /* zero-terminated, without quotes */
    size_t starts[PARSE_WORDS_MAX];     /* where the word (or its quote) begins in the line */
    char text[PARSE_LINE_MAX + 1];      /* a word and its zero are never longer than typed */
};

/* Parses `len` bytes. False: `why` says what is wrong and at which byte, without a newline. */
bool parse_line(const char *line, size_t len, struct parsed_line *out, char why[PARSE_WHY_MAX]);

/* The same for the part of a line that stands before the cursor, for completion: there is at
 * least one word, and the last is the one being typed ("" after a blank); its quote may still
 * be open. False when the line could not become a good one or is a comment. */
bool parse_line_partial(const char *line, size_t len, struct parsed_line *out);

/* Adds `word` to a line such that parse_line() gives it back: quoted where that is needed. */
void parse_line_quote(const char *word, struct str *out);

/* The length of the well-formed, printable text at `bytes`: up to the first control character
 * (str_is_control()) or byte that is no well-formed UTF-8. */
size_t parse_printable_prefix(const char *bytes, size_t len);

#endif
