/* fault.h - one call to the system that fails: what a test asks of the library that is loaded
 * before the program, and what that tells of it.
 *
 * Both map the same file, which the environment names as FAULT_FILE. The library counts the calls
 * of the chosen kind from the moment the kind is set, and makes those from number `first` on
 * fail, `count` of them. So a test learns from `calls` when there are no more positions to try.
 *
 * Threads: any; a test sets `kind` last, with the counts at zero.
 */
#ifndef PAIRPORT_TESTS_FAULT_H
#define PAIRPORT_TESTS_FAULT_H

#include <stdatomic.h>
#include <stdint.h>

#define FAULT_FRAMES 24

enum fault_kind {
    FAULT_NONE, /* nothing is counted */
    FAULT_ALLOC,
    FAULT_MAP,
    FAULT_THREAD,
    FAULT_SOCKET,
    FAULT_ACCEPT,
    FAULT_EPOLL,
    FAULT_PIPE,
    FAULT_TIMER,
    FAULT_BIND,
    FAULT_LISTEN,
    FAULT_CONNECT,
    FAULT_OPEN,
    FAULT_DISK,
    FAULT_KINDS
};

struct fault {
    _Atomic uint32_t kind; /* enum fault_kind */
    uint32_t first;        /* 1: the next call */
    uint32_t count;
    int32_t code; /* the errno of those calls */
    _Atomic uint32_t calls;
    _Atomic uint32_t failed; /* of them */
    uint64_t
        frames[FAULT_FRAMES]; /* where in the program the first one was made, 0 ends them */
};

#endif
