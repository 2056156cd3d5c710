#include "wrapped.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __real_send(int fd, const void *buf, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags);
int __real_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags);
int __real_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len);
int __real_epoll_ctl(int epoll_fd, int how, int fd, struct epoll_event *event);
int __wrap_epoll_ctl(int epoll_fd, int how, int fd, struct epoll_event *event);
int __real_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms);
int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms);

static struct {
    void (*act)(void);
    int fd;
} moment;
static void (*_Atomic after_look)(void);
static int accept_fails_with; /* 0: it does not */
static int epoll_ctl_fails_with;
static int connect_fails_with;
static unsigned connects_to_fail;
atomic_uint wrapped_accepts;

void wrapped_after(sock_t sock, void (*act)(void))
{
    moment.fd = (int)sock;
    moment.act = act;
}

bool wrapped_has_acted(void)
{
    return moment.act == NULL;
}

void wrapped_after_look(void (*act)(void))
{
    atomic_store(&after_look, act);
}

void wrapped_fail_accept(int code)
{
    accept_fails_with = code;
}

void wrapped_fail_epoll_ctl(int code)
{
    epoll_ctl_fails_with = code;
}

static void after(int fd, bool empty)
{
    int saved = errno;
    if (empty && moment.act != NULL && moment.fd == fd) {
        void (*act)(void) = moment.act;
        moment.act = NULL;
        act();
    }
    errno = saved;
}

ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
    ssize_t got = __real_recv(fd, buf, len, flags);
    after(fd, got < 0 && errno == EAGAIN);
    return got;
}

ssize_t __wrap_send(int fd, const void *buf, size_t len, int flags)
{
    ssize_t sent = __real_send(fd, buf, len, flags);
    after(fd, sent < 0 ? errno == EAGAIN : (size_t)sent < len);
    return sent;
}

static int take_failure(int *planned)
{
    int code = *planned;
    *planned = 0;
    return code;
}

int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    atomic_fetch_add(&wrapped_accepts, 1);
    if (accept_fails_with != 0) {
        errno = take_failure(&accept_fails_with);
        return -1;
    }
    int client = __real_accept4(fd, addr, len, flags);
    after(fd, client < 0 && errno == EAGAIN);
    return client;
}

int __wrap_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    if (connects_to_fail > 0) {
        connects_to_fail--;
        errno = connect_fails_with;
        return -1;
    }
    int rc = __real_connect(fd, addr, len);
    after(fd, rc < 0 && errno == EINPROGRESS);
    return rc;
}

void wrapped_fail_connects(int code, unsigned calls)
{
    connect_fails_with = code;
    connects_to_fail = calls;
}

int __wrap_epoll_ctl(int epoll_fd, int how, int fd, struct epoll_event *event)
{
    if (epoll_ctl_fails_with != 0) {
        errno = take_failure(&epoll_ctl_fails_with);
        return -1;
    }
    return __real_epoll_ctl(epoll_fd, how, fd, event);
}

int __wrap_epoll_wait(int epoll_fd, struct epoll_event *events, int max, int timeout_ms)
{
    int count = __real_epoll_wait(epoll_fd, events, max, timeout_ms);
    if (count == 0 && timeout_ms == 0) {
        void (*act)(void) = atomic_exchange(&after_look, NULL);
        if (act != NULL)
            act();
    }
    return count;
}
