/* check.h - `pairport check`.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_SERVICE_CHECK_H
#define PAIRPORT_SERVICE_CHECK_H

/* Loads the configuration, prints its mistakes or its routes. Returns the exit code. */
int check_run(const char *given);

#endif
