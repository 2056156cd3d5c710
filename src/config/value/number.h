/* number.h - numbers with and without units: KEY_COUNT, KEY_WORKERS, KEY_DURATION, KEY_SIZE,
 * KEY_PERCENT.
 *
 * Range, unit, default and the word for 0 are those of the key.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_NUMBER_H
#define PAIRPORT_CONFIG_VALUE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "config/value/keys.h"

/* Reads `text` into the key->size bytes of `field`. On false `field` is untouched and `why` has
 * got "what is wrong; what would be right". */
bool number_read(const struct key *key, const char *text, void *field, struct str *why);

/* The same for a number that is a part of a value: "NAME: " stands before what is wrong. */
bool number_read_part(const struct key *key, const char *text, void *field, struct str *why);

uint64_t number_get(const struct key *key, const void *field);
bool number_equal(const struct key *key, const void *a, const void *b);

/* Writes it such that number_read() gives it back. */
void number_write(const struct key *key, const void *field, struct str *out);

#endif
