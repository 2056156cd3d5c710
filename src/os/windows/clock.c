#include <stdatomic.h>

#include "base/str.h"
#include "os/os.h"
#include "os/windows/windows_api.h"

/* One clock for milliseconds and microseconds, so that both can be compared. Windows 10 has
 * QueryUnbiasedInterruptTimePrecise(), which stops while the machine sleeps, as Linux' clock
 * does; it is in kernelbase.dll and mingw-w64 has no import library for that. Where it is
 * missing (Wine) the performance counter serves, which goes on during sleep. */

typedef VOID(WINAPI *unbiased_fn)(PULONGLONG time_100ns);

static unbiased_fn unbiased; /* NULL: use the performance counter */
static LARGE_INTEGER frequency;
static INIT_ONCE once = INIT_ONCE_STATIC_INIT;

static BOOL CALLBACK choose_clock(PINIT_ONCE init, PVOID parameter, PVOID *context)
{
    (void)init;
    (void)parameter;
    (void)context;
    HMODULE module = GetModuleHandleW(L"kernelbase.dll");
    if (module != NULL)
        unbiased = (unbiased_fn)(void (*)(void))GetProcAddress(
            module, "QueryUnbiasedInterruptTimePrecise");
    QueryPerformanceFrequency(&frequency);
    return TRUE;
}

uint64_t os_mono_us(void)
{
    InitOnceExecuteOnce(&once, choose_clock, NULL, NULL);
    if (unbiased != NULL) {
        ULONGLONG time_100ns;
        unbiased(&time_100ns);
        return time_100ns / 10;
    }
    LARGE_INTEGER counter;
    QueryPerformanceCounter(&counter);
    uint64_t ticks = (uint64_t)counter.QuadPart;
    uint64_t per_second = (uint64_t)frequency.QuadPart;
    /* In two parts: ticks * 1000000 would overflow after some days. */
    return ticks / per_second * 1000000 + ticks % per_second * 1000000 / per_second;
}

static _Atomic uint64_t left_out_ms;

uint64_t os_mono_ms(void)
{
    for (;;) {
        uint64_t left_out = atomic_load_explicit(&left_out_ms, memory_order_acquire);
        uint64_t now_ms = os_mono_us() / 1000;
        /* Else the thread itself stood still in between. */
        if (atomic_load_explicit(&left_out_ms, memory_order_acquire) == left_out)
            return now_ms - left_out;
    }
}

void os_mono_leave_out(uint64_t ms)
{
    atomic_fetch_add_explicit(&left_out_ms, ms, memory_order_release);
}

/* 1601-01-01, where Windows begins to count, to 1970-01-01. */
#define EPOCH_100NS 116444736000000000ULL

uint64_t os_wall_us(void)
{
    FILETIME now;
    GetSystemTimePreciseAsFileTime(&now);
    uint64_t time_100ns = (uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime;
    return (time_100ns - EPOCH_100NS) / 10;
}

void os_sleep_ms(uint32_t ms)
{
    Sleep(ms == INFINITE ? INFINITE - 1 : ms);
}
