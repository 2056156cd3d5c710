/* log_output.h - where log lines go: stderr, a file, or above the prompt.
 *
 * Lines are put into a queue of bounded size and written by a thread of its own, so a full disk, a
 * pipe that nobody reads or a terminal that stands still never holds a worker. The first line is
 * written at once. Lines that follow within 10 ms are written together, so a line costs its worker
 * no system call; a warning or an error makes the thread write at once. A process that is killed
 * loses at most the lines of the last 10 ms.
 *
 * The same thread opens and closes the file, so that a file system that does not answer (NFS)
 * holds nobody either: who asks for it waits for a bounded time. What cannot be written is tried
 * again; lines that find the queue full are lost, counted, and the count is logged as soon as
 * writing goes on. Before log_output_start() and after log_output_stop() lines are written at once
 * by whoever logs.
 *
 * Threads: log_output_start() and _stop() by one owner, log_output_reopen() and _divert() by
 * any thread between the two. There is one log, so there is one output.
 */
#ifndef PAIRPORT_SERVICE_LOG_OUTPUT_H
#define PAIRPORT_SERVICE_LOG_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Opens `path` for appending ("": stderr) and makes it the log's output; see os_log_open(). On an
 * error the log goes where it went before. ERR_TIMEDOUT: the system did not answer within 5 s; the
 * thread that waits for it stays, and the output can't be started again. */
enum err log_output_start(const char *path);

/* Opens the same path again and goes on there; what was logged before is in the old file. On an
 * error the old file stays in use. ERR_UNSUPPORTED: the log goes to stderr. ERR_TIMEDOUT: it was
 * not open within 2 s, since the old file does not take what is waiting or the system does not
 * answer; the new one is used as soon as that ends. ERR_CLOSED: the output has stopped. */
enum err log_output_reopen(void);

/* Waits until what was logged before is written. False: it was not within timeout_ms. */
bool log_output_flush(uint32_t timeout_ms);

/* Hands what would go to stderr to `write` instead (whole lines; NULL: to stderr again). After
 * a return of true the old function is not called any more; false: it is running and did not
 * come back within timeout_ms, but will not be called again. Nothing is diverted from a file. */
typedef void log_output_write(void *ctx, const char *lines, size_t len);
bool log_output_divert(log_output_write *write, void *ctx, uint32_t timeout_ms);

/* True when stderr is a terminal, so that lines written there would garble a prompt. */
bool log_output_is_terminal(void);

/* Writes what waits, for timeout_ms at most, and ends the thread; what the output does not take
 * is counted as lost. False: it was too slow, the thread still runs and nothing was freed. Does
 * nothing when there is no thread. */
bool log_output_stop(uint32_t timeout_ms);

#endif
