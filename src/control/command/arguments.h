/* arguments.h - the words behind a command's own: how they are written, and what they mean.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_ARGUMENTS_H
#define PAIRPORT_CONTROL_COMMAND_ARGUMENTS_H

#include "control/command/command_table.h"

/* True for the entry behind the last argument. */
bool command_arg_is_end(const struct command_arg *arg);

/* Adds "show sessions [route NAME] [sort KEY] [limit N] [json]". */
void command_add_usage(const struct command *command, struct str *out);

/* Adds the shortest way to call it, without optional arguments: "show session ID". */
void command_add_call(const struct command *command, struct str *out);

/* Reads the words behind the command's own. False: an error was added to `why` (no newline). */
bool command_read_args(const struct command *command, const struct conf *conf,
                       const char *const words[], size_t count, struct command_args *args,
                       struct str *why);

/* The words that an argument of a kind can be, with NULL at the end; NULL: it is none of a list.
 * `levels` is room for those of the log. */
#define COMMAND_LEVELS (LOG_DEBUG + 1)
const char *const *command_arg_words(enum arg_kind kind,
                                     const char *levels[COMMAND_LEVELS + 1]);

#endif
