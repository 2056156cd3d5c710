#include "support/process.h"

#include <windows.h>

#include <psapi.h>
#include <winternl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/os.h"
#include "support/process_files.h"
#include "wide.h"
#include "wine_process.h"

#define COMMAND_LINE_MAX 4096
#define CREATE_TRIES     3

struct process {
    struct process_files files; /* first: process_files.h */
    HANDLE handle;
    DWORD id;
    HANDLE input;                     /* our end of its stdin, NULL if none */
    char arguments[COMMAND_LINE_MAX]; /* each with its zero byte, to find it by under Wine */
    size_t arguments_len;
};

/* Every child is put into one job that dies with the test program. */
static HANDLE job_of_children(void)
{
    static HANDLE job;
    if (job == NULL) {
        job = CreateJobObjectW(NULL, NULL);
        JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {.BasicLimitInformation.LimitFlags =
                                                           JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE};
        SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    }
    return job;
}

/* Quotes one argument so that CommandLineToArgvW() and the C library give it back whole:
 * backslashes count only before a quotation mark. */
static void add_argument(struct str *line, const char *argument)
{
    if (line->len > 0)
        str_add_char(line, ' ');
    str_add_char(line, '"');
    size_t backslashes = 0;
    for (const char *c = argument; *c != '\0'; c++) {
        if (*c == '\\') {
            backslashes++;
        } else {
            if (*c == '"')
                for (size_t i = 0; i <= backslashes; i++)
                    str_add_char(line, '\\');
            backslashes = 0;
        }
        str_add_char(line, *c);
    }
    for (size_t i = 0; i < backslashes; i++)
        str_add_char(line, '\\');
    str_add_char(line, '"');
}

static void keep_argument(struct process *process, const char *argument)
{
    size_t len = strlen(argument) + 1;
    if (len > sizeof process->arguments - process->arguments_len)
        return; /* it will not be found, and the test will say so */
    memcpy(process->arguments + process->arguments_len, argument, len);
    process->arguments_len += len;
}

static HANDLE open_inherited(const char *path, DWORD access, DWORD disposition)
{
    wchar_t wide[TEST_PATH_MAX];
    test_to_wide(path, wide, TEST_PATH_MAX);
    SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
    return CreateFileW(wide, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                       &inherited, disposition, FILE_ATTRIBUTE_NORMAL, NULL);
}

/* A console must be shared for Ctrl-Break to be sent; a test run without one makes its own. */
static void have_console(void)
{
    static bool asked;
    if (asked)
        return;
    asked = true;
    if (GetConsoleCP() == 0)
        AllocConsole();
}

static void close_handle(HANDLE handle)
{
    if (handle != NULL && handle != INVALID_HANDLE_VALUE)
        CloseHandle(handle);
}

/* On a busy machine Wine now and then loses a process while that starts, before any code of the
 * program runs, and says ERROR_INTERNAL_ERROR. That is no fault of what is tested. */
static bool create_process(const wchar_t *program, wchar_t *line, DWORD flags,
                           STARTUPINFOW *start, PROCESS_INFORMATION *made)
{
    for (unsigned left = CREATE_TRIES; left > 0; left--) {
        if (CreateProcessW(program, line, NULL, NULL, TRUE, flags, NULL, NULL, start, made))
            return true;
        DWORD error = GetLastError();
        fprintf(stderr, "CreateProcessW: error %lu\n", error);
        SetLastError(error);
        if (error != ERROR_INTERNAL_ERROR || !test_on_wine())
            return false;
    }
    return false;
}

enum err process_start(struct process **out, const struct process_options *options)
{
    struct process *process = calloc(1, sizeof *process);
    if (process == NULL)
        return ERR_NOMEM;
    process_files_name(&process->files, options);
    for (const char *const *arg = options->args; *arg != NULL; arg++)
        keep_argument(process, *arg);
    /* Wine's only way to stop it is Ctrl-C, which the leader of a group does not get. */
    DWORD flags = CREATE_SUSPENDED;
    if (!test_on_wine()) {
        have_console();
        flags |= CREATE_NEW_PROCESS_GROUP;
    }

    enum err err = ERR_OK;
    HANDLE input = NULL;
    if (options->pipe_stdin) {
        SECURITY_ATTRIBUTES inherited = {sizeof inherited, NULL, TRUE};
        if (CreatePipe(&input, &process->input, &inherited, 0))
            SetHandleInformation(process->input, HANDLE_FLAG_INHERIT, 0);
    } else {
        input = open_inherited("NUL", GENERIC_READ, OPEN_EXISTING);
    }
    HANDLE output = open_inherited(process->files.out, FILE_APPEND_DATA, CREATE_ALWAYS);
    HANDLE errors = open_inherited(process->files.err, FILE_APPEND_DATA, CREATE_ALWAYS);

    struct str line;
    str_init(&line);
    for (const char *const *arg = options->args; *arg != NULL; arg++)
        add_argument(&line, *arg);
    wchar_t wide_line[COMMAND_LINE_MAX];
    test_to_wide(line.data, wide_line, COMMAND_LINE_MAX);
    str_free(&line);
    wchar_t program[TEST_PATH_MAX];
    test_to_wide(options->args[0], program, TEST_PATH_MAX);

    STARTUPINFOW start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
    if (!options->no_streams) {
        start.hStdInput = input;
        start.hStdOutput = output;
        start.hStdError = errors;
    }
    PROCESS_INFORMATION made;
    if (!create_process(program, wide_line, flags, &start, &made)) {
        err = test_windows_error();
        close_handle(process->input);
        free(process);
    } else {
        AssignProcessToJobObject(job_of_children(), made.hProcess);
        ResumeThread(made.hThread);
        CloseHandle(made.hThread);
        process->handle = made.hProcess;
        process->id = made.dwProcessId;
        *out = process;
    }
    close_handle(input);
    close_handle(output);
    close_handle(errors);
    return err;
}

