/* option.h - what may stand behind the first word of a value: `weight=2 backup send="a b"`.
 *
 * Options come in any order, each at most once, with blanks between them. One is described as a
 * key is: KEY_COUNT and KEY_DURATION are NAME=NUMBER, KEY_BYTES is NAME="TEXT", KEY_BOOL is a
 * word alone that makes it true, KEY_CHOICE is NAME=WORD, of which the first one is the default.
 * `offset` leads into the struct that they belong to, `preset` is NULL where 0 is the default,
 * and `help` shows how it is written.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_OPTION_H
#define PAIRPORT_CONFIG_VALUE_OPTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "config/value/keys.h"

#define OPTIONS_MAX 16

struct options {
    const struct key *keys;
    size_t count; /* at most OPTIONS_MAX */
};

/* Sets all options of `owner` to their defaults, then to what `text` says; it begins with no
 * blank and may be empty. `given`, one a key, tells which were. On false `owner` holds some of
 * them and `why` has got "what is wrong; what would be right", a line each. */
bool option_read(const struct options *options, const char *text, void *owner,
                 bool given[OPTIONS_MAX], struct str *why);

/* Writes those that are not 0, each with a blank before it, such that option_read() gives them
 * back. Those at their default are left out unless `all`. */
void option_write(const struct options *options, const void *owner, bool all, struct str *out);

#endif
