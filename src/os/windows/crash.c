#include <io.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/crash.h"
#include "os/crash_private.h"
#include "os/os.h"
#include "os/windows/wide.h"
#include "os/windows/windows_api.h"

#ifndef STATUS_FATAL_APP_EXIT
#define STATUS_FATAL_APP_EXIT 0x40000015
#endif
/* werapi.h: "Do not show any UI". WerSetFlags() is in kernel32.dll. */
#define WER_NO_UI 0x20
HRESULT WINAPI WerSetFlags(DWORD flags);

static const struct {
    DWORD code;
    const char *name;
} known[] = {
    {EXCEPTION_ACCESS_VIOLATION, "access violation"},
    {EXCEPTION_STACK_OVERFLOW, "stack overflow"},
    {EXCEPTION_ILLEGAL_INSTRUCTION, "illegal instruction"},
    {EXCEPTION_INT_DIVIDE_BY_ZERO, "division by zero"},
    {EXCEPTION_BREAKPOINT, "breakpoint"},
    {EXCEPTION_IN_PAGE_ERROR, "page that cannot be read"},
    {0xC0000374, "heap corruption"},
    {0xC0000409, "stack buffer overrun"},
};

/* ---- output ---- */

void crash_log_to(FILE *file)
{
    crash_log_to_handle(file == NULL ? -1 : _get_osfhandle(_fileno(file)));
}

static void write_log(intptr_t handle, const char *bytes, size_t len)
{
    DWORD wrote;
    (void)WriteFile((HANDLE)handle, bytes, (DWORD)len, &wrote, NULL);
}

static void write_to_stderr(const char *bytes, size_t len)
{
    HANDLE handle = GetStdHandle(STD_ERROR_HANDLE);
    DWORD no_wait = PIPE_NOWAIT; /* nobody may be reading it */
    if (handle == NULL || handle == INVALID_HANDLE_VALUE)
        return;
    if (GetFileType(handle) == FILE_TYPE_PIPE)
        (void)SetNamedPipeHandleState(handle, &no_wait, NULL, NULL);
    write_log((intptr_t)handle, bytes, len);
}

static const struct crash_system self = {
    .thread_id = os_thread_id,
    .sleep_ms = os_sleep_ms,
    .wall_us = os_wall_us,
    .write_log = write_log,
    .write_stderr = write_to_stderr,
};

/* ---- where ---- */

/* "pairport.exe+0x1234"; the bare address where no module is. */
static void describe_place(const void *at, char *text, size_t size)
{
    wchar_t path[MAX_PATH];
    char name[3 * MAX_PATH];
    HMODULE module;
    DWORD flags =
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    str_format(text, size, "0x%llx", (unsigned long long)(uintptr_t)at);
    if (!GetModuleHandleExW(flags, at, &module))
        return;
    DWORD len = GetModuleFileNameW(module, path, MAX_PATH);
    if (len == 0 || len >= MAX_PATH)
        return;
    const wchar_t *slash = wcsrchr(path, L'\\');
    if (wide_to_utf8(slash == NULL ? path : slash + 1, name, sizeof name) == ERR_OK)
        str_format(text, size, "%s+0x%llx", name,
                   (unsigned long long)((uintptr_t)at - (uintptr_t)module));
}

static void tell_exception(const EXCEPTION_RECORD *record)
{
    char place[256], what[CRASH_TEXT_MAX];
    const char *name = "";
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].code == record->ExceptionCode)
            name = known[i].name;
    describe_place(record->ExceptionAddress, place, sizeof place);
    size_t len =
        str_format(what, sizeof what, "exception 0x%08lx%s%s%s at %s", record->ExceptionCode,
                   *name == '\0' ? "" : " (", name, *name == '\0' ? "" : ")", place);
    if (record->ExceptionCode == EXCEPTION_ACCESS_VIOLATION && record->NumberParameters >= 2)
        str_format(what + len, sizeof what - len, " (%s address 0x%llx)",
                   record->ExceptionInformation[0] == 1   ? "writing to"
                   : record->ExceptionInformation[0] == 8 ? "executing at"
                                                          : "reading from",
                   (unsigned long long)record->ExceptionInformation[1]);
    crash_tell(&self, what);
}

/* ---- the handlers ---- */

static LONG WINAPI on_exception(EXCEPTION_POINTERS *exception)
{
    if (crash_is_first(&self))
        tell_exception(exception->ExceptionRecord);
    return EXCEPTION_CONTINUE_SEARCH; /* Windows Error Reporting comes next */
}

/* The C library would end the process without a report. */
static void end_by_exception(void)
{
    RaiseException((DWORD)STATUS_FATAL_APP_EXIT, EXCEPTION_NONCONTINUABLE, 0, NULL);
    TerminateProcess(GetCurrentProcess(), (UINT)STATUS_FATAL_APP_EXIT);
}

static void on_abort(int number)
{
    (void)number;
    if (crash_is_first(&self))
        crash_tell(&self, "abort was called");
    end_by_exception();
}

void crash_start(void)
{
    /* Nobody may be there to close a message box. SEM_NOGPFAULTERRORBOX, which a parent may have
     * set, would keep Windows Error Reporting from writing its dump, too ("SetErrorMode"). */
    UINT mode = SetErrorMode(SEM_FAILCRITICALERRORS);
    SetErrorMode((mode | SEM_FAILCRITICALERRORS) & ~(UINT)SEM_NOGPFAULTERRORBOX);
    (void)WerSetFlags(WER_NO_UI);
    SetUnhandledExceptionFilter(on_exception);
    signal(SIGABRT, on_abort);
    crash_thread_begins();
}

void crash_thread_begins(void)
{
    ULONG bytes = CRASH_STACK / 2; /* of this thread's own stack, kept for the filter */
    (void)SetThreadStackGuarantee(&bytes);
}

void crash_thread_ends(void)
{
    /* Its stack goes as a whole. */
}

/* ---- assert ---- */

static void fail_assert(const char *expression, const char *file, unsigned line)
{
    if (crash_is_first(&self))
        crash_tell_assert(&self, expression, file, line);
    abort(); /* on_abort(), or a handler that somebody has put in its place */
}

/* The C library's is replaced: it writes to stderr alone. Its header calls it by way of the
 * pointer that an import library would hold. */
void (*__imp__assert)(const char *expression, const char *file, unsigned line) = fail_assert;
