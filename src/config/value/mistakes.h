/* mistakes.h - what is wrong with a configuration file, collected and told in one go.
 *
 * Mistakes are kept in order of line, those of one line in the order in which they were found.
 * Only the first MISTAKES_SHOWN are kept: a file of the wrong kind has one in every line, and
 * nobody reads them all. The rest is counted. A mistake that several checks find is kept once.
 *
 * Threads: those of its owner.
 */
#ifndef PAIRPORT_CONFIG_VALUE_MISTAKES_H
#define PAIRPORT_CONFIG_VALUE_MISTAKES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define MISTAKES_SHOWN 100

struct mistake {
    unsigned line; /* 0: the whole file's */
    char *text;    /* owned; without file, line and newline */
};

struct mistakes {
    struct mistake items[MISTAKES_SHOWN];
    size_t count;
    size_t dropped; /* found, but not kept */
    size_t errors;  /* of all that were found, those that are no warnings */
    bool failed;    /* memory ran out; the list is not complete */
};

void mistakes_init(struct mistakes *mistakes);
void mistakes_free(struct mistakes *mistakes);

/* `format` says what is wrong; what would be right. */
void mistakes_add(struct mistakes *mistakes, unsigned line, const char *format, ...)
    STR_PRINTF(3, 4);

/* The same for what may stay as it is; "warning: " comes before it. */
void mistakes_warn(struct mistakes *mistakes, unsigned line, const char *format, ...)
    STR_PRINTF(3, 4);

/* Adds "FILE:LINE: TEXT\n" for each of them. */
void mistakes_write(const struct mistakes *mistakes, const char *file, struct str *out);

/* Adds what is wrong with a part of a value to `why`, as "NAME: DETAIL", and frees it. */
void mistake_of_part(struct str *why, const char *name, struct str *detail);

/* A piece of the file as it is shown within a mistake: in quotes, cut if it is long, tabs as
 * blanks. `text` is UTF-8. Returns `buf`. */
#define MISTAKE_QUOTE_MAX 72
const char *mistake_quote(const char *text, char buf[MISTAKE_QUOTE_MAX]);

#endif
