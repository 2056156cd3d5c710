#include "os/listening.h"

#include "os/windows/error.h"
#include "os/windows/windows_api.h"

/* No address is looked at here: see listening_addr.c. */

enum err listening_adopt(sock_t sock, int backlog)
{
    u_long non_blocking = 1;
    if (ioctlsocket((SOCKET)sock, (long)FIONBIO, &non_blocking) != 0)
        return error_last();
    DWORD in_stream = 1; /* as sock_open() has it */
    (void)setsockopt((SOCKET)sock, SOL_SOCKET, SO_OOBINLINE, (const char *)&in_stream,
                     sizeof in_stream);
    /* Of a socket that listens already the system keeps the backlog ("listen function"). */
    return listen((SOCKET)sock, SOMAXCONN_HINT(backlog)) == 0 ? ERR_OK : error_last();
}

enum err listening_copy(sock_t sock, sock_t *out)
{
    WSAPROTOCOL_INFOW info;
    if (WSADuplicateSocketW((SOCKET)sock, GetCurrentProcessId(), &info) != 0)
        return error_last();
    SOCKET copy = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info,
                             0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (copy == INVALID_SOCKET)
        return error_last();
    *out = (sock_t)copy;
    return ERR_OK;
}
