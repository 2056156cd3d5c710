#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "os/crash_private.h"
#include "os/os.h"
#include "os/windows/windows_api.h"

/* ---- start ---- */

static UINT old_output_page;
static UINT old_input_page;

static void restore_code_pages(void)
{
    SetConsoleOutputCP(old_output_page);
    SetConsoleCP(old_input_page);
}

/* The library is the system's own, whatever lies next to the program. */
static FARPROC find_system_function(const wchar_t *library, const char *name)
{
    HMODULE module = LoadLibraryExW(library, NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);
    return module == NULL ? NULL : GetProcAddress(module, name);
}

void os_init(void)
{
    /* What Windows itself loads later, at our calls, comes from its own folder, too. What is
     * imported was loaded before; see tests/checks/hardened_pe. */
    (void)SetDefaultDllDirectories(LOAD_LIBRARY_SEARCH_SYSTEM32);
    crash_start();

    WSADATA data;
    int code = WSAStartup(MAKEWORD(2, 2), &data);
    if (code != 0) {
        fprintf(stderr, "cannot start Windows Sockets: error %d\n", code);
        exit(1);
    }

    /* The console belongs to the shell as well, so its code pages come back at exit. Without a
     * console both are 0 and there is nothing to do. */
    old_output_page = GetConsoleOutputCP();
    old_input_page = GetConsoleCP();
    if (old_output_page != 0 && old_input_page != 0 && SetConsoleOutputCP(CP_UTF8) &&
        SetConsoleCP(CP_UTF8))
        atexit(restore_code_pages);
}

/* ---- memory ---- */

/* VirtualAlloc() aligns to 64 KB. For more, a larger range shows where an aligned one fits; it
 * has to be given back before its part can be taken, and then another thread may be faster. */
static void *alloc_aligned(size_t size)
{
    enum { TRIES = 64 };
    for (int i = 0; i < TRIES; i++) {
        unsigned char *range = VirtualAlloc(NULL, 2 * size, MEM_RESERVE, PAGE_NOACCESS);
        if (range == NULL)
            return NULL;
        size_t before = (size - (uintptr_t)range % size) % size;
        VirtualFree(range, 0, MEM_RELEASE);
        void *memory =
            VirtualAlloc(range + before, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
        if (memory != NULL)
            return memory;
    }
    return NULL;
}

void *os_pages_alloc(size_t size)
{
    if (size == 0 || size > SIZE_MAX / 4)
        return NULL;
    void *memory = VirtualAlloc(NULL, size, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
    bool power_of_two = (size & (size - 1)) == 0;
    if (memory == NULL || !power_of_two || (uintptr_t)memory % size == 0)
        return memory;
    VirtualFree(memory, 0, MEM_RELEASE);
    return alloc_aligned(size);
}

void os_pages_free(void *memory, size_t size)
{
    (void)size; /* the system knows it */
    if (memory != NULL)
        VirtualFree(memory, 0, MEM_RELEASE);
}

struct slab_pages os_slab_pages(void)
{
    return (struct slab_pages){.alloc = os_pages_alloc, .free = os_pages_free};
}

/* ---- machine ---- */

unsigned os_cpu_count(void)
{
    DWORD_PTR allowed = 0;
    DWORD_PTR all = 0;
    unsigned count = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &allowed, &all))
        count = (unsigned)__builtin_popcountll(allowed);
    /* A process in several processor groups has no mask. */
    if (count == 0)
        count = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return count == 0 ? 1 : count;
}

uint64_t os_process_id(void)
{
    return GetCurrentProcessId();
}

uint64_t os_resident_bytes(void)
{
    PROCESS_MEMORY_COUNTERS counters = {.cb = sizeof counters};
    if (!GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters))
        return 0;
    return counters.WorkingSetSize;
}

static uint64_t in_us(FILETIME time)
{
    return ((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime) / 10;
}

uint64_t os_cpu_us(void)
{
    FILETIME created;
    FILETIME exited;
    FILETIME kernel;
    FILETIME user;
    if (!GetProcessTimes(GetCurrentProcess(), &created, &exited, &kernel, &user))
        return 0;
    return in_us(kernel) + in_us(user);
}

static char system_name[128];

/* GetVersionEx() tells programs what their manifest wants to hear; ntdll tells the truth. */
static BOOL CALLBACK find_system_name(PINIT_ONCE init, PVOID parameter, PVOID *context)
{
    typedef LONG(WINAPI * version_fn)(RTL_OSVERSIONINFOW * version);
    typedef const char *(*wine_version_fn)(void);
    (void)init;
    (void)parameter;
    (void)context;

    RTL_OSVERSIONINFOW version = {.dwOSVersionInfoSize = sizeof version};
    version_fn get_version = NULL;
    wine_version_fn get_wine_version = NULL;
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    if (ntdll != NULL) {
        get_version = (version_fn)(void (*)(void))GetProcAddress(ntdll, "RtlGetVersion");
        get_wine_version =
            (wine_version_fn)(void (*)(void))GetProcAddress(ntdll, "wine_get_version");
    }
    size_t len;
    if (get_version != NULL && get_version(&version) == 0)
        len = str_format(system_name, sizeof system_name, "Windows %lu.%lu.%lu",
                         version.dwMajorVersion, version.dwMinorVersion, version.dwBuildNumber);
    else
        len = str_format(system_name, sizeof system_name, "Windows");
    if (get_wine_version != NULL)
        str_format(system_name + len, sizeof system_name - len, " (Wine %s)",
                   get_wine_version());
    return TRUE;
}

const char *os_name(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    InitOnceExecuteOnce(&once, find_system_name, NULL, NULL);
    return system_name;
}

/* ---- descriptors ---- */

uint64_t os_raise_descriptor_limit(const char **limit_name)
{
    *limit_name = "handles of a process (no limit to set)";
    return os_descriptor_limit();
}

uint64_t os_descriptor_limit(void)
{
    return UINT64_MAX;
}

uint64_t os_descriptor_count(void)
{
    DWORD count = 0;
    return GetProcessHandleCount(GetCurrentProcess(), &count) ? count : 0;
}

typedef LONG(WINAPI *random_fn)(BCRYPT_ALG_HANDLE algorithm, UCHAR *bytes, ULONG size,
                                ULONG flags);
static random_fn generate_random; /* NULL: there is none */

/* bcrypt.dll is not imported: of a DLL that is none of the "KnownDLLs" the loader would take one
 * that lies next to the program. */
static BOOL CALLBACK find_random(PINIT_ONCE init, PVOID parameter, PVOID *context)
{
    (void)init;
    (void)parameter;
    (void)context;
    generate_random =
        (random_fn)(void (*)(void))find_system_function(L"bcrypt.dll", "BCryptGenRandom");
    return TRUE;
}

uint64_t os_random(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    uint64_t value = 0;
    InitOnceExecuteOnce(&once, find_random, NULL, NULL);
    if (generate_random == NULL || generate_random(NULL, (UCHAR *)&value, sizeof value,
                                                   BCRYPT_USE_SYSTEM_PREFERRED_RNG) != 0) {
        /* Ids and seeds must differ from run to run; they need not be secret. */
        value = os_wall_us() * 0x9E3779B97F4A7C15U ^ os_mono_us() ^ os_process_id() << 40;
    }
    return value;
}
