#include "os/local.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"
#include "os/os.h"
#include "os/posix/error.h"
#include "os/posix/local_private.h"

enum { BACKLOG = 128 }; /* clients that come at once */

struct local_listener {
    int fd;
    int stop; /* eventfd; readable for ever once stopped */
    struct sockaddr_un addr;
    dev_t device; /* with inode: the file that is ours to remove */
    ino_t inode;
};

enum err local_address(const char *path, struct sockaddr_un *addr)
{
    memset(addr, 0, sizeof *addr);
    addr->sun_family = AF_UNIX;
    size_t len = strlen(path);
    if (len == 0)
        return ERR_INVALID;
    if (len >= sizeof addr->sun_path)
        return ERR_RANGE;
    memcpy(addr->sun_path, path, len + 1);
    return ERR_OK;
}

/* ---- listen ---- */

enum err local_open_socket(int *out)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return error_last();
    *out = fd;
    return ERR_OK;
}

/* Removes the socket of a process that is gone. ERR_IN_USE: its owner lives; ERR_EXISTS: the
 * file is something else. */
static enum err remove_stale(const struct sockaddr_un *addr)
{
    struct stat stat;
    if (lstat(addr->sun_path, &stat) != 0)
        return errno == ENOENT ? ERR_OK : error_last();
    if (!S_ISSOCK(stat.st_mode))
        return ERR_EXISTS;
    int probe = -1;
    enum err err = local_open_socket(&probe);
    if (err != ERR_OK)
        return err;
    int failed = connect(probe, (const struct sockaddr *)addr, sizeof *addr);
    int code = failed ? errno : 0;
    close(probe);
    if (code == 0 || code == EAGAIN) /* EAGAIN: alive, with a full backlog */
        return ERR_IN_USE;
    if (code != ECONNREFUSED && code != ENOENT)
        return error_from_errno(code);
    return unlink(addr->sun_path) == 0 || errno == ENOENT ? ERR_OK : error_last();
}

static enum err bind_socket(struct local_listener *listener)
{
    const struct sockaddr *addr = (const struct sockaddr *)&listener->addr;
    if (bind(listener->fd, addr, sizeof listener->addr) != 0) {
        if (errno != EADDRINUSE)
            return error_last();
        enum err err = remove_stale(&listener->addr);
        if (err != ERR_OK)
            return err;
        if (bind(listener->fd, addr, sizeof listener->addr) != 0)
            return error_last();
    }
    /* Nobody can connect before listen(), so the mode is right in time whatever the umask. */
    struct stat stat;
    if (chmod(listener->addr.sun_path, 0600) != 0 ||
        lstat(listener->addr.sun_path, &stat) != 0 || listen(listener->fd, BACKLOG) != 0) {
        enum err err = error_last();
        unlink(listener->addr.sun_path);
        return err;
    }
    listener->device = stat.st_dev;
    listener->inode = stat.st_ino;
    return ERR_OK;
}

enum err local_listen(const char *path, struct local_listener **out)
{
    struct local_listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL)
        return ERR_NOMEM;
    enum err err = local_address(path, &listener->addr);
    if (err != ERR_OK)
        goto free_listener;
    listener->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (listener->stop < 0) {
        err = error_last();
        goto free_listener;
    }
    err = local_open_socket(&listener->fd);
    if (err != ERR_OK)
        goto close_stop;
    int directory;
    err = local_open_directory(path, &directory);
    if (err != ERR_OK)
        goto close_fd;
    err = bind_socket(listener);
    close(directory); /* and unlocks it */
    if (err != ERR_OK)
        goto close_fd;
    *out = listener;
    return ERR_OK;

close_fd:
    close(listener->fd);
close_stop:
    close(listener->stop);
free_listener:
    free(listener);
    return err;
}

static void set_stop(int stop)
{
    uint64_t one = 1;
    (void)!write(stop, &one, sizeof one); /* fails only when it is far from zero already */
}

enum err local_wait(int fd, short events, int stop, uint32_t timeout_ms)
{
    uint64_t end = os_mono_ms() + timeout_ms;
    for (;;) {
        int left = -1;
        if (timeout_ms != UINT32_MAX) {
            uint64_t now = os_mono_ms();
            uint64_t rest = now < end ? end - now : 0;
            left = rest > INT32_MAX ? INT32_MAX : (int)rest;
        }
        struct pollfd fds[2] = {{.fd = stop, .events = POLLIN}, {.fd = fd, .events = events}};
        int ready = poll(fds, 2, left);
        if (ready < 0 && errno != EINTR)
            return error_last();
        if (ready > 0)
            return fds[0].revents != 0 ? ERR_CANCELLED : ERR_OK;
        if (left == 0)
            return ERR_TIMEDOUT;
    }
}

