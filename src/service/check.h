/* check.h - `pairport check`.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_SERVICE_CHECK_H
#define PAIRPORT_SERVICE_CHECK_H

#include "base/str.h"
#include "config/conf.h"

/* Loads the configuration, prints its mistakes or its routes. Returns the exit code. */
int check_run(const char *given);

/* Adds the routes of a configuration as a table. */
void check_write_routes(const struct conf *conf, struct str *out);

#endif
