/* load.h - one run of the load generator.
 *
 * Threads: the main thread; load_interrupt() from any.
 */
#ifndef PAIRPORT_TOOLS_LOAD_H
#define PAIRPORT_TOOLS_LOAD_H

#include "base/err.h"
#include "options.h"
#include "result.h"

/* Runs until the duration or the count is reached, or it is interrupted. `result` is zeroed.
 * An error means that a thread could not run at all. */
enum err load_run(const struct options *options, struct result *result);

/* Ends the run, now or to come: nothing new begins, what is on its way comes back. */
void load_interrupt(void);

#endif
