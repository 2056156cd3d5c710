/* read.c - READ is an overlapped WSARecv; what is there already is received without. */
#include <limits.h>

#include "os/windows/error.h"
#include "port/iocp/iocp.h"

/* The socket is non-blocking, so a call without OVERLAPPED takes what is there or fails. It
 * leaves no packet, whatever the socket's notification mode. */
enum err port_receive_now(struct port *port, sock_t sock, void *buf, uint32_t len,
                          uint32_t *got)
{
    int room = len > INT_MAX ? INT_MAX : (int)len;
    counts_add(port, COUNT_READS);
    int count = recv((SOCKET)sock, buf, room, 0);
    if (count == SOCKET_ERROR) {
        int code = WSAGetLastError();
        return code == WSAEWOULDBLOCK ? ERR_AGAIN : error_from_wsa(code);
    }
    *got = (uint32_t)count;
    return ERR_OK;
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
