/* process_files.h - what the systems' halves of process.h share: the output files.
 *
 * Threads: as process.h.
 */
#ifndef PAIRPORT_TESTS_PROCESS_FILES_H
#define PAIRPORT_TESTS_PROCESS_FILES_H

#include "support/process.h"

struct process_files {
    char out[TEST_PATH_MAX];
    char err[TEST_PATH_MAX];
};

/* Every struct process begins with this. */
void process_files_name(struct process_files *files, const struct process_options *options);

#endif
