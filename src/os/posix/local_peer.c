/* local_peer.c - who is at the other end of a Unix socket; see SO_PEERCRED in unix(7). */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"
#include "os/local.h"
#include "os/posix/error.h"
#include "os/posix/local_private.h"

static enum err get_credentials(int fd, struct ucred *out)
{
    socklen_t len = sizeof *out;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, out, &len) != 0)
        return error_last();
    /* Without a process it is no connection that could be judged. */
    return out->uid == (uid_t)-1 ? ERR_UNSUPPORTED : ERR_OK;
}

enum err local_peer(const struct local_conn *conn, struct local_peer *out)
{
    struct ucred peer;
    enum err err = get_credentials(conn->fd, &peer);
    if (err != ERR_OK)
        return err;
    /* 0 when the process is in a namespace that is not seen from here. */
    *out = (struct local_peer){.pid = peer.pid > 0 ? (uint64_t)peer.pid : 0,
                               .same_user = peer.uid == geteuid(),
                               .admin = peer.uid == 0};
    str_format(out->user, sizeof out->user, "uid %u", (unsigned)peer.uid);
    return ERR_OK;
}

bool local_is_trusted(int fd, const char *path)
{
    struct ucred peer;
    if (get_credentials(fd, &peer) != ERR_OK)
        return false;
    if (peer.uid == 0 || peer.uid == geteuid())
        return true;
    return geteuid() == 0 && local_is_path_of(path, peer.uid);
}
