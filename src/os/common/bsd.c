/* bsd.c - addresses in the form of the system. */
#include "os/bsd.h"

#include <stdint.h>
#include <string.h>

int bsd_family(enum addr_family family)
{
    switch (family) {
    case ADDR_IPV4: return AF_INET;
    case ADDR_IPV6: return AF_INET6;
    case ADDR_NONE: break;
    }
    return AF_UNSPEC;
}

socklen_t bsd_from_addr(const struct addr *addr, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    switch ((enum addr_family)addr->family) {
    case ADDR_IPV4: {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(addr->port);
        memcpy(&in->sin_addr, addr->ip, 4);
        return sizeof *in;
    }
    case ADDR_IPV6: {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(addr->port);
        in6->sin6_scope_id = addr->scope;
        memcpy(&in6->sin6_addr, addr->ip, 16);
        return sizeof *in6;
    }
    case ADDR_NONE: break;
    }
    out->ss_family = AF_UNSPEC;
    return 0;
}

enum err bsd_to_addr(const void *from, size_t len, struct addr *out)
{
    union {
        struct sockaddr_storage storage;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } sa;
    memset(&sa, 0, sizeof sa);
    memcpy(&sa, from, len < sizeof sa ? len : sizeof sa);

    struct addr addr;
    memset(&addr, 0, sizeof addr);
    if (sa.storage.ss_family == AF_INET && len >= sizeof sa.in) {
        addr.family = ADDR_IPV4;
        addr.port = ntohs(sa.in.sin_port);
        memcpy(addr.ip, &sa.in.sin_addr, 4);
    } else if (sa.storage.ss_family == AF_INET6 && len >= sizeof sa.in6) {
        addr.family = ADDR_IPV6;
        addr.port = ntohs(sa.in6.sin6_port);
        addr.scope = sa.in6.sin6_scope_id;
        memcpy(addr.ip, &sa.in6.sin6_addr, 16);
        addr_normalise(&addr);
    } else {
        return ERR_UNSUPPORTED;
    }
    *out = addr;
    return ERR_OK;
}
