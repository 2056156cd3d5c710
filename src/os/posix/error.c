#include "os/posix/error.h"

#include <errno.h>

#include "os/os.h"

enum err error_from_errno(int code)
{
    switch (code) {
    case 0: return ERR_OK;

    case EAGAIN: /* is EWOULDBLOCK, too */
    case EINPROGRESS:
    case EALREADY:
    case EINTR: return ERR_AGAIN;

    case ECANCELED: return ERR_CANCELLED;

    case ECONNRESET:
    case ENETRESET:
    case EPIPE: return ERR_RESET; /* of a socket; pipes and terminals look at errno first */

    case ECONNABORTED:
    case EPROTO: return ERR_ABORTED; /* only accept gives these for TCP, see accept(2) */

    case ECONNREFUSED: return ERR_REFUSED;
    case ETIMEDOUT: return ERR_TIMEDOUT;

    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET: return ERR_UNREACHABLE;

    case EMFILE:
    case ENFILE: return ERR_NO_DESCRIPTORS;

    case ENOMEM:
    case ENOBUFS: return ERR_NOMEM;

    case EADDRINUSE: return ERR_IN_USE;
    case EADDRNOTAVAIL: return ERR_NO_ADDRESS;

    case EACCES:
    case EPERM:
    case EROFS:
    case ETXTBSY: return ERR_ACCESS;

    case ENOENT:
    case ENOTDIR:
    case ENXIO: return ERR_NOT_FOUND;

    case EEXIST:
    case ENOTEMPTY: return ERR_EXISTS;

    case ENOSPC:
    case EDQUOT:
    case EFBIG: return ERR_NO_SPACE;

    case EAFNOSUPPORT:
    case EPFNOSUPPORT:
    case EPROTONOSUPPORT:
    case ESOCKTNOSUPPORT:
    case EPROTOTYPE:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENOSYS:
    case ENOTTY: return ERR_UNSUPPORTED;

    case EINVAL:
    case EBADF:
    case EFAULT:
    case ENOTSOCK:
    case EISCONN:
    case EISDIR:
    case ELOOP: return ERR_INVALID;

    case ERANGE:
    case EOVERFLOW:
    case ENAMETOOLONG: return ERR_RANGE;

    case ENOTCONN:
    case ESHUTDOWN: return ERR_CLOSED;
    }
    return ERR_IO; /* device and file system trouble without a name of its own */
}

enum err error_last(void)
{
    enum err err = error_from_errno(errno);
    return err == ERR_OK ? ERR_IO : err;
}

enum err os_last_error(void)
{
    return error_from_errno(errno);
}
