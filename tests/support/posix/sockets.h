/* sockets.h - the few calls of the socket interface that differ between systems: Linux.
 *
 * Included by net.c alone; CMake picks the folder.
 */
#ifndef PAIRPORT_TESTS_SOCKETS_H
#define PAIRPORT_TESTS_SOCKETS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "os/sock.h"

#define SYSTEM_SHUT_SEND  SHUT_WR
#define SYSTEM_SEND_FLAGS MSG_NOSIGNAL

typedef int system_sock;

static inline enum err system_error(void)
{
    switch (errno) {
    case EAGAIN:
    case EINPROGRESS: return ERR_AGAIN;
    case ECONNRESET: return ERR_RESET;
    case EPIPE: return ERR_CLOSED;
    case ECONNREFUSED: return ERR_REFUSED;
    case ETIMEDOUT: return ERR_TIMEDOUT;
    case ECONNABORTED: return ERR_ABORTED;
    case EADDRINUSE: return ERR_IN_USE;
    case EADDRNOTAVAIL: return ERR_NO_ADDRESS;
    case EAFNOSUPPORT: return ERR_UNSUPPORTED;
    case EMFILE:
    case ENFILE: return ERR_NO_DESCRIPTORS;
    default: return ERR_IO;
    }
}

static inline void system_set_error(int error)
{
    errno = error;
}

/* The length of one send() or recv() as this system's call takes it. */
static inline size_t system_io_size(size_t size)
{
    return size;
}

static inline sock_t system_open(int family)
{
    return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static inline sock_t system_accept(sock_t listener)
{
    return accept4((int)listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static inline void system_close(sock_t sock)
{
    close((int)sock);
}

/* A listener may take a port whose last connections are in TIME_WAIT. */
static inline void system_prepare_listener(sock_t sock)
{
    int on = 1;
    setsockopt((int)sock, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
}

/* True when the socket is ready or has failed; false when the time is over. */
static inline bool system_wait(sock_t sock, bool to_send, uint32_t timeout_ms)
{
    struct pollfd ask = {.fd = (int)sock, .events = to_send ? POLLOUT : POLLIN};
    return poll(&ask, 1, (int)timeout_ms) > 0;
}

static inline bool system_is_reset(sock_t sock)
{
    struct pollfd ask = {.fd = (int)sock};
    return poll(&ask, 1, 0) > 0 && (ask.revents & POLLERR) != 0;
}

/* True where an end of stream that recv() reported was in truth a reset: never on Linux. */
static inline bool system_end_was_reset(sock_t sock)
{
    (void)sock;
    return false;
}

#endif
