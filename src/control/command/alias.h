/* alias.h - words of other programs' consoles, and the commands of pairport that they mean.
 *
 * A word is an alias only as the first word of a line, and only if no command of pairport
 * begins with it. Completion does not offer aliases.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_ALIAS_H
#define PAIRPORT_CONTROL_COMMAND_ALIAS_H

#include <stdbool.h>

#include "control/command/parse_line.h"

/* Puts the command in place of the word: `exit` becomes `quit`, `status` becomes `show info`.
 */
void alias_apply(struct parsed_line *line);

/* What to use instead of a command that pairport does not have (`top`), without a newline;
 * NULL: the word is not known. */
const char *alias_hint(const char *word);

#endif
