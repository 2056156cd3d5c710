/* write.c - WRITE is WSASend, again for the rest when a send was cut short.
 *
 * An overlapped send completes when the provider has taken all of it, so on Windows the rest is
 * hardly ever needed. Wine completes a send that waits with what has been taken so far, perhaps
 * nothing, when the other side finishes or the socket is polled after that. When it is needed,
 * the operation is started again in the middle of its life, and a port_cancel() that came between
 * the two starts would have found nothing to cancel. Therefore the second start and port_cancel()
 * exclude each other by the lock of the socket's record, and a count of cancels taken at the
 * first start tells the second that there was one. While the operation is in flight the count
 * lies in op->raw, which has no other use until the result.
 */
#include <limits.h>

#include "os/windows/error.h"
#include "port/iocp/faults.h"
#include "port/iocp/iocp.h"
#include "port/move.h"

enum part {
    PART_PENDING, /* the system has it: not ours any more */
    PART_TAKEN,   /* taken, but it was not the last */
    PART_LAST     /* the result is known */
};

/* Adds what a completed send has moved. One that waited may have moved nothing and is started
 * again; one that moved nothing `at_once` would do so for ever. */
static enum part account(struct port *port, struct op *op, uint32_t sent, bool at_once)
{
    uint32_t left = op->len - op->bytes;
    assert(sent <= left);
    op->bytes += sent;
    if (sent == left) {
        (void)iocp_known(op, ERR_OK, 0);
        return PART_LAST;
    }
    if (sent == 0 && at_once) {
        (void)iocp_known(op, ERR_IO, 0);
        return PART_LAST;
    }
    counts_add(port, COUNT_SHORT_WRITES);
    return PART_TAKEN;
}

static enum part send_part(struct port *port, struct op *op, bool skip)
{
    uint32_t size = op->len - op->bytes;
    if (iocp_faults.send_at_most != 0 && size > iocp_faults.send_at_most)
        size = iocp_faults.send_at_most;
    WSABUF rest = {.len = size, .buf = (char *)op->buf + op->bytes};
    DWORD sent = 0;
    counts_add(port, COUNT_WRITES);
    int rc = WSASend((SOCKET)op->sock, &rest, 1, &sent, 0, iocp_begin(op), NULL);
    int code = 0;
    switch (iocp_called(rc == 0, skip, &code)) {
    case CALL_PENDING: return PART_PENDING;
    case CALL_DONE: return account(port, op, sent, true);
    case CALL_FAILED: break;
    }
    /* Here it does not mean "no room" but too many requests ("WSASend function"). */
    enum err err = code == WSAEWOULDBLOCK ? ERR_NOMEM : error_from_wsa(code);
    (void)iocp_known(op, err, code);
    return PART_LAST;
}

static enum outcome send_rest(struct port *port, struct op *op, struct sock_record *record)
{
    bool skip = record->skip;
    enum part part = PART_TAKEN;
    while (part == PART_TAKEN) {
        os_mutex_lock(&record->resend);
        if (atomic_load(&record->cancels) != (uint32_t)op->raw) {
            (void)iocp_known(op, ERR_CANCELLED, 0);
            part = PART_LAST;
        } else {
            part = send_part(port, op, skip);
        }
        os_mutex_unlock(&record->resend);
    }
    return part == PART_PENDING ? OUTCOME_PENDING : OUTCOME_KNOWN;
}

enum outcome write_start(struct port *port, struct op *op)
{
    assert(op->len > 0 && op->buf != NULL);
    struct sock_record *record = socks_find(&port->socks, op->sock);
    op->raw = (int32_t)atomic_load(&record->cancels);
    switch (send_part(port, op, record->skip)) {
    case PART_PENDING: return OUTCOME_PENDING;
    case PART_TAKEN: return send_rest(port, op, record);
    case PART_LAST: break;
    }
    return OUTCOME_KNOWN;
}

enum outcome write_finish(struct port *port, struct op *op, LONG status, uint32_t bytes)
{
    enum err err = status_error(status);
    if (err != ERR_OK) {
        /* A cancelled send may have moved a part; where the system tells, it counts. */
        op->bytes += bytes <= op->len - op->bytes ? bytes : 0;
        return iocp_known(op, err, status);
    }
    if (account(port, op, bytes, false) == PART_LAST)
        return OUTCOME_KNOWN;
    return send_rest(port, op, socks_find(&port->socks, op->sock));
}

/* The socket is non-blocking: a send without OVERLAPPED takes what there is room for. */
enum err port_send_now(struct port *port, sock_t sock, const void *buf, uint32_t len,
                       uint32_t *sent)
{
    uint32_t size = len > INT_MAX ? INT_MAX : len;
    if (iocp_faults.send_at_most != 0 && size > iocp_faults.send_at_most)
        size = iocp_faults.send_at_most;
    counts_add(port, COUNT_WRITES);
    int count = send((SOCKET)sock, buf, (int)size, 0);
    *sent = count == SOCKET_ERROR ? 0 : (uint32_t)count;
    if (count != SOCKET_ERROR)
        return ERR_OK;
    int code = WSAGetLastError();
    /* Without room, or without memory for it right now, the WRITE that follows waits. */
    return code == WSAEWOULDBLOCK || code == WSAENOBUFS ? ERR_OK : error_from_wsa(code);
}

enum err port_move_now(struct port *port, sock_t from, sock_t to, unsigned char *buf,
                       uint32_t len, struct port_move *move)
{
    return port_move_by_copy(port, from, to, buf, len, move);
}
