/* local_private.h - a connection of the local endpoint, for the files that make it up. */
#ifndef PAIRPORT_OS_POSIX_LOCAL_PRIVATE_H
#define PAIRPORT_OS_POSIX_LOCAL_PRIVATE_H

#include <stdint.h>

#include "base/err.h"

enum { WRITE_PATIENCE_MS = 10000 };

struct local_conn {
    int fd;
    int stop; /* eventfd; readable for ever once stopped */
};

/* Waits until `fd` has one of `events`, or timeout_ms are over, or `stop` is set. */
enum err local_wait(int fd, short events, int stop, uint32_t timeout_ms);

#endif
