#include "support/net.h"

#include <sockets.h>

#include <stdatomic.h>
#include <string.h>

#include "os/os.h"

struct any_sockaddr {
    union {
        struct sockaddr plain;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage any;
    } u;
    socklen_t len;
};

static void to_system(const struct addr *addr, struct any_sockaddr *out)
{
    memset(out, 0, sizeof *out);
    if (addr->family == ADDR_IPV6) {
        out->u.v6.sin6_family = AF_INET6;
        out->u.v6.sin6_port = htons(addr->port);
        out->u.v6.sin6_scope_id = addr->scope;
        memcpy(&out->u.v6.sin6_addr, addr->ip, 16);
        out->len = sizeof out->u.v6;
    } else {
        out->u.v4.sin_family = AF_INET;
        out->u.v4.sin_port = htons(addr->port);
        memcpy(&out->u.v4.sin_addr, addr->ip, 4);
        out->len = sizeof out->u.v4;
    }
}

static void from_system(const struct any_sockaddr *in, struct addr *out)
{
    memset(out, 0, sizeof *out);
    if (in->u.plain.sa_family == AF_INET6) {
        out->family = ADDR_IPV6;
        out->port = ntohs(in->u.v6.sin6_port);
        out->scope = in->u.v6.sin6_scope_id;
        memcpy(out->ip, &in->u.v6.sin6_addr, 16);
    } else {
        out->family = ADDR_IPV4;
        out->port = ntohs(in->u.v4.sin_port);
        memcpy(out->ip, &in->u.v4.sin_addr, 4);
    }
}

/* What is left of a limit that began at `start_ms`. */
static uint32_t time_left(uint64_t start_ms, uint32_t timeout_ms)
{
    uint64_t gone = os_mono_ms() - start_ms;
    return gone >= timeout_ms ? 0 : (uint32_t)(timeout_ms - gone);
}

struct addr net_loopback(enum addr_family family, uint16_t port)
{
    struct addr addr = {.family = (uint8_t)family, .port = port};
    if (family == ADDR_IPV6) {
        addr.ip[15] = 1;
    } else {
        addr.ip[0] = 127;
        addr.ip[3] = 1;
    }
    return addr;
}

bool net_has_ipv6(void)
{
    struct addr addr = net_loopback(ADDR_IPV6, 0);
    sock_t sock;
    if (net_listen(&addr, 1, &sock, NULL) != ERR_OK)
        return false;
    net_close(sock);
    return true;
}

static bool is_free(enum addr_family family, uint16_t port)
{
    struct addr addr = {.family = (uint8_t)family, .port = port}; /* the wildcard */
    sock_t sock;
    enum err err = net_listen(&addr, 1, &sock, NULL);
    if (err == ERR_OK)
        net_close(sock);
    return err == ERR_OK || err == ERR_UNSUPPORTED || err == ERR_NO_ADDRESS;
}

uint16_t net_free_port(void)
{
    enum { FIRST = 10240, COUNT = 21760, TRIES = 1000 };
    static _Atomic uint32_t turn; /* 0 before the first call */
    uint32_t begin = 0;
    uint32_t somewhere = (uint32_t)(os_random() % COUNT) + 1;
    atomic_compare_exchange_strong(&turn, &begin, somewhere);
    for (unsigned tries = 0; tries < TRIES; tries++) {
        uint16_t port = (uint16_t)(FIRST + atomic_fetch_add(&turn, 1) % COUNT);
        if (is_free(ADDR_IPV4, port) && is_free(ADDR_IPV6, port))
            return port;
    }
    return 0;
}

static int family_of(const struct addr *addr)
{
    return addr->family == ADDR_IPV6 ? AF_INET6 : AF_INET;
}

static enum err fail_and_close(sock_t sock)
{
    enum err err = system_error();
    system_close(sock);
    return err;
}

