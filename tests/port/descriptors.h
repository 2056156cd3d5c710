/* descriptors.h - takes a process's descriptors away and gives them back.
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_DESCRIPTORS_H
#define PAIRPORT_TESTS_DESCRIPTORS_H

#include <stdbool.h>

/* From now on so many descriptors can be opened and not one more; the numbers in use must have
 * no gap. False: this system has no such limit. */
bool descriptors_leave(unsigned more);
void descriptors_allow(void);

#endif
