/* crash.h - the last line of a program that ends by a fault of its own.
 *
 * A fatal signal (Linux), an exception that nobody handles (Windows) and a failed assert write
 * one line to stderr and to the log file: the time, what happened, and where, as MODULE+OFFSET,
 * which addr2line or a debugger finds in the program with its symbols. Then the system ends the
 * process as it would have without this: by a core dump, or by Windows Error Reporting, which
 * shows no window. os_init() begins it, in every thread of os_thread_start(); the line also
 * comes when a stack has overflowed.
 *
 * The systems' crash.c define what assert() calls (__assert_fail; __imp__assert on Windows) in
 * place of the C library. So every assert of base/ comes here: the one call from base/ to os/.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_OS_CRASH_H
#define PAIRPORT_OS_CRASH_H

#include <stdio.h>

/* The log file; NULL: none. It stays open until another one was named. */
void crash_log_to(FILE *file);

/* Called before the line is written, and once: puts back what outlives the process, such as the
 * mode of the terminal. Does only what a signal handler may do. */
void crash_undo(void (*undo)(void));

#endif
