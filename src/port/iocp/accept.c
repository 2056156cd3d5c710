/* accept.c - ACCEPT is AcceptEx. */
#include "os/bsd.h"
#include "os/windows/error.h"
#include "port/iocp/faults.h"
#include "port/iocp/iocp.h"

/* Two addresses are written behind the received bytes, of which there are none; each needs 16
 * bytes more than the longest address of its kind ("AcceptEx function"). */
#define ADDRESS_ROOM (sizeof(SOCKADDR_STORAGE) + 16)
_Static_assert(OP_ACCEPT_SCRATCH >= 2 * ADDRESS_ROOM, "OP_ACCEPT_SCRATCH is too small");

/* What a failed accept is called. Want of resources makes the listener wait a little; whatever
 * else the system may report of one client is the end of that client, not of the listener: a
 * reset that arrives before the accept is ERROR_NETNAME_DELETED on one version of Windows,
 * WSAECONNRESET on another. */
static enum err transient(enum err err)
{
    if (err == ERR_CANCELLED || err == ERR_NO_DESCRIPTORS || err == ERR_NOMEM)
        return err;
    return ERR_ABORTED;
}

/* Ends an ACCEPT without a client. */
static enum outcome give_up(struct op *op, enum sock_close_how how, enum err err, int32_t raw)
{
    if (op->accepted != SOCK_NONE)
        sock_close(op->accepted, how);
    op->accepted = SOCK_NONE;
    return iocp_known(op, err, raw);
}

/* Makes the accepted socket a full one and reads who came. Until the first is done nothing but
 * send, receive and close works on it ("AcceptEx function", remarks), though some systems are
 * lenient; it takes over the listener's properties, which is non-blocking, too. */
static void complete(struct port *port, struct op *op)
{
    SOCKET listener = (SOCKET)op->sock;
    if (setsockopt((SOCKET)op->accepted, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT,
                   (const char *)&listener, sizeof listener) != 0) {
        (void)give_up(op, SOCK_CLOSE_ABORT, ERR_ABORTED, WSAGetLastError());
        return;
    }

    enum addr_family family = (enum addr_family)socks_find(&port->socks, op->sock)->family;
    SOCKADDR *local = NULL;
    SOCKADDR *remote = NULL;
    INT local_len = 0;
    INT remote_len = 0;
    provider_functions(port, family)
        ->accept_addrs(op->buf, 0, ADDRESS_ROOM, ADDRESS_ROOM, &local, &local_len, &remote,
                       &remote_len);
    if (remote == NULL || bsd_to_addr(remote, (size_t)remote_len, &op->addr) != ERR_OK) {
        (void)give_up(op, SOCK_CLOSE_ABORT, ERR_ABORTED, 0);
        return;
    }
    (void)iocp_known(op, ERR_OK, 0);
}

enum outcome accept_start(struct port *port, struct op *op)
{
    assert(op->buf != NULL);
    const struct sock_record *listener = socks_find(&port->socks, op->sock);
    bool foreign = listener->foreign;
    bool skip = listener->skip || foreign; /* an event is no packet */
    enum addr_family family = (enum addr_family)listener->family;

    /* The socket is made and stored before the call: the packet may be taken by another worker
     * before AcceptEx has returned here. */
    op->accepted = SOCK_NONE;
    if (iocp_fault(&iocp_faults.accepts_to_fail))
        return give_up(op, SOCK_CLOSE_NORMAL, ERR_NO_DESCRIPTORS, WSAEMFILE);
    enum err err = sock_open(family, &op->accepted);
    if (err != ERR_OK)
        return give_up(op, SOCK_CLOSE_NORMAL, transient(err), WSAGetLastError());

    /* No bytes are received along with the client: that would wait for the first of them, and
     * clients that stay silent would use up all ACCEPTs. */
    DWORD received = 0;
    OVERLAPPED *overlapped = iocp_begin(op);
    struct waiter *waiter = foreign ? foreign_begin(port, op, overlapped) : NULL;
    if (foreign && waiter == NULL)
        return give_up(op, SOCK_CLOSE_NORMAL, ERR_NOMEM, WSAENOBUFS);
    BOOL success = provider_functions(port, family)
                       ->accept((SOCKET)op->sock, (SOCKET)op->accepted, op->buf, 0,
                                ADDRESS_ROOM, ADDRESS_ROOM, &received, overlapped);
    int code = 0;
    enum call call = iocp_called(success, skip, &code);
    if (waiter != NULL && call == CALL_PENDING)
        foreign_wait(waiter);
    else if (waiter != NULL)
        foreign_end(waiter);
    switch (call) {
    case CALL_PENDING: return OUTCOME_PENDING;
    case CALL_DONE: complete(port, op); return OUTCOME_KNOWN;
    case CALL_FAILED: break;
    }
    err = error_from_wsa(code);
    if (err == ERR_INVALID || err == ERR_UNSUPPORTED)
        return give_up(op, SOCK_CLOSE_NORMAL, err,
                       code); /* no listener: trying again would never help */
    return give_up(op, SOCK_CLOSE_NORMAL, transient(err), code);
}

void accept_finish(struct port *port, struct op *op, LONG status)
{
    enum err err = status_error(status);
    if (err == ERR_OK)
        complete(port, op);
    else
        (void)give_up(op, SOCK_CLOSE_NORMAL, transient(err), status);
}