enum err net_listen(const struct addr *addr, int backlog, sock_t *out, struct addr *bound)
{
    sock_t sock = system_open(family_of(addr));
    if (sock == SOCK_NONE)
        return system_error();
    system_prepare_listener(sock);
    if (addr->family == ADDR_IPV6) {
        int on = 1;
        setsockopt((system_sock)sock, IPPROTO_IPV6, IPV6_V6ONLY, (const char *)&on, sizeof on);
    }
    struct any_sockaddr name;
    to_system(addr, &name);
    if (bind((system_sock)sock, &name.u.plain, name.len) != 0 ||
        listen((system_sock)sock, backlog) != 0)
        return fail_and_close(sock);
    if (bound != NULL && net_local_addr(sock, bound) != ERR_OK)
        return fail_and_close(sock);
    *out = sock;
    return ERR_OK;
}

enum err net_accept(sock_t listener, uint32_t timeout_ms, sock_t *out)
{
    uint64_t start = os_mono_ms();
    for (;;) {
        sock_t sock = system_accept(listener);
        if (sock != SOCK_NONE) {
            *out = sock;
            return ERR_OK;
        }
        enum err err = system_error();
        /* A client that reset its connection in the backlog is not the next client. */
        if (err != ERR_AGAIN && err != ERR_ABORTED && err != ERR_RESET)
            return err;
        if (!system_wait(listener, false, time_left(start, timeout_ms)))
            return ERR_TIMEDOUT;
    }
}

/* `from` may be NULL; a buffer size of 0 leaves the system's. */
static enum err begin_connect(const struct addr *from, const struct addr *to,
                              uint32_t send_bytes, uint32_t receive_bytes, sock_t *out)
{
    sock_t sock = system_open(family_of(to));
    if (sock == SOCK_NONE)
        return system_error();
    net_set_buffers(sock, send_bytes, receive_bytes);
    struct any_sockaddr name;
    if (from != NULL) {
        to_system(from, &name);
        if (bind((system_sock)sock, &name.u.plain, name.len) != 0)
            return fail_and_close(sock);
    }
    to_system(to, &name);
    if (connect((system_sock)sock, &name.u.plain, name.len) != 0 && system_error() != ERR_AGAIN)
        return fail_and_close(sock);
    *out = sock;
    return ERR_OK;
}

enum err net_connect_begin(const struct addr *to, sock_t *out)
{
    return begin_connect(NULL, to, 0, 0, out);
}

enum err net_connect_finish(sock_t sock, uint32_t timeout_ms)
{
    if (!system_wait(sock, true, timeout_ms))
        return ERR_TIMEDOUT;
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt((system_sock)sock, SOL_SOCKET, SO_ERROR, (char *)&error, &len);
    if (error == 0)
        return ERR_OK;
    system_set_error(error);
    return system_error();
}

/* Waits for the end of a connect whose socket is nobody's without success. */
static enum err finish_or_close(sock_t sock, uint32_t timeout_ms, sock_t *out)
{
    enum err err = net_connect_finish(sock, timeout_ms);
    if (err != ERR_OK) {
        net_close(sock);
        return err;
    }
    *out = sock;
    return ERR_OK;
}

enum err net_connect_small(const struct addr *to, uint32_t send_bytes, uint32_t receive_bytes,
                           uint32_t timeout_ms, sock_t *out)
{
    sock_t sock;
    enum err err = begin_connect(NULL, to, send_bytes, receive_bytes, &sock);
    return err == ERR_OK ? finish_or_close(sock, timeout_ms, out) : err;
}

enum err net_connect_from(const struct addr *from, const struct addr *to, uint32_t timeout_ms,
                          sock_t *out)
{
    sock_t sock;
    enum err err = begin_connect(from, to, 0, 0, &sock);
    return err == ERR_OK ? finish_or_close(sock, timeout_ms, out) : err;
}

enum err net_connect(const struct addr *to, uint32_t timeout_ms, sock_t *out)
{
    return net_connect_small(to, 0, 0, timeout_ms, out);
}

