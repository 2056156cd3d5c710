/* find.h - which commands the words of a line fit.
 *
 * A word written in full beats shortened ones, so that "show session" is not also a short "show
 * sessions". A word that is no next word of any longer command belongs to the arguments of the
 * shorter one: "kill 7".
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_FIND_H
#define PAIRPORT_CONTROL_COMMAND_FIND_H

#include "control/command/command_table.h"

/* How well the first words of a line fit a command. */
enum command_fit {
    FIT_NONE,    /* another command */
    FIT_PARTIAL, /* the line has too few words yet, those there are fit */
    FIT_FULL     /* all words of the command are there */
};

struct command_fits {
    const struct command *commands; /* those of the table */
    size_t count;
    enum command_fit each[COMMAND_LIMIT]; /* one a command */
    size_t full;                          /* how many are FIT_FULL */
    const struct command *found;          /* the only one; NULL: none is, or several are */
};

/* Marks in `fits` which commands of the table the words fit. Returns how many words fit some
 * command (== count, or the index of the first that fits none). */
size_t command_find(const struct command_table *table, const char *const words[], size_t count,
                    struct command_fits *fits);

size_t command_word_count(const struct command *command);
/* Copies word `index` of the command. */
#define COMMAND_WORD_MAX 24
void command_word(const struct command *command, size_t index, char word[COMMAND_WORD_MAX]);

/* Ends `result` as failed, for a line of `count` words whose word `index` fits no command, or is
 * missing (index == count): says which word and what would be right. */
void command_fail_unknown(const char *const words[], size_t count, size_t index,
                          const struct command_fits *fits, struct command_result *result);

#endif
