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

static bool is_of_own_network(const struct addr *to)
{
    const uint8_t *ip = to->ip;
    if (to->family == ADDR_IPV4) /* RFC 1918, RFC 3927 */
        return ip[0] == 10 || (ip[0] == 172 && (ip[1] & 0xF0) == 16) ||
               (ip[0] == 192 && ip[1] == 168) || (ip[0] == 169 && ip[1] == 254);
    return (ip[0] & 0xFE) == 0xFC || (ip[0] == 0xFE && (ip[1] & 0xC0) == 0x80);
}

/* Windows does not believe a refusal: it repeats the SYN half a second later, by default so often
 * that two seconds go by. On this very machine a refusal is final: a game server that is being
 * restarted should be noticed at once. A check has no more than a second, as a rule. In networks of
 * one's own a SYN is hardly lost; elsewhere two repetitions are what fits into connect_timeout. */
unsigned connect_syn_retries(const struct addr *to, bool is_check, bool knows_none)
{
    if (addr_is_loopback(to) || is_check)
        return knows_none ? 0 : 1;
    return is_of_own_network(to) ? 1 : 2;
}

/* A wish: systems without it wait for longer. */
static void limit_syns(SOCKET sock, const struct addr *to, bool is_check)
{
    enum { UNASKED, NONE_TOO, SOME, NOTHING }; /* what this system can be asked for */
    static _Atomic int known = UNASKED;
    int knows = atomic_load_explicit(&known, memory_order_relaxed);
    if (knows == UNASKED) {
        knows = knows_no_retransmission() ? NONE_TOO : SOME;
        atomic_store(&known, knows);
    }
    if (knows == NOTHING)
        return;
    unsigned retries = connect_syn_retries(to, is_check, knows == NONE_TOO);
    TCP_INITIAL_RTO_PARAMETERS parameters = {
        .Rtt = TCP_INITIAL_RTO_UNSPECIFIED_RTT,
        .MaxSynRetransmissions =
            retries == 0 ? TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS : (UCHAR)retries};
    DWORD bytes = 0;
    if (WSAIoctl(sock, SIO_TCP_INITIAL_RTO, &parameters, sizeof parameters, NULL, 0, &bytes,
                 NULL, NULL) != 0 &&
        WSAGetLastError() == WSAEOPNOTSUPP)
        atomic_store(&known, NOTHING); /* Wine: spares the call next time */
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
static enum err choice_error(enum err err)
{
    return err == ERR_IN_USE ? ERR_NO_PORTS : err;
}

/* WSAENOBUFS, too: it is the answer when each local port is taken. */
enum err connect_error(int code)
{
    return code == WSAENOBUFS ? ERR_NO_PORTS : choice_error(error_from_wsa(code));
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
    limit_syns((SOCKET)op->sock, &op->addr, op->is_check);
    if (!addr_is_loopback(&op->addr))
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
    return iocp_known(op, connect_error(code), code);
}

void connect_finish(struct op *op, LONG status)
{
    enum err err = status_error(status);
    if (err == ERR_OK)
        (void)complete(op);
    else
        (void)iocp_known(op, choice_error(err), status);
}
