/* value_eject.h - values that say what follows so many events in a time: eject, ban_after.
 *
 * Reading: on false the result is untouched and `why` has got "what is wrong; what would be
 * right". What is written is read back the same.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_VALUE_EJECT_H
#define PAIRPORT_CONFIG_VALUE_VALUE_EJECT_H

#include <stdbool.h>

#include "base/str.h"
#include "config/conf.h"

/* "off" or "5 in 10s for 30s" */
bool value_read_eject(const char *text, struct conf_eject *out, struct str *why);
void value_write_eject(const struct conf_eject *eject, struct str *out);

/* "off", "20 refusals in 10s for 10m" or the same without the word */
bool value_read_ban_after(const char *text, struct conf_eject *out, struct str *why);
void value_write_ban_after(const struct conf_eject *ban, struct str *out);

#endif
