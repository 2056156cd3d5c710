/* local_sockets.c - sockets that go over the local endpoint as SCM_RIGHTS; see unix(7). */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/local.h"
#include "os/posix/error.h"
#include "os/posix/local_private.h"

/* One byte a socket, so that the number can be checked. All of a message comes in one receive:
 * the kernel does not join messages that carry descriptors. */
#define MARK 's'

union control {
    struct cmsghdr align;
    char room[CMSG_SPACE(LOCAL_SOCKETS_MAX * sizeof(int))];
};

enum err local_send_sockets(struct local_conn *conn, const sock_t *socks, size_t count,
                            uint64_t receiver)
{
    (void)receiver; /* the connection leads to it */
    if (count == 0 || count > LOCAL_SOCKETS_MAX)
        return ERR_INVALID;
    char marks[LOCAL_SOCKETS_MAX];
    union control control;
    memset(&control, 0, sizeof control);
    memset(marks, MARK, count);
    struct iovec bytes = {.iov_base = marks, .iov_len = count};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    for (size_t i = 0; i < count; i++) {
        int fd = (int)socks[i];
        memcpy(CMSG_DATA(head) + i * sizeof fd, &fd, sizeof fd);
    }
    for (;;) {
        enum err err = local_wait(conn->fd, POLLOUT, conn->stop, WRITE_PATIENCE_MS);
        if (err != ERR_OK)
            return err;
        ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
        if (sent == (ssize_t)count)
            return ERR_OK;
        if (sent >= 0)
            return ERR_IO; /* a few bytes are never cut in two */
        if (errno == EPIPE || errno == ECONNRESET)
            return ERR_CLOSED;
        if (errno == ETOOMANYREFS)
            return ERR_NO_DESCRIPTORS; /* as many as the limit are on their way already */
        if (errno != EAGAIN && errno != EINTR)
            return error_last();
    }
}

/* Takes the descriptors out of the message; returns how many there are. */
static size_t take_descriptors(struct msghdr *message, int fds[LOCAL_SOCKETS_MAX])
{
    size_t count = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL;
         at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        size_t part = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds + count, CMSG_DATA(at), part * sizeof(int));
        count += part;
    }
    return count;
}

static enum err check(const struct msghdr *message, const char *marks, size_t got, size_t count,
                      size_t fd_count)
{
    for (size_t i = 0; i < got; i++)
        if (marks[i] != MARK)
            return ERR_INVALID;
    if ((message->msg_flags & MSG_CTRUNC) != 0 && fd_count < got)
        return ERR_NO_DESCRIPTORS; /* the kernel drops those that do not fit */
    return got == count && fd_count == count ? ERR_OK : ERR_INVALID;
}

enum err local_receive_sockets(struct local_conn *conn, sock_t *socks, size_t count,
                               uint32_t timeout_ms)
{
    if (count == 0 || count > LOCAL_SOCKETS_MAX)
        return ERR_INVALID;
    char marks[LOCAL_SOCKETS_MAX];
    union control control;
    struct iovec bytes = {.iov_base = marks, .iov_len = count};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    ssize_t got;
    do {
        enum err err = local_wait(conn->fd, POLLIN, conn->stop, timeout_ms);
        if (err != ERR_OK)
            return err;
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        got = recvmsg(conn->fd, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && (errno == EAGAIN || errno == EINTR));
    if (got < 0 && errno != ECONNRESET)
        return error_last();
    if (got <= 0)
        return ERR_CLOSED;

    int fds[LOCAL_SOCKETS_MAX];
    size_t fd_count = take_descriptors(&message, fds);
    enum err err = check(&message, marks, (size_t)got, count, fd_count);
    for (size_t i = 0; i < fd_count; i++) {
        if (err == ERR_OK)
            socks[i] = fds[i];
        else
            close(fds[i]);
    }
    return err;
}
