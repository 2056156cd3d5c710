/* worker.c - a worker's ready list, and the inbox of all workers. Calls nothing else of the
 * backend. */
#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "os/posix/error.h"
#include "port/epoll/epoll.h"

enum { INBOX_SHARE = 64 }; /* what one worker takes at a time */

static _Thread_local struct worker *self;

struct worker *worker_of(const struct port *port)
{
    return self != NULL && self->port == port ? self : NULL;
}

void worker_bind(struct worker *worker)
{
    assert((self == NULL || worker == NULL) && "a thread works for one port");
    self = worker;
}

enum err watch_counter(int epoll_fd, int fd, uint64_t data)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = data};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return errno == ENOSPC ? ERR_NOMEM : error_last();
    return ERR_OK;
}

/* ---- the inbox ----
 * Whenever it is not empty, an event of the event_fd is on its way to some worker, or a worker
 * that got the event is about to read the inbox. For that, a thread that fills an empty inbox
 * writes to the event_fd, and a worker that takes a share and leaves the rest writes again. Many
 * writes may become one event; that is enough, since the worker reads the inbox after it. */

void wake_one(int fd)
{
    uint64_t one = 1;
    ssize_t wrote = write(fd, &one, sizeof one);
    assert(wrote == sizeof one && "the counter cannot overflow in a lifetime");
    (void)wrote;
}

void inbox_splice(struct port *port, struct queue *from)
{
    if (from->head == NULL)
        return;
    os_mutex_lock(&port->lock);
    bool was_empty = port->inbox.head == NULL;
    queue_splice(&port->inbox, from);
    os_mutex_unlock(&port->lock);
    if (was_empty)
        wake_one(port->event_fd);
}

static void inbox_push(struct port *port, struct op *op)
{
    struct queue queue = {0};
    queue_push(&queue, op);
    inbox_splice(port, &queue);
}

void inbox_take(struct port *port, struct worker *worker)
{
    os_mutex_lock(&port->lock);
    for (int i = 0; i < INBOX_SHARE; i++) {
        struct op *op = queue_pop(&port->inbox);
        if (op == NULL)
            break;
        queue_push(&worker->ready, op);
        worker->ready_count++;
    }
    bool more = port->inbox.head != NULL;
    os_mutex_unlock(&port->lock);
    if (more)
        wake_one(port->event_fd);
}

static void queue_result(struct port *port, struct worker *worker, struct op *op)
{
    if (worker == NULL) {
        inbox_push(port, op);
        return;
    }
    queue_push(&worker->ready, op);
    worker->ready_count++;
}

void worker_finish(struct port *port, struct worker *worker, struct op *op, enum err err,
                   int code)
{
    op->err = err;
    op->raw = code;
    native_of(op)->put_off = false;
    queue_result(port, worker, op);
}

void worker_put_off(struct port *port, struct worker *worker, struct op *op)
{
    native_of(op)->put_off = true;
    queue_result(port, worker, op);
}

void port_post(struct port *port, struct op *op)
{
    assert(op->kind == OP_WAKE && !op->in_flight);
    op->in_flight = true;
    op->bytes = 0;
    op->err = ERR_OK;
    op->raw = 0;
    native_of(op)->put_off = false;
    struct worker *worker = worker_of(port);
    count_up(port, worker, submits[OP_WAKE]);
    inbox_push(port, op); /* not on the ready list: any worker may have it */
}
