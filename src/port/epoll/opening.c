/* opening.c - CONNECT and ACCEPT. */
#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "os/bsd.h"
#include "os/posix/error.h"
#include "port/epoll/epoll.h"

/* Clients taken in a row from one listener, before others have their turn. */
enum { CLIENTS_IN_A_ROW = 4 };

/* ---- CONNECT ---- */

/* False: this system has no address of its own from which that one could be reached, for example
 * since net.ipv6.conf.all.disable_ipv6 is set. The connect of a datagram socket chooses one, and
 * sends nothing. */
static bool has_source_for(const struct addr *to)
{
    struct sockaddr_storage storage;
    socklen_t len = bsd_from_addr(to, &storage);
    int fd = socket(storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true; /* it is not known */
    bool lacking = connect(fd, (struct sockaddr *)&storage, len) != 0 && errno == EADDRNOTAVAIL;
    close(fd);
    return !lacking;
}

/* EADDRNOTAVAIL: no port is free for this source and destination, or there is no source. */
static enum err connect_error(const struct op *op, int code)
{
    if (code == EADDRNOTAVAIL && !has_source_for(&op->addr))
        return op->addr.family == ADDR_IPV6 ? ERR_NO_FAMILY : ERR_UNREACHABLE;
    if (code == EADDRNOTAVAIL || code == EAGAIN) /* see connect(2) */
        return ERR_NO_PORTS;
    return error_from_errno(code);
}

static void finish_connect(struct port *port, struct worker *worker, struct op *op, int code)
{
    if (code == 0 && sock_refuse_itself(op->sock, op->addr.port))
        code = ECONNREFUSED;
    worker_finish(port, worker, op, connect_error(op, code), code);
}

void connect_start(struct port *port, struct worker *worker, struct record *record,
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
        finish_connect(port, worker, op, code);
        return;
    }

    /* Only now: epoll reports a socket that is not connecting as hung up. */
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && record->writer == NULL);
    enum err err = ERR_OK;
    code = 0;
    if (record_cancels(record) != cancels) {
        err = ERR_CANCELLED;
    } else {
        code = record_watch(port, record, op->sock, true);
        if (code == 0)
            record->writer = op;
        else
            err = record_watch_error(code);
    }
    os_mutex_unlock(&record->lock);
    if (err != ERR_OK)
        worker_finish(port, worker, op, err, code);
}

/* An edge came for a CONNECT: it stands, or failed. */
void connect_end(struct port *port, struct worker *worker, struct op *op, uint32_t events)
{
    int code = 0;
    socklen_t len = sizeof code;
    if ((events & (EPOLLERR | EPOLLHUP)) &&
        getsockopt((int)op->sock, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
        code = errno;
    finish_connect(port, worker, op, code);
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

/* Accepts a client of `op`. Returns what errno says, 0 for none. */
static int accept_one(const struct op *op, int *fd, struct sockaddr_storage *from,
                      socklen_t *len)
{
    do {
        *len = sizeof *from;
        *fd =
            accept4((int)op->sock, (struct sockaddr *)from, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (*fd < 0 && errno == EINTR);
    if (*fd < 0)
        return errno;
    if (sock_is_above_ceiling(*fd)) {
        /* There was one descriptor, but not for a client. */
        close(*fd);
        return EMFILE;
    }
    return 0;
}

/* Nothing was there to accept. Puts the ACCEPT back, unless it was cancelled or an edge came
 * meanwhile. True: try again. Unlocks the record. */
static bool put_back(struct port *port, struct worker *worker, struct record *record,
                     struct op *op, uint32_t cancels)
{
    bool cancelled = record_cancels(record) != cancels;
    bool again = !cancelled && record->flags & READABLE;
    if (again)
        (void)record_take_readable(record);
    else if (!cancelled)
        queue_push_front(&record->accepts, op);
    os_mutex_unlock(&record->lock);
    if (cancelled)
        worker_finish(port, worker, op, ERR_CANCELLED, 0);
    return again;
}

/* The ACCEPT that follows one that ended with `err`; NULL: there is none. With the lock of the
 * record. */
static struct op *next_accept(struct record *record, enum err err)
{
    /* There may be more clients. After a lack of something there is one: it is still in the
     * backlog, and the next ACCEPT that is submitted tries at once. */
    record->flags |= READABLE;
    if ((err != ERR_OK && err != ERR_ABORTED) || record->accepts.head == NULL)
        return NULL;
    (void)record_take_readable(record);
    return queue_pop(&record->accepts);
}

void accept_run(struct port *port, struct worker *worker, struct record *record, struct op *op,
                uint32_t cancels)
{
    for (int taken = 0; op != NULL;) {
        if (taken == CLIENTS_IN_A_ROW) {
            native_of(op)->cancels = cancels;
            worker_put_off(port, worker, op);
            port_step_aside(port); /* more clients wait than one worker should take */
            return;
        }
        struct sockaddr_storage from;
        socklen_t len;
        int fd;
        int code = accept_one(op, &fd, &from, &len);
        os_mutex_lock(&record->lock);
        if (would_block(code)) {
            if (!put_back(port, worker, record, op, cancels))
                return;
            continue;
        }
        enum err err = accept_error(code);
        struct op *done = op;
        op = next_accept(record, err);
        if (op != NULL)
            cancels = record_cancels(record);
        os_mutex_unlock(&record->lock);
        taken++;
        if (err == ERR_OK) {
            done->accepted = fd;
            if (bsd_to_addr(&from, len, &done->addr) != ERR_OK)
                done->addr = (struct addr){0}; /* no address is known, a client is */
        }
        worker_finish(port, worker, done, err, code);
    }
}

void accept_start(struct port *port, struct worker *worker, struct record *record,
                  struct op *op)
{
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && "attached");
    if (record->flags & READABLE) {
        (void)record_take_readable(record);
        uint32_t cancels = record_cancels(record);
        os_mutex_unlock(&record->lock);
        accept_run(port, worker, record, op, cancels);
        return;
    }
    /* Clients that wait already come as an edge. */
    int code = record_watch(port, record, op->sock, false);
    if (code == 0) {
        record->flags |= ACCEPTS;
        queue_push(&record->accepts, op);
    }
    os_mutex_unlock(&record->lock);
    if (code != 0)
        worker_finish(port, worker, op, record_watch_error(code), code);
}
