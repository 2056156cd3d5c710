/* wide.h - UTF-8 to the wide characters of Windows and its errors, for tests.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_TESTS_WIDE_H
#define PAIRPORT_TESTS_WIDE_H

#include <stddef.h>
#include <wchar.h>

#include "base/err.h"

/* Writes at most `size` characters with the final zero; longer text is a fault of the test and
 * ends it. */
void test_to_wide(const char *text, wchar_t *out, size_t size);

enum err test_windows_error(void); /* of GetLastError(); never ERR_OK */

#endif
