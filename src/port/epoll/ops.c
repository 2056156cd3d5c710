#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

#include "os/bsd.h"
#include "os/posix/error.h"
#include "port/epoll/epoll.h"

/* Clients taken in a row from one listener, before others have their turn. */
enum { CLIENTS_IN_A_ROW = 16 };

static bool would_block(int code)
{
    return code == EAGAIN || code == EWOULDBLOCK;
}

/* The number of cancellations so far. Whoever may call this outside the lock holds an
 * operation that is in flight, and compares it under the lock later. */
static uint32_t cancels_of(const struct record *record)
{
    return atomic_load_explicit(&record->cancels, memory_order_relaxed);
}

static void add_flags(struct record *record, uint8_t flags)
{
    os_mutex_lock(&record->lock);
    record->flags |= flags;
    os_mutex_unlock(&record->lock);
}

/* Takes READABLE away before a receive. With the lock held. True when a short receive would
 * not mean that nothing is left. */
static bool take_readable(struct record *record)
{
    record->flags &= (uint8_t)~READABLE;
    return (record->flags & (ENDED | URGENT)) != 0;
}

/* What registering with epoll can fail of: the user's limit of watches, or memory. */
static enum err watch_error(int code)
{
    return code == ENOSPC ? ERR_NOMEM : error_from_errno(code);
}

/* ---- READ ---- */

/* Parks a READ. With the lock held, which is released. */
static void park_read(struct port *port, struct worker *worker, struct record *record,
                      struct op *op)
{
    assert(record->reader == NULL && "one READ is in flight");
    int code = record_watch(port, record, op->sock, false);
    if (code == 0)
        record->reader = op;
    os_mutex_unlock(&record->lock);
    if (code != 0)
        worker_finish(port, worker, op, watch_error(code), code);
}

/* The end of what can be received: 0 bytes, or an error. Gives the errno to report, 0 for FIN. */
static int end_of_stream(struct record *record, int code)
{
    /* A send that failed may have taken the reset away from us; then FIN would be a lie. */
    if (code == ECONNRESET)
        atomic_store_explicit(&record->reset, true, memory_order_relaxed);
    else if (code == 0 && atomic_load_explicit(&record->reset, memory_order_relaxed))
        code = ECONNRESET;
    add_flags(record, READABLE | ENDED); /* the next READ finds the same and does not wait */
    return code;
}

static ssize_t receive(struct port *port, struct worker *worker, sock_t sock, void *buf,
                       uint32_t len)
{
    for (;;) {
        ssize_t got = recv((int)sock, buf, len, 0);
        count_up(port, worker, reads);
        if (got >= 0 || errno != EINTR)
            return got;
    }
}

/* Receives for a READ with a length. READABLE was taken away; `unsure` is what
 * take_readable() said, `cancels` was noted then. */
static void run_read(struct port *port, struct worker *worker, struct record *record,
                     struct op *op, bool unsure, uint32_t cancels)
{
    for (;;) {
        ssize_t got = receive(port, worker, op->sock, op->buf, op->len);
        int code = got < 0 ? errno : 0;
        if (got > 0) {
            if ((size_t)got == op->len || unsure)
                add_flags(record, READABLE);
            op->bytes = (uint32_t)got;
            worker_finish(port, worker, op, ERR_OK, 0);
            return;
        }
        if (!would_block(code)) {
            code = end_of_stream(record, code);
            worker_finish(port, worker, op, error_from_errno(code), code);
            return;
        }

        os_mutex_lock(&record->lock);
        bool cancelled = cancels_of(record) != cancels;
        if (!cancelled && (record->flags & READABLE)) { /* an edge came meanwhile */
            unsure = take_readable(record);
            os_mutex_unlock(&record->lock);
            continue;
        }
        record->flags &= (uint8_t) ~(ENDED | URGENT); /* it is past that: there is nothing */
        if (!cancelled) {
            park_read(port, worker, record, op);
            return;
        }
        os_mutex_unlock(&record->lock);
        worker_finish(port, worker, op, ERR_CANCELLED, 0);
        return;
    }
}

static void start_read(struct port *port, struct worker *worker, struct record *record,
                       struct op *op)
{
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && "attached");
    bool readable = (record->flags & READABLE) != 0;
    if (op->len == 0) {
        if (!readable) {
            park_read(port, worker, record, op);
            return;
        }
        os_mutex_unlock(&record->lock);
        worker_finish(port, worker, op, ERR_OK, 0);
        return;
    }

    /* Without edges the bit says nothing. */
    if (readable || !(record->flags & WATCHED)) {
        bool unsure = take_readable(record);
        uint32_t cancels = cancels_of(record);
        os_mutex_unlock(&record->lock);
        run_read(port, worker, record, op, unsure, cancels);
    } else {
        park_read(port, worker, record, op);
    }
}

