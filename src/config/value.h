/* value.h - the value of a key: from the words of the file and back to them.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_H
#define PAIRPORT_CONFIG_VALUE_H

#include <stdbool.h>

#include "base/str.h"
#include "config/conf.h"
#include "config/keys.h"

/* Reads `text`, without blanks around it, into `field`, which is what key->offset leads to. Not
 * for KEY_LISTEN and KEY_UPSTREAM: they add to a list, see endpoint.h. On false `field` is
 * untouched and `why` has got "what is wrong; what would be right". */
bool value_read(const struct key *key, const char *text, void *field, struct str *why);

/* Writes the value of `field` such that value_read() gives it back. */
void value_write(const struct key *key, const void *field, struct str *out);

/* The field of a key in its struct, which is a struct conf_route for keys of KEY_ROUTE and a
 * struct conf for all others. */
void *value_field(const struct key *key, void *owner);
const void *value_field_const(const struct key *key, const void *owner);

/* Sets every field that a key of `section` stands for to the key's default. */
void value_preset(enum key_section section, void *owner);

#endif
