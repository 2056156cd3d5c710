#include "os/beside.h"

#include "os/bsd.h"
#include "os/windows/error.h"
#include "os/windows/windows_api.h"

static bool set(SOCKET handle, int level, int name, DWORD value)
{
    return setsockopt(handle, level, name, (const char *)&value, sizeof value) == 0;
}

static enum err bind_socket(const struct addr *addr, bool dual_stack, bool exclusive,
                            sock_t *out)
{
    struct sockaddr_storage storage;
    socklen_t len = bsd_from_addr(addr, &storage);
    sock_t sock = SOCK_NONE;
    enum err err =
        len == 0 ? ERR_INVALID : sock_open_listener((enum addr_family)addr->family, &sock);
    if (err != ERR_OK)
        return err;
    SOCKET handle = (SOCKET)sock;
    bool set_up = !exclusive || set(handle, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
    if (addr->family == ADDR_IPV6)
        set_up = set_up && set(handle, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack);
    if (!set_up || bind(handle, (struct sockaddr *)&storage, len) != 0) {
        err = error_last_bind();
        closesocket(handle);
        return err;
    }
    *out = sock;
    return ERR_OK;
}

enum err beside_bind(const struct addr *addr, bool dual_stack, const sock_t others[],
                     size_t other_count, sock_t *out)
{
    (void)others;
    return other_count > 0 ? ERR_UNSUPPORTED : bind_socket(addr, dual_stack, true, out);
}

enum err beside_listen_again(const struct addr *addr, bool dual_stack, int backlog, sock_t *out)
{
    enum err err = sock_listen(addr, dual_stack, backlog, out);
    if (err != ERR_IN_USE && err != ERR_RESERVED)
        return err;
    sock_t sock;
    err = bind_socket(addr, dual_stack, false, &sock);
    if (err != ERR_OK)
        return err;
    err = beside_listen(sock, backlog);
    if (err == ERR_OK)
        *out = sock;
    else
        sock_close(sock, SOCK_CLOSE_NORMAL);
    return err;
}

enum err beside_listen(sock_t sock, int backlog)
{
    return listen((SOCKET)sock, SOMAXCONN_HINT(backlog)) == 0 ? ERR_OK : error_last();
}

void beside_end(sock_t sock)
{
    (void)sock; /* nothing was begun, see beside_bind() */
}

void beside_refuse_new(sock_t sock)
{
    (void)sock; /* there is no such filter */
}

void beside_accepted(sock_t client)
{
    (void)client;
}