enum err port_receive_now(struct port *port, sock_t sock, void *buf, uint32_t len,
                          uint32_t *got)
{
    struct worker *worker = worker_of(port);
    struct record *record = record_of(port, sock);
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && record->reader == NULL && "no READ is in flight");
    bool maybe = (record->flags & READABLE) || !(record->flags & WATCHED);
    bool unsure = take_readable(record);
    os_mutex_unlock(&record->lock);
    if (!maybe)
        return ERR_AGAIN;

    ssize_t count = receive(port, worker, sock, buf, len);
    int code = count < 0 ? errno : 0;
    if (count > 0) {
        if ((size_t)count == len || unsure)
            add_flags(record, READABLE);
        *got = (uint32_t)count;
        return ERR_OK;
    }
    /* An edge that came meanwhile has set READABLE again, and the next READ does not wait. */
    if (would_block(code))
        return ERR_AGAIN;
    *got = 0;
    return error_from_errno(end_of_stream(record, code));
}

/* ---- WRITE ---- */

/* Bytes taken, or -1 with errno. */
static ssize_t transmit(struct port *port, struct worker *worker, sock_t sock, const void *buf,
                        uint32_t len)
{
    for (;;) {
        ssize_t sent = send((int)sock, buf, len, MSG_NOSIGNAL);
        count_up(port, worker, writes);
        if (sent >= 0)
            return sent;
        if (errno == ECONNRESET || errno == EPIPE)
            atomic_store_explicit(&record_of(port, sock)->reset, true, memory_order_relaxed);
        if (errno != EINTR)
            return -1;
    }
}

enum err port_send_now(struct port *port, sock_t sock, const void *buf, uint32_t len,
                       uint32_t *sent)
{
    ssize_t count = transmit(port, worker_of(port), sock, buf, len);
    *sent = count > 0 ? (uint32_t)count : 0;
    if (count >= 0 || would_block(errno))
        return ERR_OK;
    return error_from_errno(errno);
}

/* Sends what is left of a WRITE. A send that takes less than all has filled the buffer and set
 * the kernel to report when there is room again, just as one that says EAGAIN; it is not
 * repeated only to hear that. */
static void run_write(struct port *port, struct worker *worker, struct record *record,
                      struct op *op, uint32_t cancels)
{
    for (;;) {
        ssize_t sent =
            transmit(port, worker, op->sock, op->buf + op->bytes, op->len - op->bytes);
        int code = sent < 0 ? errno : 0;
        if (sent > 0)
            op->bytes += (uint32_t)sent;
        if (op->bytes == op->len) {
            worker_finish(port, worker, op, ERR_OK, 0);
            return;
        }
        if (code != 0 && !would_block(code)) {
            worker_finish(port, worker, op, error_from_errno(code), code);
            return;
        }

        os_mutex_lock(&record->lock);
        if (cancels_of(record) != cancels) {
            os_mutex_unlock(&record->lock);
            worker_finish(port, worker, op, ERR_CANCELLED, 0);
            return;
        }
        if (record->flags & WRITABLE) { /* an edge came meanwhile, or earlier */
            record->flags &= (uint8_t)~WRITABLE;
            os_mutex_unlock(&record->lock);
            continue;
        }
        assert(record->writer == NULL && "one WRITE or CONNECT is in flight");
        code = record_watch(port, record, op->sock, true);
        if (code == 0)
            record->writer = op;
        os_mutex_unlock(&record->lock);
        if (code != 0)
            worker_finish(port, worker, op, watch_error(code), code);
        return;
    }
}

/* ---- CONNECT ---- */

static enum err connect_error(int code)
{
    switch (code) {
    case EADDRNOTAVAIL:               /* none is free for this source and destination */
    case EAGAIN: return ERR_NO_PORTS; /* see connect(2) */
    default: return error_from_errno(code);
    }
}

static void start_connect(struct port *port, struct worker *worker, struct record *record,
                          struct op *op, uint32_t cancels)
{
    struct sockaddr_storage to;
    socklen_t len = bsd_from_addr(&op->addr, &to);
    int code = 0;
    if (len == 0)
        code = EAFNOSUPPORT;
    else if (connect((int)op->sock, (struct sockaddr *)&to, len) != 0)
        code = errno;
    if (code != EINPROGRESS && code != EINTR) { /* interrupted it goes on, see connect(2) */
        worker_finish(port, worker, op, connect_error(code), code);
        return;
    }

    /* Only now: epoll reports a socket that is not connecting as hung up. */
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && record->writer == NULL);
    enum err err = ERR_OK;
    code = 0;
    if (cancels_of(record) != cancels) {
        err = ERR_CANCELLED;
    } else {
        code = record_watch(port, record, op->sock, true);
        if (code == 0)
            record->writer = op;
        else
            err = watch_error(code);
    }
    os_mutex_unlock(&record->lock);
    if (err != ERR_OK)
        worker_finish(port, worker, op, err, code);
}