enum err net_deaf_open(enum addr_family family, struct net_deaf *out)
{
    for (unsigned i = 0; i < NET_DEAF_FILL; i++)
        out->fill[i] = SOCK_NONE;
    struct addr any_port = net_loopback(family, 0);
    enum err err = net_listen(&any_port, 1, &out->listener, &out->addr);
    if (err != ERR_OK)
        return err;
    /* The system rounds a backlog as it likes: connect until nobody answers. */
    for (unsigned i = 0; i < NET_DEAF_FILL && err == ERR_OK; i++) {
        err = net_connect_begin(&out->addr, &out->fill[i]);
        if (err == ERR_OK)
            err = net_connect_finish(out->fill[i], 200);
    }
    if (err == ERR_TIMEDOUT)
        return ERR_OK;
    net_deaf_close(out);
    return err == ERR_OK ? ERR_UNSUPPORTED : err;
}

void net_deaf_close(struct net_deaf *deaf)
{
    for (unsigned i = 0; i < NET_DEAF_FILL; i++)
        net_close(deaf->fill[i]);
    net_close(deaf->listener);
}

/* True when the accepted connection is one of those that fill the backlog. */
static bool is_fill(const struct net_deaf *deaf, sock_t accepted)
{
    struct addr peer_addr;
    if (net_peer_addr(accepted, &peer_addr) != ERR_OK)
        return false;
    for (unsigned i = 0; i < NET_DEAF_FILL; i++) {
        struct addr own;
        if (deaf->fill[i] != SOCK_NONE && net_local_addr(deaf->fill[i], &own) == ERR_OK &&
            own.port == peer_addr.port)
            return true;
    }
    return false;
}

enum err net_deaf_accept(struct net_deaf *deaf, uint32_t timeout_ms, sock_t *out)
{
    uint64_t start = os_mono_ms();
    for (;;) {
        sock_t sock;
        enum err err = net_accept(deaf->listener, time_left(start, timeout_ms), &sock);
        if (err != ERR_OK)
            return err;
        if (!is_fill(deaf, sock)) {
            *out = sock;
            return ERR_OK;
        }
        net_close(sock);
    }
}

/* One call of send(); ERR_AGAIN when the system takes nothing now. */
static enum err send_some(sock_t sock, const unsigned char *data, size_t len, size_t *sent)
{
    long long took =
        send((system_sock)sock, (const char *)data, system_io_size(len), SYSTEM_SEND_FLAGS);
    if (took < 0)
        return system_error();
    *sent = (size_t)took;
    return ERR_OK;
}

enum err net_send(sock_t sock, const void *data, size_t len, uint32_t timeout_ms, size_t *sent)
{
    const unsigned char *bytes = data;
    uint64_t start = os_mono_ms();
    size_t done = 0;
    enum err err = ERR_OK;
    while (done < len) {
        size_t part = 0;
        err = send_some(sock, bytes + done, len - done, &part);
        done += part;
        if (err == ERR_AGAIN)
            err = system_wait(sock, true, time_left(start, timeout_ms)) ? ERR_OK : ERR_TIMEDOUT;
        if (err != ERR_OK)
            break;
    }
    if (sent != NULL)
        *sent = done;
    return err;
}

enum err net_send_urgent(sock_t sock, char byte)
{
    return send((system_sock)sock, &byte, 1, MSG_OOB) == 1 ? ERR_OK : system_error();
}

enum err net_send_until_full(sock_t sock, uint32_t quiet_ms, uint64_t *sent)
{
    static const unsigned char zeros[65536];
    *sent = 0;
    for (;;) {
        size_t part = 0;
        enum err err = send_some(sock, zeros, sizeof zeros, &part);
        *sent += part;
        if (err == ERR_AGAIN && !system_wait(sock, true, quiet_ms))
            return ERR_OK;
        if (err != ERR_OK && err != ERR_AGAIN)
            return err;
    }
}

