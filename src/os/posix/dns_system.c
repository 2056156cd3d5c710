/* dns_system.c - what looking up names takes of this system. */
#include <errno.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/dns_channel.h"

enum err dns_system_begin(void)
{
    return ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS ? ERR_OK : ERR_NOMEM;
}

void dns_system_end(void)
{
    ares_library_cleanup();
}

/* A file that is written anew, in place or by rename, differs in one of these. */
uint64_t dns_system_stamp(void)
{
    struct stat info;
    if (stat("/etc/resolv.conf", &info) != 0)
        return 1;
    uint64_t stamp =
        (uint64_t)info.st_mtim.tv_sec * 1000000000u + (uint64_t)info.st_mtim.tv_nsec;
    return (stamp * 31 + (uint64_t)info.st_size) * 31 + (uint64_t)info.st_ino;
}

bool dns_system_has_route(const struct sockaddr *to, socklen_t len)
{
    int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool has = connect(fd, to, len) == 0;
    close(fd);
    return has;
}

int dns_system_poll(struct pollfd sockets[], size_t count, int timeout_ms)
{
    return poll(sockets, (nfds_t)count, timeout_ms);
}

enum err dns_wake_open(struct dns_wake *wake)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return bsd_error();
    wake->sock = fd;
    return ERR_OK;
}

void dns_wake_close(struct dns_wake *wake)
{
    close(wake->sock);
}

void dns_wake_send(struct dns_wake *wake)
{
    const uint64_t one = 1;
    while (write(wake->sock, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void dns_wake_drain(struct dns_wake *wake)
{
    uint64_t count;
    while (read(wake->sock, &count, sizeof count) < 0 && errno == EINTR) {
    }
}
