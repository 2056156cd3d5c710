/* demo.h - `pairport demo`: a relay to try without a configuration.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_SERVICE_DEMO_H
#define PAIRPORT_SERVICE_DEMO_H

/* `listen` is ADDRESS:PORT or a port of 127.0.0.1, NULL for 127.0.0.1:7777. Returns the exit
 * code. */
int demo_run(const char *listen);

#endif