static enum err make_conn(int fd, struct local_conn **out)
{
    struct local_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return ERR_NOMEM;
    conn->fd = fd;
    conn->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (conn->stop < 0) {
        enum err err = error_last();
        free(conn);
        return err;
    }
    *out = conn;
    return ERR_OK;
}

static void free_conn(struct local_conn *conn)
{
    close(conn->stop);
    free(conn);
}

/* What the client needs is there before it is accepted, so that it waits while something is
 * lacking. */
enum err local_accept(struct local_listener *listener, struct local_conn **out)
{
    for (;;) {
        struct local_conn *conn;
        enum err err = local_wait(listener->fd, POLLIN, listener->stop, UINT32_MAX);
        if (err == ERR_OK)
            err = make_conn(-1, &conn);
        if (err != ERR_OK)
            return err;
        conn->fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (conn->fd >= 0) {
            *out = conn;
            return ERR_OK;
        }
        int code = errno;
        free_conn(conn);
        if (code != EAGAIN && code != EINTR && code != ECONNABORTED)
            return error_from_errno(code);
    }
}

void local_listener_stop(struct local_listener *listener)
{
    set_stop(listener->stop);
}

void local_listener_close(struct local_listener *listener)
{
    /* Another may have replaced the file, when someone removed ours. */
    struct stat stat;
    if (lstat(listener->addr.sun_path, &stat) == 0 && stat.st_dev == listener->device &&
        stat.st_ino == listener->inode)
        unlink(listener->addr.sun_path);
    close(listener->fd);
    close(listener->stop);
    free(listener);
}

/* ---- connections ---- */

enum err local_connect(const char *path, struct local_conn **out)
{
    struct sockaddr_un addr;
    enum err err = local_address(path, &addr);
    if (err != ERR_OK)
        return err;
    int fd = -1;
    err = local_open_socket(&fd);
    if (err != ERR_OK)
        return err;
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        /* A file without a process behind it is as good as none. */
        err = errno == ECONNREFUSED ? ERR_NOT_FOUND : error_last();
        goto close_fd;
    }
    if (!local_is_trusted(fd, path)) {
        err = ERR_ACCESS;
        goto close_fd;
    }
    err = make_conn(fd, out);
    if (err == ERR_OK)
        return ERR_OK;

close_fd:
    close(fd);
    return err;
}

enum err local_read(struct local_conn *conn, void *buf, size_t size, uint32_t timeout_ms,
                    size_t *got)
{
    for (;;) {
        enum err err = local_wait(conn->fd, POLLIN, conn->stop, timeout_ms);
        if (err != ERR_OK)
            return err;
        ssize_t len = recv(conn->fd, buf, size, 0);
        if (len > 0) {
            *got = (size_t)len;
            return ERR_OK;
        }
        if (len == 0 || errno == ECONNRESET)
            return ERR_CLOSED;
        if (errno != EAGAIN && errno != EINTR)
            return error_last();
    }
}

enum err local_write(struct local_conn *conn, const void *buf, size_t len)
{
    const char *bytes = buf;
    size_t done = 0;
    struct pollfd stop = {.fd = conn->stop, .events = POLLIN};
    while (done < len) {
        if (poll(&stop, 1, 0) == 1)
            return ERR_CANCELLED;
        ssize_t sent = send(conn->fd, bytes + done, len - done, MSG_NOSIGNAL);
        if (sent >= 0) {
            done += (size_t)sent;
        } else if (errno == EAGAIN) {
            enum err err = local_wait(conn->fd, POLLOUT, conn->stop, WRITE_PATIENCE_MS);
            if (err != ERR_OK)
                return err;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            return ERR_CLOSED;
        } else if (errno != EINTR) {
            return error_last();
        }
    }
    return ERR_OK;
}

void local_conn_stop(struct local_conn *conn)
{
    set_stop(conn->stop);
}

void local_conn_close(struct local_conn *conn)
{
    close(conn->fd);
    close(conn->stop);
    free(conn);
}
