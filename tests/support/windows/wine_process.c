#include "wine_process.h"

#include <windows.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the start of /proc/PROCESS/NAME; gives the bytes read, 0 when there is no such file. */
static size_t read_proc(int process, const wchar_t *name, char *text, size_t size)
{
    wchar_t path[64];
    _snwprintf(path, 64, L"Z:\\proc\\%d\\%ls", process, name);
    HANDLE file = CreateFileW(path, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                              OPEN_EXISTING, 0, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return 0;
    DWORD got = 0;
    if (!ReadFile(file, text, (DWORD)size, &got, NULL))
        got = 0;
    CloseHandle(file);
    return got;
}

/* Linux may show zero bytes after the arguments, where longer ones stood before Wine shortened
 * them. */
static bool has_arguments(int process, const char *arguments, size_t len)
{
    char text[4096];
    size_t got = read_proc(process, L"cmdline", text, sizeof text);
    if (got < len || memcmp(text, arguments, len) != 0)
        return false;
    for (size_t i = len; i < got; i++)
        if (text[i] != '\0')
            return false;
    return true;
}

int wine_linux_process(const char *arguments, size_t len)
{
    WIN32_FIND_DATAW found;
    HANDLE find = FindFirstFileW(L"Z:\\proc\\*", &found);
    if (find == INVALID_HANDLE_VALUE)
        return 0;
    int match = 0;
    unsigned matches = 0;
    do {
        int id = _wtoi(found.cFileName);
        if (id > 0 && has_arguments(id, arguments, len)) {
            match = id;
            matches++;
        }
    } while (FindNextFileW(find, &found));
    FindClose(find);
    return matches == 1 ? match : 0;
}

bool wine_send_interrupt(int process)
{
    wchar_t command[64];
    _snwprintf(command, 64, L"/bin/sh -c \"kill -INT %d\"", process);
    STARTUPINFOW start = {.cb = sizeof start};
    PROCESS_INFORMATION made;
    if (!CreateProcessW(L"Z:\\bin\\sh", command, NULL, NULL, FALSE, 0, NULL, NULL, &start,
                        &made))
        return false;
    /* Wine has no handles of a Linux program: what it gives is what stood on its stack, the
     * number of any handle of this process. So they are not closed. */
    return true;
}

uint64_t wine_cpu_us(int process)
{
    char text[1024];
    size_t got = read_proc(process, L"stat", text, sizeof text - 1);
    text[got] = '\0';
    /* The name in parentheses may hold anything; utime and stime are the 12th and 13th word
     * after it, in hundredths of a second on every Linux that Wine runs on. */
    const char *at = strrchr(text, ')');
    for (unsigned word = 0; at != NULL && word < 12; word++)
        at = strchr(at + 1, ' ');
    if (at == NULL)
        return 0;
    char *end;
    uint64_t user = strtoull(at, &end, 10);
    return (user + strtoull(end, NULL, 10)) * 10000;
}
