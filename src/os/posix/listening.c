#include "os/listening.h"

#include <fcntl.h>
#include <sys/socket.h>

#include "os/posix/error.h"

/* No address is looked at here: see listening_addr.c. */

enum err listening_adopt(sock_t sock, int backlog)
{
    int fd = (int)sock;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return error_last();
    int in_stream = 1; /* as sock_open() has it */
    (void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &in_stream, sizeof in_stream);
    return listen(fd, backlog) == 0 ? ERR_OK : error_last(); /* also changes the backlog */
}

enum err listening_copy(sock_t sock, sock_t *out)
{
    int copy = fcntl((int)sock, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return error_last();
    *out = copy;
    return ERR_OK;
}
