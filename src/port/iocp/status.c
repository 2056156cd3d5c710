/* status.c - what an NTSTATUS in a finished OVERLAPPED means.
 *
 * GetLastError() after dequeuing would give Win32 codes that say less (a reset and a lost link
 * are both ERROR_NETNAME_DELETED), and WSAGetOverlappedResult() costs a call on a socket that may
 * be closed by then. Hence a table of our own.
 */
#define WIN32_NO_STATUS /* the full list comes from ntstatus.h */
#include "port/iocp/iocp.h"
#undef WIN32_NO_STATUS

/* clang-format off */
#include <winternl.h> /* NTSTATUS, which the next one needs */
#include <ntstatus.h>
/* clang-format on */

#include "os/windows/error.h"

/* The facility of Win32 codes that a driver has wrapped into an NTSTATUS: 0xC007xxxx. */
#define WRAPPED_WIN32 0x007

enum err status_error(LONG status)
{
    /* NT_SUCCESS: success and information. A warning (0x8...) is none: nothing was moved. */
    if (status >= 0)
        return ERR_OK;

    switch (status) {
    case STATUS_CANCELLED:
    case STATUS_REQUEST_ABORTED:
    case STATUS_HANDLES_CLOSED:
    case STATUS_INVALID_HANDLE: return ERR_CANCELLED;

    case STATUS_CONNECTION_RESET:
    case STATUS_CONNECTION_ABORTED:
    case STATUS_CONNECTION_DISCONNECTED:
    case STATUS_CONNECTION_INVALID:
    case STATUS_REMOTE_DISCONNECT:
    case STATUS_LOCAL_DISCONNECT:
    case STATUS_LINK_FAILED:
    case STATUS_VIRTUAL_CIRCUIT_CLOSED:
    case STATUS_NETWORK_NAME_DELETED:
    case STATUS_INVALID_CONNECTION: return ERR_RESET;

    case STATUS_CONNECTION_REFUSED:
    case STATUS_REMOTE_NOT_LISTENING:
    case STATUS_PORT_UNREACHABLE: return ERR_REFUSED;

    case STATUS_IO_TIMEOUT:
    case STATUS_LINK_TIMEOUT: return ERR_TIMEDOUT;

    case STATUS_NETWORK_UNREACHABLE:
    case STATUS_HOST_UNREACHABLE:
    case STATUS_PROTOCOL_UNREACHABLE:
    case STATUS_HOST_DOWN:
    case STATUS_BAD_NETWORK_PATH:
    case STATUS_BAD_NETWORK_NAME: return ERR_UNREACHABLE;

    case STATUS_TOO_MANY_OPENED_FILES: return ERR_NO_DESCRIPTORS;

    case STATUS_INSUFFICIENT_RESOURCES:
    case STATUS_NO_MEMORY:
    case STATUS_QUOTA_EXCEEDED:
    case STATUS_PAGEFILE_QUOTA:
    case STATUS_WORKING_SET_QUOTA:
    case STATUS_COMMITMENT_LIMIT:
    case STATUS_REMOTE_RESOURCES: return ERR_NOMEM;

    case STATUS_TOO_MANY_ADDRESSES: return ERR_NO_PORTS;

    case STATUS_ADDRESS_ALREADY_EXISTS:
    case STATUS_ADDRESS_ALREADY_ASSOCIATED:
    case STATUS_SHARING_VIOLATION: return ERR_IN_USE;

    case STATUS_INVALID_ADDRESS:
    case STATUS_INVALID_ADDRESS_COMPONENT:
    case STATUS_ADDRESS_CLOSED: return ERR_NO_ADDRESS;

    case STATUS_ACCESS_DENIED: return ERR_ACCESS;

    case STATUS_NOT_SUPPORTED:
    case STATUS_NOT_IMPLEMENTED:
    case STATUS_INVALID_DEVICE_REQUEST: return ERR_UNSUPPORTED;

    case STATUS_INVALID_PARAMETER:
    case STATUS_ACCESS_VIOLATION:
    case STATUS_OBJECT_TYPE_MISMATCH: return ERR_INVALID;

    case STATUS_GRACEFUL_DISCONNECT:
    case STATUS_PIPE_DISCONNECTED: return ERR_CLOSED;
    }

    if (((ULONG)status >> 16 & 0xFFF) == WRAPPED_WIN32)
        return error_from_wsa((int)((ULONG)status & 0xFFFF));
    return ERR_IO;
}
