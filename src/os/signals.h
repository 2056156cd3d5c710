/* signals.h - what the system tells the whole process, delivered on a thread of its own.
 *
 * Linux: SIGTERM and SIGINT are STOP, SIGHUP is REOPEN (of the log file, and the
 * configuration). Windows: Ctrl-C, Ctrl-Break are STOP;
 * closing the console window, logging off and system shutdown are STOP_QUICK, after which the
 * handler is held until signals_stopped() or 4 s ("HandlerRoutine callback function": the
 * system kills the process after 5 s).
 *
 * Threads: signals_start() from the main thread before any other thread exists, so that all
 * threads inherit the blocked signals.
 */
#ifndef PAIRPORT_OS_SIGNALS_H
#define PAIRPORT_OS_SIGNALS_H

#include "base/err.h"

enum signal_kind { SIGNAL_STOP, SIGNAL_STOP_QUICK, SIGNAL_REOPEN };

/* `on_signal` runs on an ordinary thread: it may lock, allocate and log. */
enum err signals_start(void (*on_signal)(enum signal_kind kind, void *ctx), void *ctx);

/* The program has stopped: a held console handler may return. */
void signals_stopped(void);

#endif
