/* words.h - lists of words that a file may use.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_WORDS_H
#define PAIRPORT_CONFIG_VALUE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

#define WORDS_BLANKS " \t"

/* The index of `text` in NULL-terminated `words`. False: it is none of them, and `why` has got
 * "'wraning' is not known; write error, warning or notice". */
bool words_find(const char *text, const char *const words[], size_t *index, struct str *why);

/* True for a word that a console's command has where the name of a route may stand, as in `pause
 * all` or `drain route lobby kill`; ASCII case aside. */
bool words_is_reserved(const char *name);

/* The same for a choice: `field` is an enum whose values are the indices of the words, as large as
 * an unsigned. */
bool words_read_choice(const char *text, const char *const words[], void *field,
                       struct str *why);
unsigned words_choice(const void *field);

/* "a, b and c", with `last` before the last one. */
void words_add(const char *const words[], const char *last, struct str *out);

/* The first word of `text`, which begins with no blank: its length, and what follows behind the
 * blanks after it, "" at the end. */
size_t words_first(const char *text, const char **rest);

/* Cuts `text`, which begins with no blank, into words at its blanks. Returns how many there are,
 * `max` + 1 for more; the first `max` are in `words`. */
size_t words_split(char *text, char *words[], size_t max);

#endif
