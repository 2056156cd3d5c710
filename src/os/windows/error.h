/* error.h - codes of Windows as an `enum err`.
 *
 * Winsock's codes and those of GetLastError() share one number space, so one function reads
 * both. The port keeps its own table for NTSTATUS.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_OS_WINDOWS_ERROR_H
#define PAIRPORT_OS_WINDOWS_ERROR_H

#include "base/err.h"

/* `code` is what WSAGetLastError() or GetLastError() gave, on an established connection or
 * anywhere else; accept, connect and bind give some codes a narrower meaning at their calls.
 * 0 is ERR_OK, an unknown code ERR_IO. */
enum err error_from_wsa(int code);

/* The same for a bind() that has just failed: WSAEACCES is ERR_RESERVED. */
enum err error_last_bind(void);

/* error_from_wsa(GetLastError()), never ERR_OK: for a call that has just failed. */
enum err error_last(void);

#endif
