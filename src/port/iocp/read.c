/* read.c - READ is an overlapped WSARecv; what is there already is received without. */
#include <limits.h>

#include "os/windows/error.h"
#include "port/iocp/iocp.h"

/* Wine takes a reset that came while nobody was receiving for the end of the stream, and so a
 * truncated stream for a whole one; it remembers the reset elsewhere. */
static bool end_is_reset(sock_t sock)
{
    return sock_peer_reset(sock);
}

bool port_reads_into_buffers(void)
{
    return true;
}

/* Bytes came, or the end of the stream. */
static enum outcome received(struct op *op, uint32_t bytes)
{
    op->bytes = bytes;
    if (bytes == 0 && op->len > 0 && end_is_reset(op->sock))
        return iocp_known(op, ERR_RESET, WSAECONNRESET);
    return iocp_known(op, ERR_OK, 0);
}

/* The socket is non-blocking, so a call without OVERLAPPED takes what is there or fails. It
 * leaves no packet, whatever the socket's notification mode. */
static enum err receive(struct port *port, sock_t sock, void *buf, uint32_t len, int flags,
                        uint32_t *got)
{
    int room = len > INT_MAX ? INT_MAX : (int)len;
    counts_add(port, COUNT_READS);
    int count = recv((SOCKET)sock, buf, room, flags);
    if (count == SOCKET_ERROR) {
        int code = WSAGetLastError();
        return code == WSAEWOULDBLOCK ? ERR_AGAIN : error_from_wsa(code);
    }
    if (count == 0 && end_is_reset(sock))
        return ERR_RESET;
    *got = (uint32_t)count;
    return ERR_OK;
}

enum err port_receive_now(struct port *port, sock_t sock, void *buf, uint32_t len,
                          uint32_t *got)
{
    return receive(port, sock, buf, len, 0, got);
}

enum err port_peek_now(struct port *port, sock_t sock, void *buf, uint32_t len, uint32_t *got)
{
    return receive(port, sock, buf, len, MSG_PEEK, got);
}

enum outcome read_start(struct port *port, struct op *op)
{
    assert(op->len == 0 || op->buf != NULL);
    bool skip = socks_find(&port->socks, op->sock)->skip;
    /* A receive without room completes when there is something to receive, takes nothing, and
     * locks no page of memory while it waits. */
    static char nowhere;
    WSABUF room = {.len = op->len, .buf = op->len == 0 ? &nowhere : (char *)op->buf};
    DWORD got = 0;
    DWORD flags = 0;
    counts_add(port, COUNT_READS);
    int rc = WSARecv((SOCKET)op->sock, &room, 1, &got, &flags, iocp_begin(op), NULL);
    int code = 0;
    switch (iocp_called(rc == 0, skip, &code)) {
    case CALL_PENDING: return OUTCOME_PENDING;
    case CALL_DONE: return received(op, got);
    case CALL_FAILED: break;
    }
    /* Here it does not mean "nothing there" but too many requests ("WSARecv function"). */
    enum err err = code == WSAEWOULDBLOCK ? ERR_NOMEM : error_from_wsa(code);
    return iocp_known(op, err, code);
}

void read_finish(struct op *op, LONG status, uint32_t bytes)
{
    enum err err = status_error(status);
    if (err == ERR_OK) {
        (void)received(op, bytes);
        return;
    }
    op->bytes = 0;
    (void)iocp_known(op, err, status);
}
