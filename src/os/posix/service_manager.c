#include "os/service_manager.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/str.h"

#define FIRST_SOCKET 3 /* SD_LISTEN_FDS_START */

/* A whole number in the environment; 0 when there is none. */
static uint64_t read_number(const char *name)
{
    const char *text = getenv(name);
    uint64_t number = 0;
    return text != NULL && str_parse_u64(text, &number) == ERR_OK ? number : 0;
}

unsigned service_manager_take_sockets(sock_t *first)
{
    uint64_t count = read_number("LISTEN_FDS");
    bool ours = read_number("LISTEN_PID") == (uint64_t)getpid();
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    if (!ours || count > INT_MAX - FIRST_SOCKET)
        return 0;
    for (uint64_t i = 0; i < count; i++)
        if (fcntl(FIRST_SOCKET + (int)i, F_SETFD, FD_CLOEXEC) != 0)
            return 0; /* there are fewer: the variables do not mean us */
    *first = FIRST_SOCKET;
    return (unsigned)count;
}

void service_manager_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    size_t len = path == NULL ? 0 : strlen(path);
    if (len < 2 || len > sizeof addr.sun_path - 1 || (path[0] != '/' && path[0] != '@'))
        return;
    memcpy(addr.sun_path, path, len);
    if (path[0] == '@')
        addr.sun_path[0] = '\0'; /* a name outside the file system */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&addr, size);
    close(fd);
}
