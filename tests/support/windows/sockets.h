/* sockets.h - the few calls of the socket interface that differ between systems: Windows.
 *
 * Included by net.c alone; CMake picks the folder.
 */
#ifndef PAIRPORT_TESTS_SOCKETS_H
#define PAIRPORT_TESTS_SOCKETS_H

#include <winsock2.h>
#include <ws2tcpip.h>

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "os/sock.h"

#define SYSTEM_SHUT_SEND  SD_SEND
#define SYSTEM_SEND_FLAGS 0

typedef SOCKET system_sock;

static inline enum err system_error(void)
{
    switch (WSAGetLastError()) {
    case WSAEWOULDBLOCK:
    case WSAEINPROGRESS: return ERR_AGAIN;
    case WSAECONNRESET: return ERR_RESET;
    case WSAECONNABORTED: return ERR_RESET; /* how some versions tell that a reset came */
    case WSAESHUTDOWN: return ERR_CLOSED;
    case WSAECONNREFUSED: return ERR_REFUSED;
    case WSAETIMEDOUT: return ERR_TIMEDOUT;
    case WSAEADDRINUSE:
    case WSAEACCES: return ERR_IN_USE; /* another's exclusive listener */
    case WSAEADDRNOTAVAIL: return ERR_NO_ADDRESS;
    case WSAEAFNOSUPPORT: return ERR_UNSUPPORTED;
    case WSAEMFILE: return ERR_NO_DESCRIPTORS;
    default: return ERR_IO;
    }
}

static inline void system_set_error(int error)
{
    WSASetLastError(error);
}

/* The length of one send() or recv() as this system's call takes it. */
static inline int system_io_size(size_t size)
{
    return size < INT_MAX ? (int)size : INT_MAX;
}

static inline sock_t system_adopt(SOCKET sock)
{
    if (sock == INVALID_SOCKET)
        return SOCK_NONE;
    u_long on = 1;
    ioctlsocket(sock, FIONBIO, &on);
    SetHandleInformation((HANDLE)sock, HANDLE_FLAG_INHERIT, 0);
    return (sock_t)sock;
}

static inline sock_t system_open(int family)
{
    return system_adopt(WSASocketW(family, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                                   WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT));
}

static inline sock_t system_accept(sock_t listener)
{
    return system_adopt(accept((SOCKET)listener, NULL, NULL));
}

static inline void system_close(sock_t sock)
{
    closesocket((SOCKET)sock);
}

/* SO_REUSEADDR would let two listeners share a port here. */
static inline void system_prepare_listener(sock_t sock)
{
    int on = 1;
    setsockopt((SOCKET)sock, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (const char *)&on, sizeof on);
}

/* True when the socket is ready or has failed; false when the time is over. WSAPoll() of older
 * systems does not tell of failed connects, select() does. */
static inline bool system_wait(sock_t sock, bool to_send, uint32_t timeout_ms)
{
    fd_set ready;
    fd_set failed;
    FD_ZERO(&ready);
    FD_ZERO(&failed);
    FD_SET((SOCKET)sock, &ready);
    FD_SET((SOCKET)sock, &failed);
    struct timeval limit = {(long)(timeout_ms / 1000), (long)(timeout_ms % 1000 * 1000)};
    return select(0, to_send ? NULL : &ready, to_send ? &ready : NULL, &failed, &limit) > 0;
}

/* POLLERR stands for a reset, POLLHUP alone for FIN. */
static inline bool system_is_reset(sock_t sock)
{
    WSAPOLLFD ask = {.fd = (SOCKET)sock, .events = POLLRDNORM};
    return WSAPoll(&ask, 1, 0) > 0 && (ask.revents & POLLERR) != 0;
}

/* Wine reports a reset that came while nobody was receiving as an end of stream. */
static inline bool system_end_was_reset(sock_t sock)
{
    return system_is_reset(sock);
}

#endif
