/* value_route.h - values of a route that are more than a word or a number: when_down, health,
 * refuse.
 *
 * Reading: on false the result is untouched and `why` has got "what is wrong; what would be
 * right". What is written is read back the same. Functions for the table of types, see value.c.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_VALUE_ROUTE_H
#define PAIRPORT_CONFIG_VALUE_VALUE_ROUTE_H

#include <stdbool.h>

#include "base/str.h"
#include "config/value/keys.h"

/* "refuse" or "hold 30s", into when_down and hold_ms. */
bool value_read_when_down(const struct key *key, const char *text, void *route,
                          struct str *why);
void value_write_when_down(const struct key *key, const void *owner, struct str *out);
bool value_equal_when_down(const struct key *key, const void *a, const void *b);
bool value_copy_when_down(const struct key *key, const void *from, void *to);

/* "off" or "tcp interval=2s ..." */
bool value_read_health(const struct key *key, const char *text, void *field, struct str *why);
void value_write_health(const struct key *key, const void *field, struct str *out);
bool value_equal_health(const struct key *key, const void *a, const void *b);

/* "reset", "close" or "tarpit 10s", into refuse and tarpit_ms. */
bool value_read_refuse(const struct key *key, const char *text, void *route, struct str *why);
void value_write_refuse(const struct key *key, const void *owner, struct str *out);
bool value_equal_refuse(const struct key *key, const void *a, const void *b);
bool value_copy_refuse(const struct key *key, const void *from, void *to);

#endif
