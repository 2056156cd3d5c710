/* provider.c - what Winsock's service providers are like, and their extension functions. */
#include <stdlib.h>

#include "base/log.h"
#include "os/windows/error.h"
#include "port/iocp/iocp.h"

/* A layered provider that brings its own handles breaks skip-on-success, even on sockets that
 * are not its own ("SetFileCompletionNotificationModes API causes an I/O completion port not to
 * work correctly if a non-IFS LSP is installed"): one such entry and nobody skips. It also keeps
 * the I/O manager, and so CancelIoEx, away from the sockets that are its own, hence the warning. */
bool provider_all_ifs(void)
{
    INT protocols[] = {IPPROTO_TCP, 0};
    DWORD size = 0;
    if (WSAEnumProtocolsW(protocols, NULL, &size) != SOCKET_ERROR ||
        WSAGetLastError() != WSAENOBUFS)
        return false;
    WSAPROTOCOL_INFOW *entries = malloc(size);
    if (entries == NULL)
        return false;

    int count = WSAEnumProtocolsW(protocols, entries, &size);
    bool all = count > 0; /* on an error, SOCKET_ERROR: the safe answer */
    for (int i = 0; i < count; i++) {
        if ((entries[i].dwServiceFlags1 & XP1_IFS_HANDLES) != 0)
            continue;
        all = false;
        char name[3 * (WSAPROTOCOL_LEN + 1)] = "";
        (void)WideCharToMultiByte(CP_UTF8, 0, entries[i].szProtocol, -1, name, sizeof name,
                                  NULL, NULL);
        log_warning("winsock provider '%s' has no system handles: "
                    "the relay runs slower and may end sessions late",
                    name);
    }
    free(entries);
    return all;
}

enum err provider_of(sock_t sock, enum addr_family *family, bool *ifs)
{
    WSAPROTOCOL_INFOW info;
    int size = sizeof info;
    if (getsockopt((SOCKET)sock, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &size) != 0)
        return error_last();
    if (info.iAddressFamily != AF_INET && info.iAddressFamily != AF_INET6)
        return ERR_UNSUPPORTED;
    *family = info.iAddressFamily == AF_INET6 ? ADDR_IPV6 : ADDR_IPV4;
    *ifs = (info.dwServiceFlags1 & XP1_IFS_HANDLES) != 0;
    return ERR_OK;
}

static enum err load(sock_t sock, GUID guid, void *function, size_t size)
{
    DWORD bytes = 0;
    if (WSAIoctl((SOCKET)sock, SIO_GET_EXTENSION_FUNCTION_POINTER, &guid, sizeof guid, function,
                 (DWORD)size, &bytes, NULL, NULL) != 0)
        return error_last();
    return bytes == size ? ERR_OK : ERR_UNSUPPORTED;
}

static enum err load_all(struct extensions *to, sock_t sock)
{
    struct extensions loaded = {.accept = NULL};
    enum err err = load(sock, (GUID)WSAID_ACCEPTEX, &loaded.accept, sizeof loaded.accept);
    if (err == ERR_OK)
        err = load(sock, (GUID)WSAID_CONNECTEX, &loaded.connect, sizeof loaded.connect);
    if (err == ERR_OK)
        err = load(sock, (GUID)WSAID_GETACCEPTEXSOCKADDRS, &loaded.accept_addrs,
                   sizeof loaded.accept_addrs);
    if (err != ERR_OK)
        return err;
    to->accept = loaded.accept;
    to->connect = loaded.connect;
    to->accept_addrs = loaded.accept_addrs;
    atomic_store(&to->loaded, true);
    return ERR_OK;
}

static size_t index_of(enum addr_family family)
{
    return family == ADDR_IPV6;
}

enum err provider_load(struct port *port, sock_t sock, enum addr_family family)
{
    struct extensions *extensions = &port->extensions[index_of(family)];
    if (atomic_load(&extensions->loaded))
        return ERR_OK;
    os_mutex_lock(&port->lock);
    enum err err = atomic_load(&extensions->loaded) ? ERR_OK : load_all(extensions, sock);
    os_mutex_unlock(&port->lock);
    return err;
}

const struct extensions *provider_functions(const struct port *port, enum addr_family family)
{
    const struct extensions *extensions = &port->extensions[index_of(family)];
    assert(atomic_load(&extensions->loaded));
    return extensions;
}
