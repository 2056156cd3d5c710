/* local_sockets.c - sockets that go over the named pipe: each is described for the process that
 * is to have it ("WSADuplicateSocketW function"), which makes its own handle of the description.
 */
#include "os/local.h"
#include "os/os.h"
#include "os/windows/error.h"
#include "os/windows/windows_api.h"

enum err local_send_sockets(struct local_conn *conn, const sock_t *socks, size_t count,
                            uint64_t receiver)
{
    if (count == 0 || count > LOCAL_SOCKETS_MAX || receiver == 0 || receiver > UINT32_MAX)
        return ERR_INVALID;
    for (size_t i = 0; i < count; i++) {
        WSAPROTOCOL_INFOW info;
        if (WSADuplicateSocketW((SOCKET)socks[i], (DWORD)receiver, &info) != 0)
            return error_last();
        enum err err = local_write(conn, &info, sizeof info);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err read_all(struct local_conn *conn, void *buf, size_t size, uint64_t until_ms)
{
    unsigned char *at = buf;
    while (size > 0) {
        uint64_t now = os_mono_ms();
        uint32_t left = now < until_ms ? (uint32_t)(until_ms - now) : 0;
        size_t got;
        enum err err = local_read(conn, at, size, left, &got);
        if (err != ERR_OK)
            return err;
        at += got;
        size -= got;
    }
    return ERR_OK;
}

static enum err receive_one(struct local_conn *conn, uint64_t until_ms, sock_t *out)
{
    WSAPROTOCOL_INFOW info;
    enum err err = read_all(conn, &info, sizeof info, until_ms);
    if (err != ERR_OK)
        return err;
    if (info.iSocketType != SOCK_STREAM ||
        (info.iAddressFamily != AF_INET && info.iAddressFamily != AF_INET6))
        return ERR_INVALID;
    SOCKET sock = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info,
                             0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (sock == INVALID_SOCKET)
        return error_last();
    *out = (sock_t)sock;
    return ERR_OK;
}

enum err local_receive_sockets(struct local_conn *conn, sock_t *socks, size_t count,
                               uint32_t timeout_ms)
{
    if (count == 0 || count > LOCAL_SOCKETS_MAX)
        return ERR_INVALID;
    uint64_t until_ms = os_mono_ms() + timeout_ms;
    for (size_t i = 0; i < count; i++) {
        enum err err = receive_one(conn, until_ms, &socks[i]);
        if (err == ERR_OK)
            continue;
        while (i-- > 0)
            closesocket((SOCKET)socks[i]);
        return err;
    }
    return ERR_OK;
}
