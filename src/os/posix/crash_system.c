/* crash_system.c - what crash.c needs of the system: which thread it is in, and a way to write. */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "os/crash_private.h"
#include "os/os.h"

uint64_t os_thread_id(void)
{
    return (uint64_t)gettid();
}

intptr_t crash_handle(void *file)
{
    return fileno(file);
}

/* A pipe that is ready for writing takes at least PIPE_BUF bytes, which a line is shorter than; a
 * file is always ready. */
static void write_all(int fd, const char *bytes, size_t len)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    while (len > 0 && poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0) {
        ssize_t wrote = write(fd, bytes, len);
        if (wrote <= 0)
            return; /* there is nobody to tell */
        bytes += wrote;
        len -= (size_t)wrote;
    }
}

void crash_write_log(intptr_t handle, const char *bytes, size_t len)
{
    write_all((int)handle, bytes, len);
}

void crash_write_stderr(const char *bytes, size_t len)
{
    write_all(STDERR_FILENO, bytes, len);
}
