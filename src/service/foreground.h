/* foreground.h - the relay in the foreground: start, prompt, signals, stop.
 *
 * Threads: the main thread; there is one relay in a process.
 */
#ifndef PAIRPORT_SERVICE_FOREGROUND_H
#define PAIRPORT_SERVICE_FOREGROUND_H

#include "base/err.h"
#include "config/conf.h"

/* Begins to take signals; before any other thread of the program exists. Signals that come
 * before foreground_run() are kept for it. */
enum err foreground_take_signals(void);

/* Relays until stopped. Takes over `conf`. `greeting` (may be NULL) is printed to stdout when
 * the relay runs; `hint` (may be NULL) to stderr when it could not start. Returns the exit
 * code. */
int foreground_run(struct conf *conf, const char *greeting, const char *hint);

#endif
