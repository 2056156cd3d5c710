/* local_private.h - the local endpoint, for the files that make it up. */
#ifndef PAIRPORT_OS_POSIX_LOCAL_PRIVATE_H
#define PAIRPORT_OS_POSIX_LOCAL_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"
#include "os/local.h"

enum { WRITE_PATIENCE_MS = 10000 };

struct local_conn {
    int fd;
    int stop; /* eventfd; readable for ever once stopped */
};

/* Waits until `fd` has one of `events`, or timeout_ms are over, or `stop` is set. */
enum err local_wait(int fd, short events, int stop, uint32_t timeout_ms);

enum err local_address(const char *path, struct sockaddr_un *addr);

/* Opens a stream socket, not blocking. */
enum err local_open_socket(int *out);

/* The directory of a socket's path. */
void local_directory(const char *path, char directory[sizeof(struct sockaddr_un)]);

bool local_is_writable_by_others(const struct stat *stat);

/* What is wrong with a directory for a socket of the caller; "" if nothing is. */
void local_judge_directory(const char *directory, const struct stat *stat,
                           char text[LOCAL_PROBLEM_MAX]);

/* Opens and locks the directory of the socket for local_listen(), made first where it is missing;
 * closing it unlocks it. ERR_ACCESS: not safe. */
enum err local_open_directory(const char *path, int *out);

/* True when only `user` and root can change which socket is found at `path`. */
bool local_is_path_of(const char *path, uid_t user);

/* True when the caller may talk to the process that listens at the other end of `fd`, which was
 * connected to `path`; see local.h. */
bool local_is_trusted(int fd, const char *path);

#endif
