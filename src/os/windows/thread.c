#include <process.h>
#include <stdlib.h>

#include "os/crash_private.h"
#include "os/os.h"
#include "os/windows/windows_api.h"

/* ---- threads ---- */

struct os_thread {
    HANDLE handle;
    void (*body)(void *arg);
    void *arg;
};

static unsigned __stdcall run(void *arg)
{
    struct os_thread *thread = arg;
    crash_thread_begins();
    thread->body(thread->arg);
    crash_thread_ends();
    return 0;
}

/* Windows 10 1607 knows names of threads; what came before does without. */
static void give_name(HANDLE handle, const char *name)
{
    typedef HRESULT(WINAPI * describe_fn)(HANDLE thread, PCWSTR description);
    HMODULE module = GetModuleHandleW(L"kernel32.dll");
    if (module == NULL)
        return;
    describe_fn describe =
        (describe_fn)(void (*)(void))GetProcAddress(module, "SetThreadDescription");
    wchar_t wide[16] = L"";
    if (describe != NULL &&
        MultiByteToWideChar(CP_UTF8, 0, name, -1, wide, sizeof wide / sizeof wide[0]) > 0)
        (void)describe(handle, wide);
}

enum err os_thread_start(struct os_thread **out, const char *name, void (*body)(void *arg),
                         void *arg)
{
    struct os_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        return ERR_NOMEM;
    thread->body = body;
    thread->arg = arg;

    /* Not CreateThread(): the C library keeps state for each thread. */
    uintptr_t handle = _beginthreadex(NULL, 0, run, thread, 0, NULL);
    if (handle == 0) {
        free(thread);
        return ERR_NOMEM;
    }
    /* The new thread does not look at its handle, so it may run already. */
    thread->handle = (HANDLE)handle;
    give_name(thread->handle, name);
    *out = thread;
    return ERR_OK;
}

void os_thread_join(struct os_thread *thread)
{
    WaitForSingleObject(thread->handle, INFINITE);
    CloseHandle(thread->handle);
    free(thread);
}

uint64_t os_thread_id(void)
{
    return GetCurrentThreadId();
}

/* ---- mutex and condition: zero bytes are SRWLOCK_INIT and CONDITION_VARIABLE_INIT ---- */

_Static_assert(sizeof(SRWLOCK) <= sizeof(struct os_mutex), "SRWLOCK lies in os_mutex");
_Static_assert(sizeof(CONDITION_VARIABLE) <= sizeof(struct os_cond),
               "CONDITION_VARIABLE lies in os_cond");

void os_mutex_lock(struct os_mutex *mutex)
{
    AcquireSRWLockExclusive((SRWLOCK *)&mutex->state);
}

bool os_mutex_try(struct os_mutex *mutex)
{
    return TryAcquireSRWLockExclusive((SRWLOCK *)&mutex->state) != 0;
}

void os_mutex_unlock(struct os_mutex *mutex)
{
    ReleaseSRWLockExclusive((SRWLOCK *)&mutex->state);
}

bool os_cond_wait(struct os_cond *cond, struct os_mutex *mutex, uint32_t timeout_ms)
{
    _Static_assert(INFINITE == UINT32_MAX, "for ever is the same number");
    return SleepConditionVariableSRW((CONDITION_VARIABLE *)&cond->state,
                                     (SRWLOCK *)&mutex->state, timeout_ms, 0) != 0;
}

void os_cond_wake_all(struct os_cond *cond)
{
    WakeAllConditionVariable((CONDITION_VARIABLE *)&cond->state);
}
