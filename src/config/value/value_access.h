/* value_access.h - the access lists of a route: allow, deny. They are read line by line, see
 * access.h.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_VALUE_ACCESS_H
#define PAIRPORT_CONFIG_VALUE_VALUE_ACCESS_H

#include <stdbool.h>

#include "base/str.h"
#include "config/conf.h"
#include "config/value/keys.h"

/* Which of the two keys it is. */
bool value_is_allow(const struct key *key);

/* For the table of types, see value.c. What is written is for people: all in one line, and a
 * file by its name, as in "@players.txt, 10.0.0.0/8". */
void value_write_access(const struct key *key, const void *owner, struct str *out);
bool value_equal_access(const struct key *key, const void *a, const void *b);

/* Frees both lists, unless they are another route's, and makes them empty. */
void value_free_access(struct conf_route *route);

#endif
