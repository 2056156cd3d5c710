/* history.h - the lines typed before, in memory.
 *
 * Threads: belongs to one editor.
 */
#ifndef PAIRPORT_CONTROL_CONSOLE_HISTORY_H
#define PAIRPORT_CONTROL_CONSOLE_HISTORY_H

#include <stddef.h>

#define HISTORY_MAX 200

struct history {
    char *lines[HISTORY_MAX]; /* owned, oldest first */
    size_t count;
    size_t at;   /* the line shown; == count: the one being typed */
    char *draft; /* owned; the line being typed while an older one is shown */
};

void history_init(struct history *history);
void history_free(struct history *history);

/* Remembers a line, unless it is blank or the same as the last, and goes back to the end. When
 * memory or room runs out the oldest lines are forgotten, or this one is. */
void history_add(struct history *history, const char *line);

/* The line before or after the one shown; `current` is what stands in the editor and is kept
 * while older lines are looked at. NULL: there is none. */
const char *history_older(struct history *history, const char *current);
const char *history_newer(struct history *history);

#endif
