#include "os/limits.h"

#include "os/windows/windows_api.h"

uint64_t os_memory_limit(void)
{
    MEMORYSTATUSEX status = {.dwLength = sizeof status};
    return GlobalMemoryStatusEx(&status) ? status.ullTotalPhys : 0;
}

bool os_backlog_drops(uint64_t *drops, uint64_t *overflows)
{
    (void)drops, (void)overflows; /* Windows refuses what does not fit, and does not count it */
    return false;
}

uint32_t os_backlog_limit(void)
{
    return 0;
}
