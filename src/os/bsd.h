/* bsd.h - the Berkeley socket calls of this system, and addresses in their form.
 *
 * For os/ and the backends of port/ (and tests that need a plain socket): includes the
 * system's socket headers, which everything above stays free of.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_OS_BSD_H
#define PAIRPORT_OS_BSD_H

#ifdef _WIN32
#include "os/windows/error.h"
#include "os/windows/windows_api.h"
#else
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "os/posix/error.h"
#endif

#include "base/addr.h"
#include "base/err.h"

/* The address in the system's form and its length; 0 and AF_UNSPEC for ADDR_NONE. */
socklen_t bsd_from_addr(const struct addr *addr, struct sockaddr_storage *out);

/* An address of the system, normalised; ERR_UNSUPPORTED: neither IPv4 nor IPv6, or cut short.
 * Needs no alignment of `from`. */
enum err bsd_to_addr(const void *from, size_t len, struct addr *out);

/* AF_INET, AF_INET6, or AF_UNSPEC for ADDR_NONE. */
int bsd_family(enum addr_family family);

/* The error of the socket call that has just failed on this thread; never ERR_OK. */
static inline enum err bsd_error(void)
{
    return error_last(); /* WSAGetLastError() is GetLastError() */
}

#endif
