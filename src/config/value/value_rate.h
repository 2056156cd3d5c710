/* value_rate.h - values that say how often or how fast: connect_rate and admission_ramp,
 * rate_up and its kin, min_rate.
 *
 * Reading: on false the result is untouched and `why` has got "what is wrong; what would be
 * right". What is written is read back the same. A burst that is left out is one second of a
 * rate of events and a quarter of a second of a rate of bytes, which is at least 16 KB. A burst
 * must hold what comes in a hundredth of a second: what looks after it is not always awake, and
 * with less the rate would not be reached. Of a result every byte is set, gaps included.
 * Functions for the table of types, see value.c.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_VALUE_RATE_H
#define PAIRPORT_CONFIG_VALUE_VALUE_RATE_H

#include <stdbool.h>

#include "base/str.h"
#include "config/value/keys.h"

/* "off", "10/s", "100/m burst 20" */
bool value_read_rate(const struct key *key, const char *text, void *field, struct str *why);
void value_write_rate(const struct key *key, const void *field, struct str *out);

/* "off", "1MB/s", "1MB/s burst 256KB" */
bool value_read_pace(const struct key *key, const char *text, void *field, struct str *why);
void value_write_pace(const struct key *key, const void *field, struct str *out);
bool value_equal_pace(const struct key *key, const void *a, const void *b);

/* "off", "100B/s over 30s" */
bool value_read_min_rate(const struct key *key, const char *text, void *field, struct str *why);
void value_write_min_rate(const struct key *key, const void *field, struct str *out);
bool value_equal_min_rate(const struct key *key, const void *a, const void *b);

#endif
