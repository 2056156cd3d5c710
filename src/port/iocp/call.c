/* call.c - what every start call of an operation has before it and after it. Calls nothing else of
 * the backend. */
#include <string.h>

#include "port/iocp/faults.h"
#include "port/iocp/iocp.h"

struct iocp_faults iocp_faults;

OVERLAPPED *iocp_begin(struct op *op)
{
    OVERLAPPED *overlapped = &native_of(op)->overlapped;
    memset(overlapped, 0, sizeof *overlapped); /* an odd hEvent would mean: no packet */
    return overlapped;
}

enum call iocp_called(bool success, bool skip, int *code)
{
    if (success && skip)
        return CALL_DONE;
    if (!success) {
        *code = WSAGetLastError();
        if (*code != WSA_IO_PENDING)
            return CALL_FAILED;
    }
    if (iocp_faults.after_start != NULL)
        iocp_faults.after_start();
    return CALL_PENDING;
}
