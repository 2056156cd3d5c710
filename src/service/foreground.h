/* foreground.h - the relay in the foreground: start, prompt, signals, stop.
 *
 * Threads: the main thread; there is one relay in a process.
 */
#ifndef PAIRPORT_SERVICE_FOREGROUND_H
#define PAIRPORT_SERVICE_FOREGROUND_H

#include <stdbool.h>

#include "base/err.h"
#include "config/conf.h"

/* Begins to take signals; before any other thread of the program exists. Signals that come
 * before foreground_run() are kept for it. */
enum err foreground_take_signals(void);

struct foreground_options {
    const char *greeting; /* printed to stdout when the relay runs; may be NULL */
    const char *hint;     /* printed to stderr when it could not start; may be NULL */
    bool at_once;         /* an address that is in use is not waited for */
    bool takeover; /* takes the listening sockets of the relay that runs; see inherit.h */
};

/* Relays until stopped, or taken over by another relay. Takes over `conf`. Returns the exit
 * code. */
int foreground_run(struct conf *conf, const struct foreground_options *options);

#endif
