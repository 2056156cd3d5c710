/* limits_text.h - the texts of the kernel that limits.c reads, for it and for its tests.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_OS_POSIX_LIMITS_TEXT_H
#define PAIRPORT_OS_POSIX_LIMITS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A number out of the two lines that begin with `group` ("TcpExt:") in the text of
 * /proc/net/netstat: the first has names, the second values. False: there is none. */
bool limits_find_count(const char *netstat, const char *group, const char *name,
                       uint64_t *value);

/* The path of this process in the hierarchy of a line of /proc/self/cgroup: "0::PATH" for
 * `controller` "", "N:memory,...:PATH" for "memory". False: there is none, or it does not fit. */
bool limits_find_group(const char *cgroup, const char *controller, char *path, size_t size);

#endif
