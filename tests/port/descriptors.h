/* descriptors.h - takes a process's descriptors away and gives them back.
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_DESCRIPTORS_H
#define PAIRPORT_TESTS_DESCRIPTORS_H

#include <stdbool.h>

/* From now on not one descriptor more can be opened. False: this system has no such limit. */
bool descriptors_forbid(void);
void descriptors_allow(void);

#endif
