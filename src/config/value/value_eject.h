/* value_eject.h - values that say what follows so many events in a time: eject, ban_after.
 *
 * Reading: on false the result is untouched and `why` has got "what is wrong; what would be
 * right". What is written is read back the same. Functions for the table of types, see value.c.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_VALUE_EJECT_H
#define PAIRPORT_CONFIG_VALUE_VALUE_EJECT_H

#include <stdbool.h>

#include "base/str.h"
#include "config/value/keys.h"

/* KEY_EJECT is "off" or "5 in 10s for 30s"; KEY_BAN_AFTER is "off", "20 refusals in 10s for 10m"
 * or the same without the word. */
bool value_read_eject(const struct key *key, const char *text, void *field, struct str *why);
void value_write_eject(const struct key *key, const void *field, struct str *out);

#endif
