/* submit.c - the way in: starting operations and asking for their end. */
#include <string.h>

#include "port/iocp/faults.h"
#include "port/iocp/iocp.h"

struct iocp_faults iocp_faults;

OVERLAPPED *iocp_begin(struct op *op)
{
    OVERLAPPED *overlapped = &native_of(op)->overlapped;
    memset(overlapped, 0, sizeof *overlapped); /* an odd hEvent would mean: no packet */
    return overlapped;
}

enum call iocp_called(bool success, bool skip, int *code)
{
    if (success && skip)
        return CALL_DONE;
    if (!success) {
        *code = WSAGetLastError();
        if (*code != WSA_IO_PENDING)
            return CALL_FAILED;
    }
    if (iocp_faults.after_start != NULL)
        iocp_faults.after_start();
    return CALL_PENDING;
}

enum outcome iocp_known(struct op *op, enum err err, int32_t raw)
{
    op->err = err;
    op->raw = raw;
    return OUTCOME_KNOWN;
}

/* From here on the operation is the port's: no field of the owner's changes. */
static void take_over(struct port *port, struct op *op, enum op_state state)
{
    assert(!op->in_flight && op->state == STATE_REST);
    op->in_flight = true;
    op->state = (uint8_t)state;
    op->bytes = 0;
    (void)iocp_known(op, ERR_OK, 0);
    counts_add(port, (enum count)(COUNT_SUBMITS + op->kind));
}

static enum outcome start(struct port *port, struct op *op)
{
    switch (op->kind) {
    case OP_ACCEPT: return accept_start(port, op);
    case OP_CONNECT: return connect_start(port, op);
    case OP_READ: return read_start(port, op);
    case OP_WRITE: return write_start(port, op);
    case OP_WAKE: break;
    }
    assert(false && "a WAKE is not started");
    return OUTCOME_KNOWN;
}

void port_submit(struct port *port, struct op *op)
{
    if (op->kind == OP_WAKE) {
        port_post(port, op);
        return;
    }
    take_over(port, op, STATE_STARTED);
    atomic_fetch_add(&socks_find(&port->socks, op->sock)->pending, 1);
    if (start(port, op) == OUTCOME_KNOWN)
        ready_deliver(port, op);
}

void port_post(struct port *port, struct op *op)
{
    assert(op->kind == OP_WAKE);
    take_over(port, op, STATE_FINISHED);
    ready_post(port, op);
}

void port_cancel(struct port *port, sock_t sock)
{
    struct sock_record *record = socks_find(&port->socks, sock);
    os_mutex_lock(&record->resend); /* see write.c */
    atomic_fetch_add(&record->cancels, 1);
    /* It only asks. ERROR_NOT_FOUND means that there is nothing to ask for: nothing is in
     * flight, or the results are on their way out already ("CancelIoEx function"). */
    (void)CancelIoEx((HANDLE)sock, NULL);
    os_mutex_unlock(&record->resend);
}

void port_step_aside(struct port *port)
{
    (void)port; /* the system runs another thread of the port when one of them blocks */
}
