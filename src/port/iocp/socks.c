/* socks.c - the table of socket records, and the calls that attach and close a socket. */
#include <stdlib.h>

#include "os/windows/error.h"
#include "port/iocp/faults.h"
#include "port/iocp/iocp.h"

/* False: no handle of a socket. The two low bits of a handle belong to its user ("Kernel
 * Objects": handle values are multiples of four). */
static bool locate(sock_t sock, size_t *chunk, size_t *slot)
{
    size_t index = (size_t)sock / 4;
    *chunk = index / SOCKS_PER_CHUNK;
    *slot = index % SOCKS_PER_CHUNK;
    return sock > 0 && sock % 4 == 0 && *chunk < SOCKS_CHUNKS;
}

enum err socks_make(struct sock_table *table, sock_t sock, struct sock_record **out)
{
    size_t chunk = 0;
    size_t slot = 0;
    if (!locate(sock, &chunk, &slot))
        return ERR_INVALID;
    struct sock_record *records = atomic_load(&table->chunks[chunk]);
    if (records == NULL) {
        struct sock_record *fresh = calloc(SOCKS_PER_CHUNK, sizeof *fresh);
        if (fresh == NULL)
            return ERR_NOMEM;
        if (atomic_compare_exchange_strong(&table->chunks[chunk], &records, fresh))
            records = fresh;
        else
            free(fresh); /* another thread was faster: `records` is its chunk */
    }
    *out = &records[slot];
    return ERR_OK;
}

struct sock_record *socks_find(struct sock_table *table, sock_t sock)
{
    size_t chunk = 0;
    size_t slot = 0;
    bool valid = locate(sock, &chunk, &slot);
    assert(valid);
    struct sock_record *records =
        atomic_load_explicit(&table->chunks[chunk], memory_order_acquire);
    assert(records != NULL && atomic_load(&records[slot].attached));
    return &records[slot];
}

void socks_free(struct sock_table *table)
{
    for (size_t i = 0; i < SOCKS_CHUNKS; i++) {
        struct sock_record *records = atomic_load(&table->chunks[i]);
        for (size_t slot = 0; records != NULL && slot < SOCKS_PER_CHUNK; slot++)
            assert(!atomic_load(&records[slot].attached));
        free(records);
    }
}

/* The I/O manager then queues no packet for a call that succeeds at once, and sets no event of
 * the handle, which nobody waits for. False: it stays as it was. */
static bool set_skip(sock_t sock)
{
    return SetFileCompletionNotificationModes((HANDLE)sock,
                                              FILE_SKIP_COMPLETION_PORT_ON_SUCCESS |
                                                  FILE_SKIP_SET_EVENT_ON_HANDLE) != 0;
}

static bool listens(sock_t sock)
{
    BOOL value = FALSE;
    int size = sizeof value;
    return getsockopt((SOCKET)sock, SOL_SOCKET, SO_ACCEPTCONN, (char *)&value, &size) == 0 &&
           value;
}

enum err port_attach(struct port *port, sock_t sock)
{
    struct sock_record *record = NULL;
    enum err err = socks_make(&port->socks, sock, &record);
    if (err != ERR_OK)
        return err;
    assert(!atomic_load(&record->attached));
    assert(atomic_load(&record->pending) == 0);

    enum addr_family family = ADDR_NONE;
    bool ifs = false;
    err = provider_of(sock, &family, &ifs);
    if (err != ERR_OK)
        return err;
    err = provider_load(port, sock, family);
    if (err != ERR_OK)
        return err;
    /* What else could be wrong with the parameters was asked for above: this port has not had
     * the socket, so another has ("CreateIoCompletionPort function"). */
    bool associated = CreateIoCompletionPort((HANDLE)sock, port->handle, KEY_SOCKET, 0) != NULL;
    if (!associated && GetLastError() != ERROR_INVALID_PARAMETER)
        return error_last();
    /* Only of a listener can the results be had in another way; see foreign.c. */
    if (!associated && !listens(sock))
        return ERR_IN_USE;

    /* Nothing below may fail: a socket cannot be taken off a completion port again. */
    record->foreign = !associated;
    record->skip =
        associated && ifs && port->may_skip && !iocp_faults.no_skip && set_skip(sock);
    record->family = (uint8_t)family;
    atomic_store(&record->attached, true);
    return ERR_OK;
}

void port_close_socket(struct port *port, sock_t sock, enum sock_close_how how)
{
    struct sock_record *record = socks_find(&port->socks, sock);
    /* The system would still write into memory that the owner is about to free, and the peer
     * of a socket closed under a pending receive gets a reset instead of its last bytes. */
    assert(atomic_load(&record->pending) == 0);
    /* Before the handle is free: the next socket, on any thread, may get the same one. */
    atomic_store(&record->attached, false);
    sock_close(sock, how);
}
