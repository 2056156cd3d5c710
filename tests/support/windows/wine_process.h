/* wine_process.h - a program under Wine as the Linux process that it is.
 *
 * Wine cannot do everything for a test: it has no console to send Ctrl-C through when it runs
 * without a terminal and a display, but turns SIGINT of the Linux process into it; and it gives
 * the caller's own processor time for that of any process. So the Linux process is looked up,
 * by its arguments, which tests make unique by a directory of their own.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_TESTS_WINE_PROCESS_H
#define PAIRPORT_TESTS_WINE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The Linux process with these arguments: the program and its arguments, each with its zero
 * byte, `len` bytes in all. 0: not exactly one process has them. */
int wine_linux_process(const char *arguments, size_t len);

bool wine_send_interrupt(int process); /* false: it could not be sent */
uint64_t wine_cpu_us(int process);     /* user + system; 0: unknown */

#endif
