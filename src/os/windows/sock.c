#include "os/sock.h"

#include <stdlib.h>
#include <string.h>

#include "os/bsd.h"
#include "os/windows/error.h"
#include "os/windows/windows_api.h"

void sock_set_ceiling(uint64_t count)
{
    (void)count; /* handles have no limit that could be run into */
}

bool sock_is_above_ceiling(sock_t sock)
{
    (void)sock;
    return false;
}

enum err sock_open(enum addr_family family, sock_t *out)
{
    SOCKET sock = WSASocketW(bsd_family(family), SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        return WSAGetLastError() == WSAEAFNOSUPPORT ? ERR_NO_FAMILY : error_last();
    /* Overlapped calls do not care; the port's immediate reads must not wait. */
    u_long non_blocking = 1;
    if (ioctlsocket(sock, (long)FIONBIO, &non_blocking) != 0) {
        enum err err = error_last();
        closesocket(sock);
        return err;
    }
    DWORD in_stream = 1;
    (void)setsockopt(sock, SOL_SOCKET, SO_OOBINLINE, (const char *)&in_stream,
                     sizeof in_stream);
    *out = (sock_t)sock;
    return ERR_OK;
}

enum err sock_open_listener(enum addr_family family, sock_t *out)
{
    return sock_open(family, out);
}

static bool list_has(const SOCKET_ADDRESS_LIST *list, const struct addr *addr)
{
    for (INT i = 0; i < list->iAddressCount; i++) {
        struct addr found;
        const SOCKET_ADDRESS *each = &list->Address[i];
        if (bsd_to_addr(each->lpSockaddr, (size_t)each->iSockaddrLength, &found) == ERR_OK &&
            found.family == addr->family && memcmp(found.ip, addr->ip, sizeof found.ip) == 0)
            return true;
    }
    return false;
}

/* SIO_ADDRESS_LIST_QUERY gives the local addresses of the socket's family ("SIO_ADDRESS_LIST_QUERY
 * Control Code"). */
bool sock_is_own_addr(const struct addr *addr)
{
    if (addr_is_loopback(addr))
        return true; /* all of 127.0.0.0/8 */
    SOCKET asked = WSASocketW(bsd_family((enum addr_family)addr->family), SOCK_DGRAM,
                              IPPROTO_UDP, NULL, 0, WSA_FLAG_NO_HANDLE_INHERIT);
    if (asked == INVALID_SOCKET)
        return false;
    DWORD size = 16384; /* hundreds of addresses */
    SOCKET_ADDRESS_LIST *list = malloc(size);
    bool own =
        list != NULL &&
        WSAIoctl(asked, SIO_ADDRESS_LIST_QUERY, NULL, 0, list, size, &size, NULL, NULL) == 0 &&
        list_has(list, addr);
    free(list);
    closesocket(asked);
    return own;
}

static enum err set(SOCKET sock, int level, int name, DWORD value)
{
    if (setsockopt(sock, level, name, (const char *)&value, sizeof value) != 0)
        return error_last();
    return ERR_OK;
}

enum err sock_listen(const struct addr *addr, bool dual_stack, int backlog, sock_t *out)
{
    struct sockaddr_storage storage;
    socklen_t len = bsd_from_addr(addr, &storage);
    if (len == 0)
        return ERR_INVALID;

    sock_t sock = SOCK_NONE;
    enum err err = sock_open((enum addr_family)addr->family, &sock);
    if (err != ERR_OK)
        return err;
    SOCKET handle = (SOCKET)sock;

    /* Without it another program could bind the same port and take the clients. */
    err = set(handle, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, 1);
    if (err == ERR_OK && addr->family == ADDR_IPV6)
        err = set(handle, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack);
    if (err != ERR_OK)
        goto close_sock;

    if (bind(handle, (struct sockaddr *)&storage, len) != 0 ||
        listen(handle, SOMAXCONN_HINT(backlog)) != 0) {
        err = error_last_bind();
        goto close_sock;
    }
    *out = sock;
    return ERR_OK;

close_sock:
    closesocket(handle);
    return err;
}

enum err sock_bind(sock_t sock, const struct addr *source)
{
    struct sockaddr_storage storage;
    socklen_t len = bsd_from_addr(source, &storage);
    if (len == 0)
        return ERR_INVALID;

