/* local_private.h - a connection of the local endpoint, for the files that make it up. */
#ifndef PAIRPORT_OS_WINDOWS_LOCAL_PRIVATE_H
#define PAIRPORT_OS_WINDOWS_LOCAL_PRIVATE_H

#include <stdbool.h>

#include "base/err.h"
#include "os/windows/windows_api.h"

struct local_conn {
    HANDLE pipe;
    HANDLE stop;    /* manual reset; stays set */
    HANDLE read;    /* manual reset, of the overlapped read */
    HANDLE written; /* manual reset, of the overlapped write */
    bool accepted;  /* the other end is the client */
};

/* Who may use a pipe of this process, as an access control list ("Security Descriptor String
 * Format"): SYSTEM, administrators and the owner; and this process's user, who is not the owner
 * where the process is elevated: then administrators are. The user may not make further instances
 * of the pipe, or a program that is not elevated could answer in this one's name. */
#define LOCAL_RIGHTS_MAX 256
enum err local_rights(wchar_t text[LOCAL_RIGHTS_MAX]);

/* What a client needs to read and to write: GENERIC_WRITE has the right to make instances in it
 * ("Named Pipe Security and Access Rights"). */
#define LOCAL_CLIENT_RIGHTS (FILE_GENERIC_READ | FILE_WRITE_DATA | FILE_WRITE_ATTRIBUTES)

/* True when the caller may talk to the server of the pipe; see local.h. */
bool local_is_trusted(HANDLE pipe);

#endif
