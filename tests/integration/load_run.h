/* load_run.h - echo servers and load in processes of their own.
 *
 * Thousands of sessions need more descriptors than one process may have for both of their ends.
 * Every function fails the test when it does not come out as its name says.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_TESTS_LOAD_RUN_H
#define PAIRPORT_TESTS_LOAD_RUN_H

#include <stdint.h>

#include <jansson.h>

#include "base/addr.h"
#include "support/platform.h"
#include "support/process.h"

struct echo_run {
    char dir[TEST_PATH_MAX];
    struct process *process;
    struct addr addr;
};

void echo_run_start(struct echo_run *echo);
void echo_run_stop(struct echo_run *echo);

/* Runs `pairload MODE` against the target until it ends by itself; no byte may be wrong and
 * nothing may fail. `limit` is "--count" or "--duration". Gives its report for json_decref(). */
json_t *load_run(const struct addr *target, const char *mode, const char *limit, uint64_t value,
                 uint64_t connections);

#endif
