/* process.h - a program run by a test.
 *
 * The child's stdout and stderr go to files, which can be read and waited for while it runs.
 * Its stdin is empty, or a pipe that the test writes to. A child never outlives the test
 * program, however that ends.
 *
 * Threads: one thread a process; the measurements from any.
 */
#ifndef PAIRPORT_TESTS_PROCESS_H
#define PAIRPORT_TESTS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "support/platform.h"

struct process; /* opaque */

struct process_options {
    const char *const *args;  /* NULL-terminated; args[0] is the program's path */
    const char *dir;          /* where the output files are made */
    const char *name;         /* they are DIR/NAME.out and DIR/NAME.err */
    bool pipe_stdin;          /* process_write() will be used; else stdin is at its end */
    bool no_streams;          /* no stdin, stdout and stderr at all: all three are closed */
    unsigned max_descriptors; /* Linux: soft and hard limit of the child; 0: as it is */
};

/* Starts the program. On an error nothing runs. */
enum err process_start(struct process **out, const struct process_options *options);

/* Waits for the end. False: it still runs after timeout_ms. `code` (may be NULL) gets the exit
 * code; a death by signal N is 128 + N. */
bool process_wait(struct process *process, uint32_t timeout_ms, int *code);

/* Kills the program if it still runs and frees everything; the output files stay. */
void process_free(struct process *process);

/* Asks for a graceful stop: SIGTERM; Windows: Ctrl-Break; Wine: Ctrl-C. */
enum err process_stop(struct process *process);
/* Linux: SIGHUP; false where the system has no such thing. */
bool process_hang_up(struct process *process);
void process_kill(struct process *process);
/* Makes the program crash where it stands: SIGSEGV; Windows: a thread that begins at an address
 * where there is nothing. */
enum err process_crash(struct process *process);
/* Stops every thread of the program (SIGSTOP; Windows: NtSuspendProcess), and lets them go on.
 * False: the system cannot, or the program has ended. */
bool process_freeze(struct process *process);
bool process_thaw(struct process *process);

/* Writes to the piped stdin; process_end_input() closes it. */
enum err process_write(struct process *process, const char *text);
void process_end_input(struct process *process);

/* What the child has written so far, for free(); never NULL. */
char *process_output(const struct process *process); /* stdout */
char *process_errors(const struct process *process); /* stderr */

/* Waits until stdout or stderr holds `text`. False: not within timeout_ms, or the child ended
 * without writing it. */
bool process_wait_output(struct process *process, const char *text, uint32_t timeout_ms);
bool process_wait_errors(struct process *process, const char *text, uint32_t timeout_ms);

/* ---- measurements of the running child ---- */
uint64_t process_id(const struct process *process);
uint64_t process_resident_bytes(const struct process *process);
uint64_t process_cpu_us(const struct process *process); /* user + system */
/* Handles on Windows; under Wine rounded up to a power of two. */
uint64_t process_descriptors(const struct process *process);
/* How often its threads have gone to sleep (voluntary context switches); false where the
 * system does not tell. */
bool process_sleeps(const struct process *process, uint64_t *count);

/* Starts a program, waits for its end and gives the exit code with both outputs (for free();
 * NULL pointers are skipped). The code is -1 when it could not be started, -2 when it did not
 * end within timeout_ms and was killed. */
int process_run(const struct process_options *options, uint32_t timeout_ms, char **output,
                char **errors);

#endif
