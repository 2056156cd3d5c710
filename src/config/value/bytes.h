/* bytes.h - bytes as they are written in a configuration: "PING\r\n", in quotation marks.
 *
 * Every character stands for its bytes, but for these escapes: \r \n \t \0 \\ \" and \xHH
 * for a byte by its two hexadecimal digits.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_BYTES_H
#define PAIRPORT_CONFIG_VALUE_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "config/conf.h"

/* The length of the quoted text that `text` begins with, both of its marks included; 0 when it
 * begins with no mark or the second one is not among the first `len` bytes. */
size_t bytes_quoted_len(const char *text, size_t len);

/* Reads a whole quoted text, as bytes_quoted_len() found it. On false `out` is untouched and
 * `why` has got "what is wrong; what would be right". */
bool bytes_read(const char *text, struct conf_bytes *out, struct str *why);

/* Writes them, quoted, as printable ASCII. */
void bytes_write(const struct conf_bytes *bytes, struct str *out);

#endif
