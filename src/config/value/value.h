/* value.h - the value of a key: from the words of the file and back to them.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_VALUE_H
#define PAIRPORT_CONFIG_VALUE_VALUE_H

#include <stdbool.h>

#include "base/str.h"
#include "config/conf.h"
#include "config/value/keys.h"

/* The struct that a key's field is in, its `owner`, is a struct conf_route for keys of KEY_ROUTE
 * and a struct conf for all others. */

/* Reads `text`, without blanks around it, into the key's field. Not for KEY_LISTEN, KEY_UPSTREAM
 * and KEY_ACCESS: each adds to a list, see listen.h, upstream.h and access.h. Lists of the owner
 * are freed first, so they must be valid. On false the field holds some valid value and `why` has
 * got "what is wrong; what would be right". */
bool value_read(const struct key *key, const char *text, void *owner, struct str *why);

/* Writes the field such that value_read() gives it back. Not for KEY_LISTEN and KEY_UPSTREAM. That
 * of KEY_ACCESS is for people, and not read: all in one line, whatever its length, and a file by
 * its name. */
void value_write(const struct key *key, const void *owner, struct str *out);

/* Gives `to` the value of `from`; lists are copied and those of `to` freed. Not for KEY_LISTEN,
 * KEY_UPSTREAM and KEY_ACCESS. False: no memory, `to` is unchanged. */
bool value_copy(const struct key *key, const void *from, void *to);

/* True when a key has the same value in both owners, whatever lines and files it came from. For
 * every key. */
bool value_equal(const struct key *key, const void *a, const void *b);

void *value_field(const struct key *key, void *owner);
const void *value_field_const(const struct key *key, const void *owner);

/* Sets every field that a key of `section` stands for to the key's default; of access lists that
 * is none. The owner is all zero or a valid one. False: no memory; it is still a valid one. */
bool value_preset(enum key_section section, void *owner);

#endif
