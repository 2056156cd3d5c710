/* platform.h - what tests must know of the system they run on, and temporary directories.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_TESTS_PLATFORM_H
#define PAIRPORT_TESTS_PLATFORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

bool test_on_windows(void);      /* a Windows program, also under Wine */
bool test_on_wine(void);         /* a Windows program under Wine */
bool test_under_sanitizer(void); /* memory and time say nothing about the program itself */

/* How many of `full` repetitions, sessions or bytes this run does: all on Linux, a tenth on
 * Windows (Wine needs that much longer a call), times PAIRPORT_SCALE percent from the
 * environment. At least 1. */
uint64_t test_scaled(uint64_t full);

/* Before a test that opens thousands of connections. Under Wine each of them binds a local port
 * that nobody holds, not even a connection that has just ended (TIME_WAIT, a minute on Linux);
 * waits, for two minutes at most, until about `ports` of them are to be had. Elsewhere the
 * system takes such ports again itself, and this does nothing. */
void test_wait_for_ports(unsigned ports);

/* Paths are UTF-8 and absolute. */
#define TEST_PATH_MAX 1024

/* Makes an empty directory of its own for the running test. */
enum err test_make_dir(char path[TEST_PATH_MAX]);
/* Removes it with the files in it (it has no directories). */
void test_remove_dir(const char *path);

/* Whole files. test_read_file() gives zero-terminated text for free(), NULL when there is no
 * such file. */
enum err test_write_file(const char *path, const char *text);
char *test_read_file(const char *path);

/* The path of a program of this build as the system wants it. */
void test_program_path(const char *built, char path[TEST_PATH_MAX]);

#endif
