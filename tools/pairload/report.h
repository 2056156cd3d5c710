/* report.h - prints the result of a run, for people or as JSON.
 *
 * Threads: the main thread, when the run is over.
 */
#ifndef PAIRPORT_TOOLS_REPORT_H
#define PAIRPORT_TOOLS_REPORT_H

#include "options.h"
#include "result.h"

/* False: it could not be printed. */
bool report_print(const struct options *options, const struct result *result);

#endif
