/* read.c - READ is WSARecv: overlapped, or at once where only what is there is wanted. */
#include <limits.h>

#include "os/windows/error.h"
#include "port/iocp/iocp.h"

/* The socket is non-blocking, so a call without OVERLAPPED takes what is there or fails. It
 * leaves no packet, whatever the socket's notification mode. */
static enum outcome read_now(struct port *port, struct op *op)
{
    int room = op->len > INT_MAX ? INT_MAX : (int)op->len;
    counts_add(port, COUNT_READS);
    int got = recv((SOCKET)op->sock, (char *)op->buf, room, 0);
    if (got == SOCKET_ERROR) {
        int code = WSAGetLastError();
        if (code == WSAEWOULDBLOCK)
            return iocp_known(op, ERR_AGAIN, 0);
        return iocp_known(op, error_from_wsa(code), code);
    }
    op->bytes = (uint32_t)got;
    return iocp_known(op, ERR_OK, 0);
}

enum outcome read_start(struct port *port, struct op *op)
{
    assert(op->len == 0 || op->buf != NULL);
    if (op->len > 0 && op->try_only)
        return read_now(port, op);

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
    case CALL_DONE: op->bytes = got; return iocp_known(op, ERR_OK, 0);
    case CALL_FAILED: break;
    }
    /* Here it does not mean "nothing there" but too many requests ("WSARecv function"). */
    enum err err = code == WSAEWOULDBLOCK ? ERR_NOMEM : error_from_wsa(code);
    return iocp_known(op, err, code);
}

void read_finish(struct op *op, LONG status, uint32_t bytes)
{
    enum err err = status_error(status);
    op->bytes = err == ERR_OK ? bytes : 0;
    (void)iocp_known(op, err, err == ERR_OK ? 0 : status);
}
