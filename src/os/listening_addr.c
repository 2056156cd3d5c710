/* listening_addr.c - where a listening socket is bound; see listening.h. */
#include "os/bsd.h"
#include "os/listening.h"

static bool get(sock_t sock, int level, int name, int *value)
{
    socklen_t len = sizeof *value;
    *value = 0;
    return getsockopt(sock, level, name, (void *)value, &len) == 0;
}

enum err listening_describe(sock_t sock, struct addr *addr, bool *dual_stack)
{
    int type, v6only = 1;
    if (!get(sock, SOL_SOCKET, SO_TYPE, &type) || type != SOCK_STREAM)
        return ERR_UNSUPPORTED;
    struct addr bound;
    enum err err = sock_local_addr(sock, &bound);
    if (err != ERR_OK || bound.port == 0)
        return ERR_UNSUPPORTED;
    bool wildcard = bound.family == ADDR_IPV6 && addr_is_any(&bound);
    if (wildcard && !get(sock, IPPROTO_IPV6, IPV6_V6ONLY, &v6only))
        return ERR_UNSUPPORTED;
    *addr = bound;
    *dual_stack = wildcard && v6only == 0;
    return ERR_OK;
}

bool listening_is_on(sock_t sock)
{
    int on;
    return get(sock, SOL_SOCKET, SO_ACCEPTCONN, &on) && on != 0;
}
