/* lines.h - a configuration file as lines, each of them checked before anybody reads it.
 *
 * What the INI library would cut, join or misread in silence is decided here, in the same way
 * for every version and build of it: a line stands for itself however far it is indented; it
 * ends with LF or CR LF; a byte order mark before the first is dropped; a comment begins with
 * ';' or '#', first in its line or after a blank, but not between the quotation marks of
 * NAME="TEXT" (bytes.h). A line that is too long, or holds bytes that are no UTF-8 text, is a
 * mistake and is left out.
 *
 * Threads: those of its owner.
 */
#ifndef PAIRPORT_CONFIG_READ_LINES_H
#define PAIRPORT_CONFIG_READ_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "config/conf.h"
#include "config/value/mistakes.h"

struct lines {
    const char *next; /* not owned; where the next line begins */
    const char *end;
    struct mistakes *mistakes; /* not owned */

    unsigned number;              /* of the line given last, from 1 */
    char text[CONF_LINE_MAX + 1]; /* that line without comment and blanks around it */
    size_t len;                   /* of text, 1 or more */
};

/* Both `text` and `mistakes` must outlive the lines. False when the text is not UTF-8, which is
 * reported. */
bool lines_init(struct lines *lines, const char *text, size_t len, struct mistakes *mistakes);

/* Goes on to the next line that says something. False at the end. */
bool lines_next(struct lines *lines);

#endif
