/* wrapped_memory.h - allocations that a test counts, or makes fail.
 *
 * A test that links wrapped_memory has its malloc(), calloc() and realloc() ask memory_fails()
 * first; the linker puts them in the place of the C library's.
 *
 * Threads: memory_fails() is called by any thread that allocates.
 */
#ifndef PAIRPORT_TESTS_WRAPPED_MEMORY_H
#define PAIRPORT_TESTS_WRAPPED_MEMORY_H

#include <stdbool.h>

/* Written by the test, called once for each allocation. True: it returns NULL. */
bool memory_fails(void);

#endif
