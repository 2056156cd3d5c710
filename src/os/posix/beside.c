#include "os/beside.h"

#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>

#include "os/bsd.h"
#include "os/posix/error.h"

static bool set(sock_t sock, int level, int name, int value)
{
    return setsockopt((int)sock, level, name, &value, sizeof value) == 0;
}

static bool share_port(sock_t sock, bool on)
{
    return set(sock, SOL_SOCKET, SO_REUSEPORT, on);
}

enum err beside_bind(const struct addr *addr, bool dual_stack, const sock_t others[],
                     size_t other_count, sock_t *out)
{
    struct sockaddr_storage storage;
    socklen_t len = bsd_from_addr(addr, &storage);
    sock_t sock = SOCK_NONE;
    enum err err =
        len == 0 ? ERR_INVALID : sock_open_listener((enum addr_family)addr->family, &sock);
    if (err != ERR_OK)
        return err;
    bool set_up = set(sock, SOL_SOCKET, SO_REUSEADDR, 1);
    if (addr->family == ADDR_IPV6)
        set_up = set_up && set(sock, IPPROTO_IPV6, IPV6_V6ONLY, !dual_stack);
    for (size_t i = 0; i < other_count; i++)
        set_up = set_up && share_port(others[i], true);
    if (other_count > 0)
        set_up = set_up && share_port(sock, true);
    if (!set_up || bind((int)sock, (struct sockaddr *)&storage, len) != 0) {
        err = error_last();
        close((int)sock);
        return err;
    }
    *out = sock;
    return ERR_OK;
}

enum err beside_listen(sock_t sock, int backlog)
{
    return listen((int)sock, backlog) == 0 ? ERR_OK : error_last();
}

enum err beside_listen_again(const struct addr *addr, bool dual_stack, int backlog, sock_t *out)
{
    return sock_listen(addr, dual_stack, backlog, out);
}

void beside_end(sock_t sock)
{
    (void)share_port(sock, false);
}

void beside_refuse_new(sock_t sock)
{
    /* The filter of a TCP socket sees the TCP header; its flags are byte 13. A first SYN has no
     * ACK with it. */
    enum { FLAGS = 13, SYN = 0x02, SYN_AND_ACK = 0x12, ALL = 0x7fffffff };
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, SYN_AND_ACK),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, ALL),
    };
    const struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    (void)setsockopt((int)sock, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

void beside_accepted(sock_t client)
{
    int none = 0;
    (void)setsockopt((int)client, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
}
