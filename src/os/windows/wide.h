/* wide.h - UTF-8, which pairport speaks, to and from UTF-16, which Windows speaks.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_OS_WINDOWS_WIDE_H
#define PAIRPORT_OS_WINDOWS_WIDE_H

#include <stddef.h>

#include "base/err.h"
#include "os/windows/windows_api.h"

/* A copy in UTF-16, to be freed. ERR_INVALID: not UTF-8; ERR_NOMEM. */
enum err wide_from_utf8(const char *text, wchar_t **out);

/* The same for the path of a file; a path too long for the classic limit becomes absolute and
 * gets the prefix that lifts it ("Maximum Path Length Limitation"). */
enum err wide_path(const char *path, wchar_t **out);

/* Writes UTF-8 with its zero byte. ERR_RANGE: does not fit. Unpaired surrogates, which file
 * names may have, become U+FFFD. */
enum err wide_to_utf8(const wchar_t *text, char *out, size_t size);

#endif
