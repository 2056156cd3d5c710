/* text_width.h - how many columns of a terminal a character takes.
 *
 * Combining marks take none, East Asian wide characters and emoji two (Unicode Standard Annex
 * #11), everything else one. The table is coarse, by block: an editor that is one column off in
 * a rare script still edits the right bytes.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_TEXT_WIDTH_H
#define PAIRPORT_CONTROL_TEXT_WIDTH_H

#include <stddef.h>

/* The bytes of the character that begins at well-formed UTF-8 `text` (1 at its end). */
size_t text_char_len(const char *text);

unsigned text_char_width(const char *text);

#endif