/* An edge came for a CONNECT: it stands, or failed. */
static void end_connect(struct port *port, struct worker *worker, struct op *op,
                        uint32_t events)
{
    int code = 0;
    socklen_t len = sizeof code;
    if ((events & (EPOLLERR | EPOLLHUP)) &&
        getsockopt((int)op->sock, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
        code = errno;
    worker_finish(port, worker, op, connect_error(code), code);
}

/* ---- ACCEPT ---- */

/* The first group is of the client, not of the listener: accept(2) asks to treat what is
 * pending on the new connection as a reason to try again. */
static enum err accept_error(int code)
{
    switch (code) {
    case ECONNABORTED:
    case ECONNRESET:
    case EPROTO:
    case EPERM: /* a firewall's doing */
    case EACCES:
    case ETIMEDOUT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP: return ERR_ABORTED;
    default: return error_from_errno(code);
    }
}

/* Takes clients, for this ACCEPT and, while they come, for the parked ones. READABLE was taken
 * away, `cancels` was noted then. */
static void run_accepts(struct port *port, struct worker *worker, struct record *record,
                        struct op *op, uint32_t cancels)
{
    for (int taken = 0; op != NULL;) {
        if (taken == CLIENTS_IN_A_ROW) {
            native_of(op)->cancels = cancels;
            worker_put_off(port, worker, op);
            return;
        }
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        int fd = accept4((int)op->sock, (struct sockaddr *)&from, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        int code = fd < 0 ? errno : 0;
        if (code == EINTR)
            continue;

        os_mutex_lock(&record->lock);
        if (!would_block(code)) {
            enum err err = accept_error(code);
            struct op *done = op;
            op = NULL;
            /* There may be more. After a lack of something there is: the client is still in
             * the backlog, and the next ACCEPT that is submitted tries at once. */
            record->flags |= READABLE;
            if ((err == ERR_OK || err == ERR_ABORTED) && record->accepts.head != NULL) {
                op = queue_pop(&record->accepts);
                (void)take_readable(record);
                cancels = cancels_of(record);
            }
            os_mutex_unlock(&record->lock);
            taken++;
            if (err == ERR_OK) {
                done->accepted = fd;
                if (bsd_to_addr(&from, len, &done->addr) != ERR_OK)
                    done->addr = (struct addr){0}; /* no address is known, a client is */
            }
            worker_finish(port, worker, done, err, code);
        } else if (cancels_of(record) != cancels) {
            os_mutex_unlock(&record->lock);
            worker_finish(port, worker, op, ERR_CANCELLED, 0);
            return;
        } else if (record->flags & READABLE) { /* an edge came meanwhile */
            (void)take_readable(record);
            os_mutex_unlock(&record->lock);
        } else {
            queue_push_front(&record->accepts, op);
            os_mutex_unlock(&record->lock);
            return;
        }
    }
}

static void start_accept(struct port *port, struct worker *worker, struct record *record,
                         struct op *op)
{
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && "attached");
    if (record->flags & READABLE) {
        (void)take_readable(record);
        uint32_t cancels = cancels_of(record);
        os_mutex_unlock(&record->lock);
        run_accepts(port, worker, record, op, cancels);
        return;
    }
    /* Clients that wait already come as an edge. */
    int code = record_watch(port, record, op->sock, false);
    if (code == 0)
        queue_push(&record->accepts, op);
    os_mutex_unlock(&record->lock);
    if (code != 0)
        worker_finish(port, worker, op, watch_error(code), code);
}

/* ---- all kinds ---- */

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
    case OP_ACCEPT: start_accept(port, worker, record, op); break;
    case OP_CONNECT: start_connect(port, worker, record, op, cancels_of(record)); break;
    case OP_READ: start_read(port, worker, record, op); break;
    case OP_WRITE:
        assert(op->len > 0 && "something to send");
        run_write(port, worker, record, op, cancels_of(record));
        break;
    case OP_WAKE: break; /* returned above */
    }
}

void op_resume(struct port *port, struct worker *worker, struct op *op)
{
    assert(op->kind == OP_ACCEPT && "nothing else is put off");
    struct record *record = record_of(port, op->sock);
    os_mutex_lock(&record->lock);
    (void)take_readable(record);
    os_mutex_unlock(&record->lock);
    /* If it was cancelled meanwhile it may still take a client, but it does not wait. */
    run_accepts(port, worker, record, op, native_of(op)->cancels);
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
            unsure = take_readable(record);
    }
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        writer = record->writer;
        record->writer = NULL;
        if (writer == NULL)
            record->flags |= WRITABLE;
    }
    uint32_t cancels = cancels_of(record);
    os_mutex_unlock(&record->lock);

    /* READ first: it is the one to report a reset. Once the last of them is finished the
     * record may be another socket's, which is why nothing follows. */
    if (reader != NULL && reader->len == 0)
        worker_finish(port, worker, reader, ERR_OK, 0);
    else if (reader != NULL)
        run_read(port, worker, record, reader, unsure, cancels);
    if (accept != NULL)
        run_accepts(port, worker, record, accept, cancels);
    if (writer != NULL && writer->kind == OP_CONNECT)
        end_connect(port, worker, writer, events);
    else if (writer != NULL)
        run_write(port, worker, record, writer, cancels);
}

void port_cancel(struct port *port, sock_t sock)
{
    struct worker *worker = worker_of(port);
    struct record *record = record_of(port, sock);
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && "the caller keeps the socket open");
    atomic_store_explicit(&record->cancels, cancels_of(record) + 1, memory_order_relaxed);
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
