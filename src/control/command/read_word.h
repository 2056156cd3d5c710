/* read_word.h - words that are a network, a duration or a text, and what is wrong with others.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_READ_WORD_H
#define PAIRPORT_CONTROL_COMMAND_READ_WORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "control/command/command_table.h"

/* From 1 ms to COMMAND_DURATION_MAX; false: it is none. */
bool read_word_duration(const char *text, uint64_t *ms);

/* A reason that fits a ban; *out is the word itself. */
bool read_word_reason(const char *text, const char **out);

/* Adds what such an argument is: "an IP address, ...". */
void read_word_want(enum arg_kind kind, struct str *out);

/* Adds what is wrong with a word that could not be read, and what would be right. False: the kind
 * is none of these, and nothing is added. */
bool read_word_explain(enum arg_kind kind, const char *text, struct str *why);

#endif
