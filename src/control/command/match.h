/* match.h - typed words against known ones, without regard to ASCII case.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_MATCH_H
#define PAIRPORT_CONTROL_COMMAND_MATCH_H

#include <stdbool.h>
#include <stddef.h>

bool match_equal(const char *a, const char *b);
bool match_begins(const char *word, const char *beginning); /* also when they are equal */

/* The one of `names` (NULL-terminated) that was probably meant: the nearest by spelling, else
 * the only one that begins with `word`; NULL when there is none. */
const char *match_nearest(const char *word, const char *const names[]);

/* Finds `word` in `names`: equal, else the only one that begins with it. False: none, or not
 * only one. */
bool match_find(const char *word, const char *const names[], size_t *index);

#endif
