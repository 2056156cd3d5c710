/* json_read.h - reads JSON with Jansson, safe when memory runs out.
 *
 * Jansson 2.14 ignores that its buffer for a word could not grow, and then reads beyond the end
 * of the buffer. So once an allocation has failed while a text is read, all further allocations
 * fail: the next thing that Jansson does with such a word is to allocate its copy, and that
 * ends the reading. Jansson also reports most lacks of memory as mistakes of the text;
 * json_read() tells them apart.
 *
 * Threads: any, once json_read_init() was called.
 */
#ifndef PAIRPORT_RELAY_JSON_READ_H
#define PAIRPORT_RELAY_JSON_READ_H

#include <stddef.h>

#include <jansson.h>

#include "base/err.h"

/* Once, while there is one thread. */
void json_read_init(void);

/* ERR_NOMEM, ERR_INVALID: `error` (may be NULL) has the place and the words. */
enum err json_read(json_t **out, const char *text, size_t len, size_t flags,
                   json_error_t *error);

#endif
