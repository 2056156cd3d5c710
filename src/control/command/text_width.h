/* text_width.h - how many columns of a terminal a character takes, and lines that keep to a width.
 *
 * Combining marks take none, East Asian wide characters and emoji two (Unicode Standard Annex
 * #11), everything else one. The table is coarse, by block: an editor that is one column off in
 * a rare script still edits the right bytes.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_TEXT_WIDTH_H
#define PAIRPORT_CONTROL_COMMAND_TEXT_WIDTH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* The bytes of the character that begins at well-formed UTF-8 `text` (1 at its end). */
size_t text_char_len(const char *text);

unsigned text_char_width(const char *text);

/* Breaks the lines of an answer that take more than `width` columns (0: none do), between words.
 * What follows is indented as the line is, or as the last of its columns where two blanks or more
 * stand before that. A word that is wider stays whole. With `flows`, which is for texts, the next
 * line goes on where a broken one has ended, if it belongs to the same paragraph. */
void text_wrap(struct str *text, unsigned width, bool flows);

#endif
