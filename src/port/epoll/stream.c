/* stream.c - READ and WRITE, and what goes at once without them. */
#include <assert.h>
#include <errno.h>

#include "os/bsd.h"
#include "os/posix/error.h"
#include "port/epoll/epoll.h"

static void add_flags(struct record *record, uint8_t flags)
{
    os_mutex_lock(&record->lock);
    record->flags |= flags;
    os_mutex_unlock(&record->lock);
}

/* A receive came up empty and no edge has come since: whatever made it doubtful whether a short
 * one is the last is behind us. With the lock held. */
static void settle(struct record *record)
{
    record->flags &= (uint8_t) ~(ENDED | URGENT);
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
        worker_finish(port, worker, op, record_watch_error(code), code);
}

int end_of_stream(struct record *record, int code)
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
                       uint32_t len, int flags)
{
    for (;;) {
        ssize_t got = recv((int)sock, buf, len, flags);
        count_up(port, worker, reads);
        if (got >= 0 || errno != EINTR)
            return got;
    }
}

/* Receives for a READ with a length. READABLE was taken away; `unsure` is what
 * record_take_readable() said, `cancels` was noted then. */
void read_run(struct port *port, struct worker *worker, struct record *record, struct op *op,
              bool unsure, uint32_t cancels)
{
    for (;;) {
        ssize_t got = receive(port, worker, op->sock, op->buf, op->len, 0);
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
        bool cancelled = record_cancels(record) != cancels;
        if (!cancelled && (record->flags & READABLE)) { /* an edge came meanwhile */
            unsure = record_take_readable(record);
            os_mutex_unlock(&record->lock);
            continue;
        }
        settle(record);
        if (!cancelled) {
            park_read(port, worker, record, op);
            return;
        }
        os_mutex_unlock(&record->lock);
        worker_finish(port, worker, op, ERR_CANCELLED, 0);
        return;
    }
}

void read_start(struct port *port, struct worker *worker, struct record *record, struct op *op)
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
        bool unsure = record_take_readable(record);
        uint32_t cancels = record_cancels(record);
        os_mutex_unlock(&record->lock);
        read_run(port, worker, record, op, unsure, cancels);
    } else {
        park_read(port, worker, record, op);
    }
}

/* The kernel says that bytes are there; who wants them calls. */
bool port_reads_into_buffers(void)
{
    return false;
}

/* With MSG_PEEK what is received stays there. */
static inline __attribute__((always_inline)) enum err
receive_now(struct port *port, sock_t sock, void *buf, uint32_t len, int flags, uint32_t *got)
{
    struct worker *worker = worker_of(port);
    struct record *record = record_of(port, sock);
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && record->reader == NULL && "no READ is in flight");
    bool maybe = (record->flags & READABLE) || !(record->flags & WATCHED);
    bool unsure = record_take_readable(record);
    os_mutex_unlock(&record->lock);
    if (!maybe)
        return ERR_AGAIN;

    ssize_t count = receive(port, worker, sock, buf, len, flags);
    int code = count < 0 ? errno : 0;
    if (count > 0) {
        if ((size_t)count == len || unsure || flags == MSG_PEEK)
            add_flags(record, READABLE);
        *got = (uint32_t)count;
        return ERR_OK;
    }
    /* An edge that came meanwhile has set READABLE again, and the next READ does not wait. */
    if (would_block(code)) {
        if (unsure) {
            os_mutex_lock(&record->lock);
            if (!(record->flags & READABLE))
                settle(record);
            os_mutex_unlock(&record->lock);
        }
        return ERR_AGAIN;
    }
    *got = 0;
    return error_from_errno(end_of_stream(record, code));
}

enum err port_receive_now(struct port *port, sock_t sock, void *buf, uint32_t len,
                          uint32_t *got)
{
    return receive_now(port, sock, buf, len, 0, got);
}

enum err port_peek_now(struct port *port, sock_t sock, void *buf, uint32_t len, uint32_t *got)
{
    return receive_now(port, sock, buf, len, MSG_PEEK, got);
}

/* ---- WRITE ---- */

void send_failed(struct port *port, sock_t sock, int code)
{
    if (code == ECONNRESET || code == EPIPE)
        atomic_store_explicit(&record_of(port, sock)->reset, true, memory_order_relaxed);
}

/* Bytes taken, or -1 with errno. */
static ssize_t transmit(struct port *port, struct worker *worker, sock_t sock, const void *buf,
                        uint32_t len)
{
    for (;;) {
        ssize_t sent = send((int)sock, buf, len, MSG_NOSIGNAL);
        count_up(port, worker, writes);
        if (sent >= 0)
            return sent;
        if (errno != EINTR) {
            send_failed(port, sock, errno);
            return -1;
        }
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
void write_run(struct port *port, struct worker *worker, struct record *record, struct op *op,
               uint32_t cancels)
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
        if (record_cancels(record) != cancels) {
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
            worker_finish(port, worker, op, record_watch_error(code), code);
        return;
    }
}
