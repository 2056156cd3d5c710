/* error.h - errno as an `enum err`.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_OS_POSIX_ERROR_H
#define PAIRPORT_OS_POSIX_ERROR_H

#include "base/err.h"

/* `code` is an errno, from any call; connect and bind give some codes a narrower meaning at
 * their calls. 0 is ERR_OK, an unknown code ERR_IO. */
enum err error_from_errno(int code);

/* error_from_errno(errno), never ERR_OK: for a call that has just failed. */
enum err error_last(void);

#endif