bool process_wait(struct process *process, uint32_t timeout_ms, int *code)
{
    if (WaitForSingleObject(process->handle, timeout_ms) != WAIT_OBJECT_0)
        return false;
    DWORD exit_code = 0;
    GetExitCodeProcess(process->handle, &exit_code);
    if (code != NULL)
        *code = (int)exit_code;
    return true;
}

void process_free(struct process *process)
{
    if (process == NULL)
        return;
    process_kill(process);
    process_wait(process, INFINITE, NULL);
    process_end_input(process);
    CloseHandle(process->handle);
    free(process);
}

/* On Windows the child leads a process group of its own, so the event reaches it alone. */
enum err process_stop(struct process *process)
{
    if (process_wait(process, 0, NULL))
        return ERR_CLOSED;
    if (test_on_wine()) {
        int linux_process = wine_linux_process(process->arguments, process->arguments_len);
        return linux_process != 0 && wine_send_interrupt(linux_process) ? ERR_OK
                                                                        : ERR_NOT_FOUND;
    }
    return GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, process->id) ? ERR_OK
                                                                   : test_windows_error();
}

bool process_hang_up(struct process *process)
{
    (void)process;
    return false;
}

typedef LONG(NTAPI *process_fn)(HANDLE process);

/* NtSuspendProcess() and NtResumeProcess() are in every ntdll.dll, and in no header. */
static bool call_ntdll(const struct process *process, const char *name)
{
    HMODULE module = GetModuleHandleW(L"ntdll.dll");
    process_fn function =
        module == NULL ? NULL : (process_fn)(void (*)(void))GetProcAddress(module, name);
    return function != NULL && function(process->handle) >= 0;
}

bool process_freeze(struct process *process)
{
    return call_ntdll(process, "NtSuspendProcess");
}

bool process_thaw(struct process *process)
{
    return call_ntdll(process, "NtResumeProcess");
}

void process_kill(struct process *process)
{
    if (!process_wait(process, 0, NULL))
        TerminateProcess(process->handle, 128 + 9);
}

enum err process_crash(struct process *process)
{
    LPTHREAD_START_ROUTINE nothing = (LPTHREAD_START_ROUTINE)(uintptr_t)16;
    HANDLE thread = CreateRemoteThread(process->handle, NULL, 0, nothing, NULL, 0, NULL);
    if (thread == NULL)
        return ERR_ACCESS;
    CloseHandle(thread);
    return ERR_OK;
}

enum err process_write(struct process *process, const char *text)
{
    DWORD len = (DWORD)strlen(text);
    while (len > 0) {
        DWORD took = 0;
        if (!WriteFile(process->input, text, len, &took, NULL))
            return ERR_CLOSED;
        text += took;
        len -= took;
    }
    return ERR_OK;
}

void process_end_input(struct process *process)
{
    close_handle(process->input);
    process->input = NULL;
}

uint64_t process_id(const struct process *process)
{
    return process->id;
}

uint64_t process_resident_bytes(const struct process *process)
{
    PROCESS_MEMORY_COUNTERS memory = {.cb = sizeof memory};
    return GetProcessMemoryInfo(process->handle, &memory, sizeof memory) ? memory.WorkingSetSize
                                                                         : 0;
}

static uint64_t microseconds(const FILETIME *time)
{
    return ((uint64_t)time->dwHighDateTime << 32 | time->dwLowDateTime) / 10;
}

uint64_t process_cpu_us(const struct process *process)
{
    if (test_on_wine())
        return wine_cpu_us(wine_linux_process(process->arguments, process->arguments_len));
    FILETIME created, ended, system, user;
    if (!GetProcessTimes(process->handle, &created, &ended, &system, &user))
        return 0;
    return microseconds(&system) + microseconds(&user);
}

/* Wine has GetProcessHandleCount() for show only. The system's table of processes tells, as
 * the size of the process's handle table there: a power of two that grows and shrinks. */
typedef NTSTATUS WINAPI query_system(SYSTEM_INFORMATION_CLASS what, PVOID out, ULONG size,
                                     PULONG needed);

static uint64_t handles_by_table(DWORD id)
{
    /* Linked, ntdll would also lend its own few functions of the C library to every test. */
    union {
        FARPROC found;
        query_system *query;
    } system = {.found =
                    GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "NtQuerySystemInformation")};
    ULONG size = 1 << 20;
    char *table = malloc(size);
    uint64_t handles = 0;
    if (table != NULL && system.found != NULL &&
        system.query(SystemProcessInformation, table, size, NULL) == 0) {
        const char *at = table;
        const SYSTEM_PROCESS_INFORMATION *info;
        do {
            info = (const SYSTEM_PROCESS_INFORMATION *)(const void *)at;
            if ((DWORD)(ULONG_PTR)info->UniqueProcessId == id)
                handles = info->HandleCount;
            at += info->NextEntryOffset;
        } while (info->NextEntryOffset != 0);
    }
    free(table);
    return handles;
}

uint64_t process_descriptors(const struct process *process)
{
    DWORD count = 0;
    if (GetProcessHandleCount(process->handle, &count) && count > 0)
        return count;
    return handles_by_table(process->id);
}

bool process_sleeps(const struct process *process, uint64_t *count)
{
    (void)process;
    (void)count;
    return false;
}
