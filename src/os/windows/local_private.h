/* local_private.h - a connection of the local endpoint, for the files that make it up. */
#ifndef PAIRPORT_OS_WINDOWS_LOCAL_PRIVATE_H
#define PAIRPORT_OS_WINDOWS_LOCAL_PRIVATE_H

#include <stdbool.h>

#include "os/windows/windows_api.h"

struct local_conn {
    HANDLE pipe;
    HANDLE stop;    /* manual reset; stays set */
    HANDLE read;    /* manual reset, of the overlapped read */
    HANDLE written; /* manual reset, of the overlapped write */
    bool accepted;  /* the other end is the client */
};

/* True when the caller may talk to the server of the pipe; see local.h. */
bool local_is_trusted(HANDLE pipe);

#endif
