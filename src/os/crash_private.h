/* crash_private.h - what the systems' halves of crash.h share. Everything here may be called by a
 * signal handler: it neither allocates nor locks. (str_format() does not either, for numbers and
 * plain strings, in the C libraries in use.)
 *
 * Threads: any.
 */
#ifndef PAIRPORT_OS_CRASH_PRIVATE_H
#define PAIRPORT_OS_CRASH_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_TEXT_MAX 512
#define CRASH_STACK    65536 /* of a handler; bytes */

/* By os_init(). */
void crash_start(void);

/* A thread begins; is about to end. The first may fail, and then an overflow of this thread's
 * stack is not told. */
void crash_thread_begins(void);
void crash_thread_ends(void);

/* What common/crash.c needs of the system, which stands above it. */
struct crash_system {
    uint64_t (*thread_id)(void);
    void (*sleep_ms)(uint32_t ms);
    uint64_t (*wall_us)(void);
    /* Writes to a handle, without waiting for a reader that does not read. */
    void (*write_log)(intptr_t handle, const char *bytes, size_t len);
    void (*write_stderr)(const char *bytes, size_t len);
};

/* The system's handle of the log file, -1: none; see crash_log_to(). */
void crash_log_to_handle(intptr_t handle);

/* True for the first thread that crashes, which then calls crash_tell() once. Any other thread is
 * held until the process is gone; the same thread, which has told already, or has crashed again
 * while it did, gets false. */
bool crash_is_first(const struct crash_system *system);

/* Undoes what is to be undone and writes the line: "crashed: " and `what`. */
void crash_tell(const struct crash_system *system, const char *what);

/* "assertion failed: EXPRESSION, FILE:LINE". */
void crash_tell_assert(const struct crash_system *system, const char *expression,
                       const char *file, unsigned line);

#endif
