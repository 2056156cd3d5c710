/* holder.c - from the table of GetExtendedTcpTable(); see holder.h. */
#include "os/holder.h"

#include <stdlib.h>
#include <string.h>

#include "os/bsd.h"
#include "os/os.h"
#include "os/windows/windows_api.h"

#include <iphlpapi.h>
#include <tcpmib.h>

typedef DWORD(WINAPI *get_table_function)(PVOID table, PDWORD size, BOOL sorted, ULONG family,
                                          TCP_TABLE_CLASS kind, ULONG reserved);

/* Only error messages need it, so the library is not linked; NULL: it is not there. */
static get_table_function find_function(void)
{
    HMODULE library =
        LoadLibraryExW(L"iphlpapi.dll", NULL, LOAD_LIBRARY_SEARCH_SYSTEM32); /* stays */
    if (library == NULL)
        return NULL;
    get_table_function function;
    FARPROC found = GetProcAddress(library, "GetExtendedTcpTable");
    memcpy(&function, &found, sizeof function);
    return function;
}

/* For free(). NULL: there is none. */
static void *get_table(ULONG family)
{
    get_table_function get = find_function();
    void *table = NULL;
    DWORD size = 64 * 1024;
    for (int tries = 0; get != NULL && tries < 4; tries++) { /* it may grow meanwhile */
        free(table);
        table = malloc(size);
        if (table == NULL)
            return NULL;
        DWORD code = get(table, &size, FALSE, family, TCP_TABLE_OWNER_PID_LISTENER, 0);
        if (code == NO_ERROR)
            return table;
        if (code != ERROR_INSUFFICIENT_BUFFER)
            break;
    }
    free(table);
    return NULL;
}

static void read_name(DWORD pid, char *name, size_t size)
{
    WCHAR path[512];
    DWORD len = sizeof path / sizeof path[0];
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    name[0] = '\0';
    if (process == NULL)
        return;
    if (QueryFullProcessImageNameW(process, 0, path, &len)) {
        const WCHAR *slash = wcsrchr(path, L'\\');
        int written = WideCharToMultiByte(CP_UTF8, 0, slash != NULL ? slash + 1 : path, -1,
                                          name, (int)size, NULL, NULL);
        if (written == 0)
            name[0] = '\0';
    }
    CloseHandle(process);
}

static bool take(const struct addr *addr, bool dual_stack, const struct addr *at, DWORD pid,
                 struct holder *out)
{
    if (pid == 0 || pid == GetCurrentProcessId() || !holder_overlaps(addr, dual_stack, at))
        return false;
    *out = (struct holder){.pid = pid, .uid = UINT32_MAX};
    read_name(pid, out->name, sizeof out->name);
    return true;
}

static bool find_ipv4(const struct addr *addr, bool dual_stack, struct holder *out)
{
    MIB_TCPTABLE_OWNER_PID *table = get_table(AF_INET);
    bool found = false;
    for (DWORD i = 0; table != NULL && i < table->dwNumEntries && !found; i++) {
        const MIB_TCPROW_OWNER_PID *row = &table->table[i];
        struct addr at = {.family = ADDR_IPV4, .port = ntohs((u_short)row->dwLocalPort)};
        memcpy(at.ip, &row->dwLocalAddr, 4);
        found = take(addr, dual_stack, &at, row->dwOwningPid, out);
    }
    free(table);
    return found;
}

static bool find_ipv6(const struct addr *addr, bool dual_stack, struct holder *out)
{
    MIB_TCP6TABLE_OWNER_PID *table = get_table(AF_INET6);
    bool found = false;
    for (DWORD i = 0; table != NULL && i < table->dwNumEntries && !found; i++) {
        const MIB_TCP6ROW_OWNER_PID *row = &table->table[i];
        struct addr at = {.family = ADDR_IPV6, .port = ntohs((u_short)row->dwLocalPort)};
        memcpy(at.ip, row->ucLocalAddr, 16);
        at.scope = row->dwLocalScopeId;
        found = take(addr, dual_stack, &at, row->dwOwningPid, out);
    }
    free(table);
    return found;
}

unsigned holder_first_free_port(void)
{
    return 0;
}

bool holder_find(const struct addr *addr, bool dual_stack, struct holder *out)
{
    return find_ipv4(addr, dual_stack, out) || find_ipv6(addr, dual_stack, out);
}
