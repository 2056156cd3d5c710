/* ops.c - what is done with operations of every kind: submit, cancel, edges. */
#include <assert.h>
#include <sys/epoll.h>

#include "port/epoll/epoll.h"

void port_submit(struct port *port, struct op *op)
{
    if (op->kind == OP_WAKE) {
        port_post(port, op);
        return;
    }
    assert(!op->in_flight && "submitted once");
    struct worker *worker = worker_of(port);
    struct record *record = record_of(port, op->sock);
    op->in_flight = true;
    op->bytes = 0;
    op->accepted = SOCK_NONE;
    count_up(port, worker, submits[op->kind]);
    switch (op->kind) {
    case OP_ACCEPT: accept_start(port, worker, record, op); break;
    case OP_CONNECT: connect_start(port, worker, record, op, record_cancels(record)); break;
    case OP_READ: read_start(port, worker, record, op); break;
    case OP_WRITE:
        assert(op->len > 0 && "something to send");
        write_run(port, worker, record, op, record_cancels(record));
        break;
    case OP_WAKE: break; /* returned above */
    }
}

void op_resume(struct port *port, struct worker *worker, struct op *op)
{
    assert(op->kind == OP_ACCEPT && "nothing else is put off");
    struct record *record = record_of(port, op->sock);
    os_mutex_lock(&record->lock);
    (void)record_take_readable(record);
    os_mutex_unlock(&record->lock);
    /* If it was cancelled meanwhile it may still take a client, but it does not wait. */
    accept_run(port, worker, record, op, native_of(op)->cancels);
}

void op_on_edge(struct port *port, struct worker *worker, uint64_t data, uint32_t events)
{
    struct record *record = record_of(port, (sock_t)(uint32_t)data);
    struct op *reader = NULL, *writer = NULL, *accept = NULL;
    bool unsure = false;

    os_mutex_lock(&record->lock);
    if (record->generation != (uint32_t)(data >> 32)) {
        os_mutex_unlock(&record->lock);
        count_up(port, worker, stale_events);
        return;
    }
    if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
        record->flags |= READABLE;
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            record->flags |= ENDED;
        if (events & EPOLLPRI)
            record->flags |= URGENT;
        accept = queue_pop(&record->accepts);
        reader = record->reader;
        record->reader = NULL;
        if (accept != NULL || (reader != NULL && reader->len > 0))
            unsure = record_take_readable(record);
    }
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        writer = record->writer;
        record->writer = NULL;
        if (writer == NULL)
            record->flags |= WRITABLE;
    }
    uint32_t cancels = record_cancels(record);
    os_mutex_unlock(&record->lock);

    /* READ first: it is the one to report a reset. Once the last of them is finished the
     * record may be another socket's, which is why nothing follows. */
    if (reader != NULL && reader->len == 0)
        worker_finish(port, worker, reader, ERR_OK, 0);
    else if (reader != NULL)
        read_run(port, worker, record, reader, unsure, cancels);
    if (accept != NULL)
        accept_run(port, worker, record, accept, cancels);
    if (writer != NULL && writer->kind == OP_CONNECT)
        connect_end(port, worker, writer, events);
    else if (writer != NULL)
        write_run(port, worker, record, writer, cancels);
}

void port_cancel(struct port *port, sock_t sock)
{
    struct worker *worker = worker_of(port);
    struct record *record = record_of(port, sock);
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && "the caller keeps the socket open");
    atomic_store_explicit(&record->cancels, record_cancels(record) + 1, memory_order_relaxed);
    struct op *reader = record->reader;
    struct op *writer = record->writer;
    struct queue accepts = record->accepts;
    record->reader = NULL;
    record->writer = NULL;
    record->accepts = (struct queue){0};
    os_mutex_unlock(&record->lock);

    if (reader != NULL)
        worker_finish(port, worker, reader, ERR_CANCELLED, 0);
    if (writer != NULL)
        worker_finish(port, worker, writer, ERR_CANCELLED, 0);
    for (struct op *op; (op = queue_pop(&accepts)) != NULL;)
        worker_finish(port, worker, op, ERR_CANCELLED, 0);
}
