/* sock.c - what is the same for sockets of every system. */
#include "os/sock.h"

#include <stdint.h>

#include "os/bsd.h"

enum err sock_local_addr(sock_t sock, struct addr *out)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof storage;
    if (getsockname(sock, (struct sockaddr *)&storage, &len) != 0)
        return bsd_error();
    return bsd_to_addr(&storage, (size_t)len, out);
}

enum err sock_peer_addr(sock_t sock, struct addr *out)
{
    struct sockaddr_storage storage;
    socklen_t len = sizeof storage;
    if (getpeername(sock, (struct sockaddr *)&storage, &len) != 0)
        return bsd_error();
    return bsd_to_addr(&storage, (size_t)len, out);
}

bool sock_refuse_itself(sock_t sock, uint16_t peer_port)
{
    struct addr here, there;
    if (sock_local_addr(sock, &here) != ERR_OK || here.port != peer_port)
        return false;
    if (sock_peer_addr(sock, &there) != ERR_OK || !addr_equal(&here, &there))
        return false;
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(sock, SOL_SOCKET, SO_LINGER, (const void *)&linger, sizeof linger);
    return true;
}

/* A wish: what the system refuses is left as it was. */
static void wish(sock_t sock, int level, int name, int value)
{
    (void)setsockopt(sock, level, name, (const void *)&value, sizeof value);
}

void sock_set_nodelay(sock_t sock, bool on)
{
    wish(sock, IPPROTO_TCP, TCP_NODELAY, on);
}
