#include "os/sock.h"

#include <errno.h>
#include <ifaddrs.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "os/bsd.h"
#include "os/posix/error.h"

static uint64_t ceiling = UINT64_MAX; /* not changed once there are threads */

void sock_set_ceiling(uint64_t count)
{
    ceiling = count;
}

bool sock_is_above_ceiling(sock_t sock)
{
    return (uint64_t)sock >= ceiling;
}

enum err sock_open_listener(enum addr_family family, sock_t *out)
{
    int fd =
        socket(bsd_family(family), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0 && errno == EAFNOSUPPORT)
        return ERR_NO_FAMILY;
    if (fd < 0)
        return error_last();
    int in_stream = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &in_stream, sizeof in_stream);
    *out = fd;
    return ERR_OK;
}

bool sock_is_own_addr(const struct addr *addr)
{
    struct ifaddrs *all;
    if (addr_is_loopback(addr))
        return true; /* all of 127.0.0.0/8 */
    if (getifaddrs(&all) != 0)
        return false;
    bool own = false;
    for (const struct ifaddrs *each = all; each != NULL && !own; each = each->ifa_next) {
        struct addr found;
        if (each->ifa_addr == NULL || /* an interface without address */
            bsd_to_addr(each->ifa_addr, sizeof(struct sockaddr_in6), &found) != ERR_OK)
            continue;
        own = found.family == addr->family && memcmp(found.ip, addr->ip, sizeof found.ip) == 0;
    }
    freeifaddrs(all);
    return own;
}

enum err sock_open(enum addr_family family, sock_t *out)
{
    sock_t sock = SOCK_NONE;
    enum err err = sock_open_listener(family, &sock);
    if (err != ERR_OK)
        return err;
    if (sock_is_above_ceiling(sock)) {
        close((int)sock);
        return ERR_NO_DESCRIPTORS;
    }
    *out = sock;
    return ERR_OK;
}

static enum err set(int fd, int level, int name, int value)
{
    if (setsockopt(fd, level, name, &value, sizeof value) != 0)
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
    enum err err = sock_open_listener((enum addr_family)addr->family, &sock);
    if (err != ERR_OK)
        return err;
    int fd = (int)sock;

    /* Lets a restarted relay bind while old connections are still in TIME_WAIT; on Linux it
     * does not let two listeners share an address. */
    err = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (err == ERR_OK && addr->family == ADDR_IPV6)
        err = set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack);
    if (err != ERR_OK)
        goto close_sock;

    if (bind(fd, (struct sockaddr *)&storage, len) != 0 || listen(fd, backlog) != 0) {
        err = error_last();
        goto close_sock;
    }
    *out = sock;
    return ERR_OK;

close_sock:
    close(fd);
    return err;
}

enum err sock_bind(sock_t sock, const struct addr *source)
{
    struct sockaddr_storage storage;
    socklen_t len = bsd_from_addr(source, &storage);
    if (len == 0)
        return ERR_INVALID;

    /* The port is then chosen by connect, which knows the other end, so that one port can
     * serve connections to different upstreams. Older kernels choose it here: no harm. */
    if (source->port == 0)
        (void)set((int)sock, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (bind((int)sock, (struct sockaddr *)&storage, len) == 0)
        return ERR_OK;
    if (errno == EADDRINUSE && source->port == 0)
        return ERR_NO_PORTS;
    return error_last();
}

static int seconds(uint32_t ms)
{
    enum { LONGEST = 32767 }; /* of the kernel, MAX_TCP_KEEPIDLE */
    uint32_t s = ms / 1000 + (ms % 1000 != 0);
    if (s > LONGEST)
        return LONGEST;
    return s == 0 ? 1 : (int)s;
}

void sock_set_keepalive(sock_t sock, uint32_t idle_ms, uint32_t interval_ms)
{
    int fd = (int)sock;
    if (idle_ms != 0) {
        (void)set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(idle_ms));
        (void)set(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(interval_ms));
    }
    (void)set(fd, SOL_SOCKET, SO_KEEPALIVE, idle_ms != 0);
}

void sock_delay_ack(sock_t sock)
{
    (void)set((int)sock, IPPROTO_TCP, TCP_QUICKACK, 0);
}

enum err sock_shutdown_send(sock_t sock)
{
    if (shutdown((int)sock, SHUT_WR) == 0)
        return ERR_OK;
    return error_last(); /* ENOTCONN is ERR_CLOSED */
}

/* Bounded, since the peer may send on; a receive buffer of the system is smaller. MSG_TRUNC would
 * save the copy, but a sanitizer takes it for a write to the buffer that is not there. */
static void discard(int fd)
{
    enum { PIECE = 16 * 1024, PIECES = 1024 };
    char piece[PIECE];
    for (int i = 0; i < PIECES; i++)
        if (recv(fd, piece, PIECE, MSG_DONTWAIT) <= 0)
            return;
}

void sock_close(sock_t sock, enum sock_close_how how)
{
    switch (how) {
    case SOCK_CLOSE_NORMAL: break;
    case SOCK_CLOSE_DISCARD: discard((int)sock); break;
    case SOCK_CLOSE_ABORT: {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt((int)sock, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        break;
    }
    }
    (void)close((int)sock); /* after EINTR the descriptor is gone too, see close(2) */
}

bool sock_peer_reset(sock_t sock)
{
    /* A reset leaves an error in the socket, in every state before TIME_WAIT, and the error
     * stays there until a receive or send takes it, so POLLERR reports it without taking it.
     * POLLHUP alone is the clean end of both directions. */
    struct pollfd poll_fd = {.fd = (int)sock};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLERR) != 0;
}

void sock_query_sent(sock_t sock, struct sock_sent *sent)
{
    int unacked;
    *sent = (struct sock_sent){.tells = SOCK_TELLS_NOTHING};
    if (ioctl((int)sock, SIOCOUTQ, &unacked) != 0 || unacked < 0)
        return;
    sent->tells = SOCK_TELLS_UNACKED;
    sent->unacked = (uint64_t)unacked;
}

bool sock_tcp_info(sock_t sock, struct sock_tcp_info *out)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    if (getsockopt((int)sock, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return false;
    /* Before the first acknowledgement, and for a listener, there is no round trip to tell. */
    if (len < offsetof(struct tcp_info, tcpi_total_retrans) + sizeof info.tcpi_total_retrans ||
        info.tcpi_rtt == 0 || info.tcpi_state == TCP_LISTEN)
        return false;
    out->rtt_us = info.tcpi_rtt;
    out->rtt_var_us = info.tcpi_rttvar;
    out->retransmits_total = info.tcpi_total_retrans;
    out->retransmits_in_bytes = false;
    return true;
}

bool sock_accept_inherits(void)
{
    return true;
}
