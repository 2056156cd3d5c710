/* listen_ports.h - listen ports that the system may give to outgoing connections.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_SERVICE_LISTEN_PORTS_H
#define PAIRPORT_SERVICE_LISTEN_PORTS_H

#include "config/conf.h"

/* Tells of each such listen line: where it stands, "FILE:LINE", and what is to be said. */
void listen_ports_warn(const struct conf *conf,
                       void (*tell)(const char *where, const char *text));

#endif
