/* dns_system.c - what looking up names takes of this system. */
#include "os/dns_channel.h"
#include "os/os.h"
#include "os/windows/error.h"
#include "os/windows/windows_api.h"

#include <iphlpapi.h>

#define RENEW_MS                                                                               \
    30000 /* Windows has no file that could be watched: name servers are read anew */

/* c-ares loads iphlpapi.dll by its name alone. Once it is loaded from the system's folder, that
 * name means it and no file of the program's own folder. */
enum err dns_system_begin(void)
{
    if (LoadLibraryExW(L"iphlpapi.dll", NULL, LOAD_LIBRARY_SEARCH_SYSTEM32) == NULL)
        return error_last();
    return ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS ? ERR_OK : ERR_NOMEM;
}

void dns_system_end(void)
{
    ares_library_cleanup();
}

uint64_t dns_system_stamp(void)
{
    return os_mono_ms() / RENEW_MS;
}

bool dns_system_has_route(const struct sockaddr *to, socklen_t len)
{
    SOCKET sock = WSASocketW(to->sa_family, SOCK_DGRAM, 0, NULL, 0, WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        return false;
    bool has = connect(sock, to, len) == 0;
    closesocket(sock);
    return has;
}

int dns_system_poll(struct pollfd sockets[], size_t count, int timeout_ms)
{
    return WSAPoll(sockets, (ULONG)count, timeout_ms);
}

/* A UDP socket that is connected to itself: it takes nothing from anybody else. */
enum err dns_wake_open(struct dns_wake *wake)
{
    SOCKET sock = WSASocketW(AF_INET, SOCK_DGRAM, 0, NULL, 0, WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        return error_last();
    struct sockaddr_in self = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int len = sizeof self;
    u_long yes = 1;
    if (bind(sock, (struct sockaddr *)&self, len) != 0 ||
        getsockname(sock, (struct sockaddr *)&self, &len) != 0 ||
        connect(sock, (struct sockaddr *)&self, len) != 0 ||
        ioctlsocket(sock, (long)FIONBIO, &yes) != 0) {
        enum err err = error_last();
        closesocket(sock);
        return err;
    }
    wake->sock = sock;
    return ERR_OK;
}

void dns_wake_close(struct dns_wake *wake)
{
    closesocket(wake->sock);
}

void dns_wake_send(struct dns_wake *wake)
{
    (void)send(wake->sock, "", 1, 0); /* a full buffer wakes as well */
}

void dns_wake_drain(struct dns_wake *wake)
{
    char bytes[16];
    while (recv(wake->sock, bytes, sizeof bytes, 0) > 0) {
    }
}

/* What c-ares asks for the addresses of the loopback, when the hosts file has no `localhost`. It
 * would import iphlpapi.dll for them, which is then looked for before any code of ours runs;
 * without it c-ares takes 127.0.0.1 and ::1. */
NETIOAPI_API GetUnicastIpAddressTable(ADDRESS_FAMILY family, PMIB_UNICASTIPADDRESS_TABLE *table)
{
    (void)family;
    (void)table;
    return ERROR_NOT_SUPPORTED;
}

VOID NETIOAPI_API_ FreeMibTable(PVOID memory)
{
    (void)memory;
}
