/* crash_system.c - what crash.c needs of the system: which thread it is in, and a way to write. */
#include <io.h>
#include <stdio.h>

#include "os/crash_private.h"
#include "os/os.h"
#include "os/windows/windows_api.h"

uint64_t os_thread_id(void)
{
    return GetCurrentThreadId();
}

intptr_t crash_handle(void *file)
{
    return _get_osfhandle(_fileno(file));
}

void crash_write_log(intptr_t handle, const char *bytes, size_t len)
{
    DWORD wrote;
    (void)WriteFile((HANDLE)handle, bytes, (DWORD)len, &wrote, NULL);
}

void crash_write_stderr(const char *bytes, size_t len)
{
    HANDLE handle = GetStdHandle(STD_ERROR_HANDLE);
    DWORD no_wait = PIPE_NOWAIT; /* nobody may be reading it */
    if (handle == NULL || handle == INVALID_HANDLE_VALUE)
        return;
    if (GetFileType(handle) == FILE_TYPE_PIPE)
        (void)SetNamedPipeHandleState(handle, &no_wait, NULL, NULL);
    crash_write_log((intptr_t)handle, bytes, len);
}
