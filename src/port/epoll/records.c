#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>

#include "os/posix/error.h"
#include "os/sock.h"
#include "port/epoll/epoll.h"

#define TABLE_SIZE (CHUNKS * sizeof(_Atomic(struct record *)))
#define CHUNK_SIZE (CHUNK_RECORDS * sizeof(struct record))

enum err records_open(struct port *port)
{
    /* 128 KB of address space, of which a page is used per half a million descriptors. */
    port->chunks = os_pages_alloc(TABLE_SIZE);
    return port->chunks == NULL ? ERR_NOMEM : ERR_OK;
}

void records_close(struct port *port)
{
    for (size_t i = 0; i < CHUNKS; i++) {
        struct record *chunk = atomic_load_explicit(&port->chunks[i], memory_order_acquire);
        if (chunk != NULL)
            os_pages_free(chunk, CHUNK_SIZE);
    }
    os_pages_free(port->chunks, TABLE_SIZE);
}

unsigned records_in_use(const struct port *port)
{
    unsigned count = 0;
    for (size_t i = 0; i < CHUNKS; i++) {
        struct record *chunk = atomic_load_explicit(&port->chunks[i], memory_order_acquire);
        for (size_t j = 0; chunk != NULL && j < CHUNK_RECORDS; j++)
            count += (chunk[j].flags & OPEN) != 0;
    }
    return count;
}

static enum err make_chunk(struct port *port, size_t index)
{
    enum err err = ERR_OK;
    os_mutex_lock(&port->lock);
    if (atomic_load_explicit(&port->chunks[index], memory_order_relaxed) == NULL) {
        struct record *chunk = os_pages_alloc(CHUNK_SIZE); /* zeroed: unlocked and closed */
        if (chunk == NULL)
            err = ERR_NOMEM;
        else
            atomic_store_explicit(&port->chunks[index], chunk, memory_order_release);
    }
    os_mutex_unlock(&port->lock);
    return err;
}

enum err port_attach(struct port *port, sock_t sock)
{
    size_t index = (size_t)sock >> CHUNK_BITS;
    if (index >= CHUNKS)
        return ERR_NO_DESCRIPTORS;
    if (atomic_load_explicit(&port->chunks[index], memory_order_acquire) == NULL) {
        enum err err = make_chunk(port, index);
        if (err != ERR_OK)
            return err;
    }

    struct record *record = record_of(port, sock);
    os_mutex_lock(&record->lock);
    assert(!(record->flags & OPEN) && "attached once, and closed by port_close_socket()");
    record->flags = OPEN;
    atomic_store_explicit(&record->reset, false, memory_order_relaxed);
    os_mutex_unlock(&record->lock);
    return ERR_OK;
}

void port_close_socket(struct port *port, sock_t sock, enum sock_close_how how)
{
    struct record *record = record_of(port, sock);
    os_mutex_lock(&record->lock);
    assert((record->flags & OPEN) && "attached, and closed once");
    assert(record->reader == NULL && record->writer == NULL && record->accepts.head == NULL &&
           "nothing is in flight");
    bool stays_watched = (record->flags & ACCEPTS) != 0;
    record->flags = 0;
    record->generation++;
    os_mutex_unlock(&record->lock);

    /* A listening socket may be that of another process, too: its registration would then wake
     * this one for every client of the other. */
    if (stays_watched)
        (void)epoll_ctl(port->epoll_fd, EPOLL_CTL_DEL, (int)sock, NULL);
    /* Closing the descriptor takes it out of epoll. If a copy of it lives on for a moment (a
     * child process between fork and exec), so does its registration; what it then reports
     * has an old generation. A system call more for every socket would gain nothing. */
    sock_close(sock, how);
}

/* EPOLLOUT is asked for only once a send or connect has to wait: most sockets never do, and
 * with it every edge that reaches a worker after the bytes are gone, for another worker took
 * them, would still be reported since the socket is writable; without it epoll drops it.
 * EPOLLPRI comes with urgent data, see URGENT. */
int record_watch(const struct port *port, struct record *record, sock_t sock, bool out)
{
    if ((record->flags & WATCHED_OUT) || (!out && (record->flags & WATCHED)))
        return 0;
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET | (out ? EPOLLOUT : 0u),
        .data.u64 = (uint64_t)record->generation << 32 | (uint32_t)sock,
    };
    int how = record->flags & WATCHED ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(port->epoll_fd, how, (int)sock, &event) != 0)
        return errno;
    record->flags |= out ? WATCHED | WATCHED_OUT : WATCHED;
    return 0;
}

enum err record_watch_error(int code)
{
    return code == ENOSPC ? ERR_NOMEM : error_from_errno(code);
}