enum err net_receive(sock_t sock, void *buf, size_t size, uint32_t timeout_ms, size_t *got)
{
    uint64_t start = os_mono_ms();
    for (;;) {
        long long took = recv((system_sock)sock, buf, system_io_size(size), 0);
        if (took == 0 && system_end_was_reset(sock))
            return ERR_RESET;
        if (took >= 0) {
            *got = (size_t)took;
            return ERR_OK;
        }
        enum err err = system_error();
        if (err != ERR_AGAIN)
            return err;
        if (!system_wait(sock, false, time_left(start, timeout_ms)))
            return ERR_TIMEDOUT;
    }
}

enum err net_receive_all(sock_t sock, void *buf, size_t len, uint32_t timeout_ms)
{
    unsigned char *bytes = buf;
    uint64_t start = os_mono_ms();
    while (len > 0) {
        size_t got;
        enum err err = net_receive(sock, bytes, len, time_left(start, timeout_ms), &got);
        if (err != ERR_OK)
            return err;
        if (got == 0)
            return ERR_CLOSED;
        bytes += got;
        len -= got;
    }
    return ERR_OK;
}

const char *net_end_word(enum net_end end)
{
    switch (end) {
    case NET_END_FIN: return "fin";
    case NET_END_RESET: return "reset";
    case NET_END_NONE: return "open";
    }
    return "?";
}

enum net_end net_receive_end(sock_t sock, uint32_t timeout_ms, uint64_t *bytes,
                             struct sha256 *hash)
{
    static _Thread_local unsigned char buf[65536];
    uint64_t start = os_mono_ms();
    uint64_t total = 0;
    enum net_end end = NET_END_NONE;
    for (;;) {
        size_t got = 0;
        enum err err = net_receive(sock, buf, sizeof buf, time_left(start, timeout_ms), &got);
        if (err == ERR_OK && got > 0) {
            total += got;
            if (hash != NULL)
                sha256_add(hash, buf, got);
            continue;
        }
        if (err == ERR_OK)
            end = NET_END_FIN;
        else if (err != ERR_TIMEDOUT)
            end = NET_END_RESET;
        break;
    }
    if (bytes != NULL)
        *bytes = total;
    return end;
}

bool net_wait_reset(sock_t sock, uint32_t timeout_ms)
{
    uint64_t start = os_mono_ms();
    while (!system_is_reset(sock)) {
        if (time_left(start, timeout_ms) == 0)
            return false;
        os_sleep_ms(2);
    }
    return true;
}

void net_set_buffers(sock_t sock, uint32_t send_bytes, uint32_t receive_bytes)
{
    int send_size = (int)send_bytes;
    int receive_size = (int)receive_bytes;
    if (send_size > 0)
        setsockopt((system_sock)sock, SOL_SOCKET, SO_SNDBUF, (const char *)&send_size,
                   sizeof send_size);
    if (receive_size > 0)
        setsockopt((system_sock)sock, SOL_SOCKET, SO_RCVBUF, (const char *)&receive_size,
                   sizeof receive_size);
}

void net_set_nodelay(sock_t sock)
{
    int on = 1;
    setsockopt((system_sock)sock, IPPROTO_TCP, TCP_NODELAY, (const char *)&on, sizeof on);
}

enum err net_local_addr(sock_t sock, struct addr *out)
{
    struct any_sockaddr name = {.len = sizeof name.u};
    if (getsockname((system_sock)sock, &name.u.plain, &name.len) != 0)
        return system_error();
    from_system(&name, out);
    return ERR_OK;
}

enum err net_peer_addr(sock_t sock, struct addr *out)
{
    struct any_sockaddr name = {.len = sizeof name.u};
    if (getpeername((system_sock)sock, &name.u.plain, &name.len) != 0)
        return system_error();
    from_system(&name, out);
    return ERR_OK;
}

void net_finish(sock_t sock)
{
    shutdown((system_sock)sock, SYSTEM_SHUT_SEND);
}

void net_close(sock_t sock)
{
    if (sock != SOCK_NONE)
        system_close(sock);
}

void net_reset(sock_t sock)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt((system_sock)sock, SOL_SOCKET, SO_LINGER, (const char *)&now, sizeof now);
    system_close(sock);
}
