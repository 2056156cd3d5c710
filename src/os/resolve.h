/* resolve.h - what the two systems' resolvers share; private to os/.
 *
 * Threads: a list belongs to its caller.
 */
#ifndef PAIRPORT_OS_RESOLVE_H
#define PAIRPORT_OS_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"

struct resolve_list {
    struct addr *out; /* the caller's, room for max */
    size_t max;
    size_t count;
    uint16_t port; /* given to every address */
};

/* Adds an address in the system's form, unless it is there already or the list is full or it
 * is neither IPv4 nor IPv6. */
void resolve_add(struct resolve_list *list, const void *sockaddr, size_t len);

/* Asks the system for a name, which is no address, and adds what it says. On an error `why`
 * (may be NULL) gets the system's words. One implementation a system. */
enum err resolve_name(struct resolve_list *list, const char *host, char *why, size_t why_size);

#endif
