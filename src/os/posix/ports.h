/* ports.h - which local ports Linux gives to outgoing connections, as texts of /proc tell it.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_OS_POSIX_PORTS_H
#define PAIRPORT_OS_POSIX_PORTS_H

#include <stdbool.h>
#include <stdint.h>

/* True when each port of first..last is in a list such as "8080,9000-9010\n", which is ascending
 * (Documentation/networking/ip-sysctl.rst, ip_local_reserved_ports). */
bool ports_are_reserved(const char *list, uint16_t first, uint16_t last);

#endif
