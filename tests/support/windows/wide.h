/* wide.h - UTF-8 to the wide characters of Windows, for tests.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_TESTS_WIDE_H
#define PAIRPORT_TESTS_WIDE_H

#include <stddef.h>
#include <wchar.h>

/* Writes at most `size` characters with the final zero; longer text is a fault of the test and
 * ends it. */
void test_to_wide(const char *text, wchar_t *out, size_t size);

#endif
