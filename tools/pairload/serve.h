/* serve.h - the other end: an echo server or a sink, until it is stopped.
 *
 * Threads: the main thread; serve_stop() from any.
 */
#ifndef PAIRPORT_TOOLS_SERVE_H
#define PAIRPORT_TOOLS_SERVE_H

#include "options.h"

/* Listens, prints "listening on ADDRESS:PORT", and returns the program's exit code after
 * serve_stop(). */
int serve_run(const struct options *options);

void serve_stop(void);

#endif