    /* The port is then chosen by ConnectEx, which knows the other end; otherwise every
     * outgoing connection takes a port of its own and they run out at some 16,000. */
    if (source->port == 0)
        (void)set((SOCKET)sock, SOL_SOCKET, SO_REUSE_UNICASTPORT, 1);
    if (bind((SOCKET)sock, (struct sockaddr *)&storage, len) == 0)
        return ERR_OK;
    int code = WSAGetLastError();
    if (source->port == 0 && (code == WSAENOBUFS || code == WSAEADDRINUSE))
        return ERR_NO_PORTS;
    return error_from_wsa(code);
}

void sock_set_keepalive(sock_t sock, uint32_t idle_ms, uint32_t interval_ms)
{
    /* In milliseconds and on every Windows; the number of probes is fixed at 10. */
    struct tcp_keepalive keepalive = {.onoff = idle_ms != 0,
                                      .keepalivetime = idle_ms,
                                      .keepaliveinterval =
                                          interval_ms != 0 ? interval_ms : 1000};
    DWORD bytes;
    (void)WSAIoctl((SOCKET)sock, SIO_KEEPALIVE_VALS, &keepalive, sizeof keepalive, NULL, 0,
                   &bytes, NULL, NULL);
}

void sock_delay_ack(sock_t sock)
{
    (void)sock; /* SIO_TCP_SET_ACK_FREQUENCY is for segments with data */
}

enum err sock_shutdown_send(sock_t sock)
{
    if (shutdown((SOCKET)sock, SD_SEND) == 0)
        return ERR_OK;
    enum err err = error_last();
    return err == ERR_RESET ? ERR_CLOSED : err;
}

/* Takes what has come; the socket is non-blocking. Bounded, since the peer may send on. */
static void discard(SOCKET sock)
{
    enum { PIECE = 16 * 1024, PIECES = 256 };
    char piece[PIECE];
    for (int i = 0; i < PIECES; i++)
        if (recv(sock, piece, PIECE, 0) <= 0)
            return;
}

void sock_close(sock_t sock, enum sock_close_how how)
{
    switch (how) {
    case SOCK_CLOSE_NORMAL: break;
    case SOCK_CLOSE_DISCARD: discard((SOCKET)sock); break;
    case SOCK_CLOSE_ABORT: {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt((SOCKET)sock, SOL_SOCKET, SO_LINGER, (const char *)&linger,
                         sizeof linger);
        break;
    }
    }
    (void)closesocket((SOCKET)sock);
}

/* Looks at the next byte without taking it; non-blocking. Windows answers with the error of a
 * broken connection as often as it is asked. */
static bool peek_finds_reset(SOCKET sock)
{
    char byte;
    return recv(sock, &byte, 1, MSG_PEEK) < 0 && error_last() == ERR_RESET;
}

bool sock_peer_reset(sock_t sock)
{
    /* POLLHUP is documented for both a disconnected and an aborted connection, POLLERR for "an
     * error" ("WSAPOLLFD structure"). Wine sets both after a reset, and keeps them when its
     * receive calls report a plain end of stream. */
    WSAPOLLFD poll_fd = {.fd = (SOCKET)sock};
    if (WSAPoll(&poll_fd, 1, 0) != 1)
        return false;
    if ((poll_fd.revents & POLLERR) != 0)
        return true;
    return (poll_fd.revents & POLLHUP) != 0 && peek_finds_reset((SOCKET)sock);
}

/* SIO_TCP_INFO is there since Windows 10 1703. */
static bool query_info(sock_t sock, TCP_INFO_v0 *info)
{
    DWORD version = 0;
    DWORD bytes = 0;
    return WSAIoctl((SOCKET)sock, SIO_TCP_INFO, &version, sizeof version, info, sizeof *info,
                    &bytes, NULL, NULL) == 0 &&
           bytes >= sizeof *info;
}

void sock_query_sent(sock_t sock, struct sock_sent *sent)
{
    TCP_INFO_v0 info;
    *sent = (struct sock_sent){.tells = SOCK_TELLS_NOTHING};
    if (!query_info(sock, &info))
        return;
    sent->tells = SOCK_TELLS_COUNTS;
    sent->out = info.BytesOut;
    sent->again = info.BytesRetrans;
    sent->in_flight = info.BytesInFlight;
}

bool sock_tcp_info(sock_t sock, struct sock_tcp_info *out)
{
    TCP_INFO_v0 info;
    if (!query_info(sock, &info) || info.RttUs == 0)
        return false;
    out->rtt_us = info.RttUs;
    out->rtt_var_us = 0;
    out->retransmits_total = info.BytesRetrans;
    out->retransmits_in_bytes = true;
    return true;
}

bool sock_accept_inherits(void)
{
    return false; /* "AcceptEx function" promises it of no option by name */
}
