/* libfuzzer_seed.c - gives libFuzzer the seed that all random tests of pairport take. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"
#include "support/random.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static char option[32];
    int count = *argc;
    char **arguments = malloc(((size_t)count + 2) * sizeof *arguments);
    if (arguments == NULL)
        abort();

    /* libFuzzer takes 32 bits, of which 0 means: choose one. In front, so that a -seed of the
     * command line wins. */
    uint32_t seed = (uint32_t)random_test_seed();
    snprintf(option, sizeof option, "-seed=%" PRIu32, seed != 0 ? seed : 1);
    arguments[0] = (*argv)[0];
    arguments[1] = option;
    for (int i = 1; i <= count; ++i)
        arguments[i + 1] = (*argv)[i];
    *argc = count + 1;
    *argv = arguments;
    return 0;
}
