/* fuzz.h - the function that a fuzz target has, as libFuzzer names it.
 *
 * It is given any bytes and asserts what holds for all of them.
 */
#ifndef PAIRPORT_TESTS_FUZZ_H
#define PAIRPORT_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0; a broken promise ends the program. `data` may be freed after it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer calls it before it looks at its arguments. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

#endif
