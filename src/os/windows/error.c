#include "os/windows/error.h"

#include <errno.h>

#include "os/os.h"
#include "os/windows/windows_api.h"

enum err error_from_wsa(int code)
{
    switch (code) {
    case 0: return ERR_OK;

    case WSAEWOULDBLOCK:
    case WSAEINPROGRESS:
    case WSAEALREADY:
    case WSAEINTR:
    case ERROR_IO_PENDING:
    case ERROR_IO_INCOMPLETE: return ERR_AGAIN;

    case ERROR_OPERATION_ABORTED: return ERR_CANCELLED; /* is WSA_OPERATION_ABORTED, too */

    case WSAECONNRESET:
    case WSAENETRESET:
    case WSAECONNABORTED: /* given up by this end's stack: as final as a reset */
    case ERROR_NETNAME_DELETED:
    case ERROR_CONNECTION_ABORTED: return ERR_RESET;

    case WSAECONNREFUSED:
    case ERROR_CONNECTION_REFUSED: return ERR_REFUSED;

    case WSAETIMEDOUT:
    case ERROR_SEM_TIMEOUT:
    case WAIT_TIMEOUT: return ERR_TIMEDOUT;

    case WSAENETDOWN:
    case WSAENETUNREACH:
    case WSAEHOSTDOWN:
    case WSAEHOSTUNREACH:
    case ERROR_NETWORK_UNREACHABLE:
    case ERROR_HOST_UNREACHABLE:
    case ERROR_PORT_UNREACHABLE: return ERR_UNREACHABLE;

    case WSAEMFILE:
    case ERROR_TOO_MANY_OPEN_FILES: return ERR_NO_DESCRIPTORS;

    case WSAENOBUFS:
    case ERROR_NOT_ENOUGH_MEMORY: /* is WSA_NOT_ENOUGH_MEMORY, too */
    case ERROR_OUTOFMEMORY:
    case ERROR_NO_SYSTEM_RESOURCES:
    case ERROR_COMMITMENT_LIMIT:
    case ERROR_WORKING_SET_QUOTA:
    case ERROR_NOT_ENOUGH_QUOTA:
    case ERROR_MAX_THRDS_REACHED: return ERR_NOMEM;

    case WSAEADDRINUSE:
    case ERROR_PIPE_BUSY:
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION: return ERR_IN_USE;

    case WSAEADDRNOTAVAIL: return ERR_NO_ADDRESS;

    case WSAEACCES:
    case ERROR_ACCESS_DENIED:
    case ERROR_WRITE_PROTECT:
    case ERROR_PRIVILEGE_NOT_HELD: return ERR_ACCESS;

    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_BAD_NETPATH:
    case ERROR_BAD_NET_NAME:
    case ERROR_INVALID_DRIVE: return ERR_NOT_FOUND;

    case ERROR_FILE_EXISTS:
    case ERROR_ALREADY_EXISTS: return ERR_EXISTS;

    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL: return ERR_NO_SPACE;

    case WSAEAFNOSUPPORT:
    case WSAEPFNOSUPPORT:
    case WSAEPROTONOSUPPORT:
    case WSAESOCKTNOSUPPORT:
    case WSAEPROTOTYPE:
    case WSAENOPROTOOPT:
    case WSAEOPNOTSUPP:
    case WSAEPROVIDERFAILEDINIT:
    case ERROR_NOT_SUPPORTED:
    case ERROR_CALL_NOT_IMPLEMENTED:
    case ERROR_INVALID_FUNCTION: return ERR_UNSUPPORTED;

    case WSAEINVAL:
    case WSAEFAULT:
    case WSAENOTSOCK:
    case WSAEBADF:
    case WSAEISCONN:
    case WSAEDESTADDRREQ:
    case ERROR_INVALID_HANDLE:
    case ERROR_INVALID_PARAMETER:
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
    case ERROR_DIRECTORY:
    case ERROR_NO_UNICODE_TRANSLATION: return ERR_INVALID;

    case WSAENAMETOOLONG:
    case ERROR_FILENAME_EXCED_RANGE:
    case ERROR_INSUFFICIENT_BUFFER:
    case ERROR_BUFFER_OVERFLOW: return ERR_RANGE;

    case WSAHOST_NOT_FOUND:
    case WSATRY_AGAIN:
    case WSANO_RECOVERY:
    case WSANO_DATA: return ERR_RESOLVE;

    case WSAENOTCONN:
    case WSAESHUTDOWN:
    case WSAEDISCON:
    case ERROR_HANDLE_EOF:
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA:
    case ERROR_PIPE_NOT_CONNECTED: return ERR_CLOSED;
    }
    return ERR_IO; /* device and file system trouble without a name of its own */
}

enum err error_last(void)
{
    enum err err = error_from_wsa((int)GetLastError());
    return err == ERR_OK ? ERR_IO : err;
}

/* "bind function": another program has it with SO_EXCLUSIVEADDRUSE; and what "netsh int ipv4 show
 * excludedportrange tcp" lists. */
enum err error_last_bind(void)
{
    return GetLastError() == WSAEACCES ? ERR_RESERVED : error_last();
}

enum err os_last_error(void)
{
    switch (errno) {
    case 0: return ERR_OK;
    case ENOENT: return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS: return ERR_ACCESS;
    case EEXIST: return ERR_EXISTS;
    case EMFILE:
    case ENFILE: return ERR_NO_DESCRIPTORS;
    case ENOMEM: return ERR_NOMEM;
    case ENOSPC:
    case EFBIG: return ERR_NO_SPACE;
    case EPIPE: return ERR_CLOSED;
    case EINVAL:
    case EBADF: return ERR_INVALID;
    }
    return ERR_IO;
}
