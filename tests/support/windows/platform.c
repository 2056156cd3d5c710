#include "support/platform.h"

#include <windows.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/os.h"
#include "wide.h"

bool test_on_windows(void)
{
    return true;
}

/* Wine tells of itself by a function that Windows does not have. */
bool test_on_wine(void)
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    return ntdll != NULL && GetProcAddress(ntdll, "wine_get_version") != NULL;
}

#define LINUX_PORTS  28232 /* 32768 to 60999, unless the machine was told otherwise */
#define FEW_PORTS    1000
#define PORT_WAIT_MS 120000

/* Connections of the whole machine in TIME_WAIT, as Linux tells; 0: it does not. */
static unsigned waiting_connections(void)
{
    unsigned count = 0;
    char *text = test_read_file("Z:\\proc\\net\\sockstat");
    const char *at = text == NULL ? NULL : strstr(text, " tw ");
    if (at != NULL)
        count = (unsigned)strtoul(at + 4, NULL, 10);
    free(text);
    return count;
}

void test_wait_for_ports(unsigned ports)
{
    uint64_t start = os_mono_ms();
    unsigned most = ports < LINUX_PORTS ? LINUX_PORTS - ports : 0;
    if (ports < FEW_PORTS)
        return; /* so many are always left: a connection that ended holds a port only once */
    while (test_on_wine() && waiting_connections() > most &&
           os_mono_ms() - start < PORT_WAIT_MS)
        os_sleep_ms(500);
}

enum err test_windows_error(void)
{
    switch (GetLastError()) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND: return ERR_NOT_FOUND;
    case ERROR_ACCESS_DENIED: return ERR_ACCESS;
    default: return ERR_IO;
    }
}

void test_to_wide(const char *text, wchar_t *out, size_t size)
{
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, out, (int)size) == 0) {
        fprintf(stderr, "not UTF-8 or too long: '%s'\n", text);
        abort();
    }
}

enum err test_make_dir(char path[TEST_PATH_MAX])
{
    wchar_t base[MAX_PATH + 1];
    if (GetTempPathW(MAX_PATH + 1, base) == 0)
        return test_windows_error();
    wchar_t wide[TEST_PATH_MAX];
    int len = _snwprintf(wide, TEST_PATH_MAX, L"%lspairport-test-%016llx", base,
                         (unsigned long long)os_random());
    if (len < 0 || len >= TEST_PATH_MAX || !CreateDirectoryW(wide, NULL))
        return test_windows_error();
    if (WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, TEST_PATH_MAX, NULL, NULL) == 0)
        return test_windows_error();
    return ERR_OK;
}

void test_remove_dir(const char *path)
{
    wchar_t dir[TEST_PATH_MAX];
    wchar_t name[TEST_PATH_MAX];
    test_to_wide(path, dir, TEST_PATH_MAX);
    _snwprintf(name, TEST_PATH_MAX, L"%ls\\*", dir);
    WIN32_FIND_DATAW found;
    HANDLE find = FindFirstFileW(name, &found);
    if (find == INVALID_HANDLE_VALUE)
        return;
    do {
        _snwprintf(name, TEST_PATH_MAX, L"%ls\\%ls", dir, found.cFileName);
        if ((found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) == 0)
            DeleteFileW(name);
    } while (FindNextFileW(find, &found));
    FindClose(find);
    RemoveDirectoryW(dir);
}

/* A build on Linux knows its files by Linux paths, which Wine shows on drive Z. */
void test_program_path(const char *built, char path[TEST_PATH_MAX])
{
    str_format(path, TEST_PATH_MAX, "%s%s", built[0] == '/' ? "Z:" : "", built);
    for (char *c = path; *c != '\0'; c++)
        if (*c == '/')
            *c = '\\';
}
