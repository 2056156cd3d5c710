/* parse.h - the sections and keys of a file, put into a draft.
 *
 * inih splits the lines; lines.h decides what a line is. Sections are followed here, since inih
 * does not tell of one without keys and cuts long names, and values are taken from the line,
 * since inih cuts them at a ';' behind a blank also where that is no comment.
 *
 * Threads: those of the draft.
 */
#ifndef PAIRPORT_CONFIG_READ_PARSE_H
#define PAIRPORT_CONFIG_READ_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/read/draft.h"

/* Reads the whole text, whatever is wrong with it; mistakes go to those of the draft. False when
 * it is not UTF-8; the draft is then without meaning. */
bool parse_text(struct draft *draft, const char *text, size_t len);

#endif
