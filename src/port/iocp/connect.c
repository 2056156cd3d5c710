/* connect.c - CONNECT is ConnectEx. */
#include <string.h>

#include "os/bsd.h"
#include "os/windows/error.h"
#include "port/iocp/iocp.h"

/* ConnectEx wants a bound socket ("LPFN_CONNECTEX", remarks). sock_bind() sets
 * SO_REUSE_UNICASTPORT, so that the port is chosen when the other end is known; otherwise each
 * connection would hold a port of its own and they would end at some 16,000. */
static enum err bind_if_free(sock_t sock, enum addr_family family)
{
    struct addr any = {.family = (uint8_t)family};
    enum err err = sock_bind(sock, &any);
    return err == ERR_INVALID ? ERR_OK : err; /* WSAEINVAL: its owner has bound it */
}

/* From Windows 10 1709 on. Before, the value that asks for no retransmission was a number like
 * any other: 254 of them. The version is asked of the kernel, since GetVersionEx() tells what
 * the program's manifest wants to hear. */
static bool knows_no_retransmission(void)
{
    typedef LONG(WINAPI * get_version_fn)(OSVERSIONINFOW * info);
    HMODULE module = GetModuleHandleW(L"ntdll.dll");
    if (module == NULL)
        return false;
    get_version_fn get_version =
        (get_version_fn)(void (*)(void))GetProcAddress(module, "RtlGetVersion");
    OSVERSIONINFOW info = {.dwOSVersionInfoSize = sizeof info};
    if (get_version == NULL || get_version(&info) != 0)
        return false;
    return info.dwMajorVersion > 10 ||
           (info.dwMajorVersion == 10 && info.dwBuildNumber >= 16299);
}

/* A refusal is answered by Windows with three more attempts, half a second apart. On this very
 * machine it is final: a game server that is being restarted should be noticed at once. */
static void refuse_at_once(SOCKET sock)
{
    enum { UNASKED, YES, NO };
    static _Atomic int works = UNASKED;
    if (atomic_load_explicit(&works, memory_order_relaxed) == UNASKED)
        atomic_store(&works, knows_no_retransmission() ? YES : NO);
    if (atomic_load_explicit(&works, memory_order_relaxed) == NO)
        return;

    TCP_INITIAL_RTO_PARAMETERS parameters = {.Rtt = TCP_INITIAL_RTO_UNSPECIFIED_RTT,
                                             .MaxSynRetransmissions =
                                                 TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS};
    DWORD bytes = 0;
    if (WSAIoctl(sock, SIO_TCP_INITIAL_RTO, &parameters, sizeof parameters, NULL, 0, &bytes,
                 NULL, NULL) != 0 &&
        WSAGetLastError() == WSAEOPNOTSUPP)
        atomic_store(&works, NO); /* Wine: spares the call next time */
}

/* A router's "unreachable" ends the attempt instead of being waited out ("IPPROTO_TCP socket
 * options"; Windows 10 2004). */
static void believe_icmp(SOCKET sock)
{
    static atomic_bool unknown;
    if (atomic_load_explicit(&unknown, memory_order_relaxed))
        return;
    DWORD yes = TRUE;
    if (setsockopt(sock, IPPROTO_TCP, TCP_FAIL_CONNECT_ON_ICMP_ERROR, (const char *)&yes,
                   sizeof yes) != 0 &&
        WSAGetLastError() == WSAENOPROTOOPT)
        atomic_store(&unknown, true);
}

/* The port is chosen by ConnectEx, so a collision is want of ports, not a wrong address. */
static enum err connect_error(enum err err)
{
    return err == ERR_IN_USE ? ERR_NO_PORTS : err;
}

/* Until this is done shutdown() and getpeername() fail ("LPFN_CONNECTEX", remarks), though some
 * systems are lenient. It fails when the connection is gone again. */
static enum outcome complete(struct op *op)
{
    if (setsockopt((SOCKET)op->sock, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0) != 0)
        return iocp_known(op, ERR_RESET, WSAGetLastError());
    if (sock_refuse_itself(op->sock, op->addr.port))
        return iocp_known(op, ERR_REFUSED, WSAECONNREFUSED);
    return iocp_known(op, ERR_OK, 0);
}

enum outcome connect_start(struct port *port, struct op *op)
{
    const struct sock_record *record = socks_find(&port->socks, op->sock);
    bool skip = record->skip;
    enum addr_family family = (enum addr_family)record->family;
    if (op->addr.family != family || op->addr.port == 0)
        return iocp_known(op, ERR_INVALID, WSAEINVAL);

    enum err err = bind_if_free(op->sock, family);
    if (err != ERR_OK)
        return iocp_known(op, err, WSAGetLastError());
    if (addr_is_loopback(&op->addr))
        refuse_at_once((SOCKET)op->sock);
    else
        believe_icmp((SOCKET)op->sock);

    struct sockaddr_storage to;
    socklen_t to_len = bsd_from_addr(&op->addr, &to);
    BOOL success = provider_functions(port, family)
                       ->connect((SOCKET)op->sock, (const struct sockaddr *)&to, to_len, NULL,
                                 0, NULL, iocp_begin(op));
    int code = 0;
    switch (iocp_called(success, skip, &code)) {
    case CALL_PENDING: return OUTCOME_PENDING;
    case CALL_DONE: return complete(op);
    case CALL_FAILED: break;
    }
    return iocp_known(op, connect_error(error_from_wsa(code)), code);
}

void connect_finish(struct op *op, LONG status)
{
    enum err err = status_error(status);
    if (err == ERR_OK)
        (void)complete(op);
    else
        (void)iocp_known(op, connect_error(err), status);
}
