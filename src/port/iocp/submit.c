/* submit.c - the way in: starting operations and asking for their end. */
#include "port/iocp/iocp.h"

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
