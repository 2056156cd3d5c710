/* alias.h - words that other programs taught, and the command of pairport that they mean.
 *
 * Only where they are no beginning of a command of ours, and only as the first word of a line.
 * Completion does not offer them.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_ALIAS_H
#define PAIRPORT_CONTROL_COMMAND_ALIAS_H

#include <stdbool.h>

#include "control/command/parse_line.h"

/* Puts the command in place of the word: `exit` becomes `quit`, `status` becomes `show info`. */
void alias_apply(struct parsed_line *line);

/* What to use instead of a command that pairport does not have (`top`), without a newline; NULL:
 * nothing is known of the word. */
const char *alias_hint(const char *word);

#endif
