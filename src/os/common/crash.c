#include "os/crash.h"

#include <stdatomic.h>

#include "base/log.h"
#include "base/str.h"
#include "os/crash_private.h"

#define HELD_MS 5000 /* another thread, so that the first one gets to write */

static _Atomic intptr_t log_handle = -1;
static void (*_Atomic to_undo)(void);
static _Atomic uint64_t first_thread; /* that has crashed; 0: none */

void crash_log_to_handle(intptr_t handle)
{
    atomic_store(&log_handle, handle);
}

void crash_undo(void (*undo)(void))
{
    atomic_store(&to_undo, undo);
}

bool crash_is_first(const struct crash_system *system)
{
    uint64_t nobody = 0;
    uint64_t self = system->thread_id();
    if (atomic_compare_exchange_strong(&first_thread, &nobody, self))
        return true;
    if (nobody != self)
        system->sleep_ms(HELD_MS);
    return false;
}

void crash_tell(const struct crash_system *system, const char *what)
{
    void (*undo)(void) = atomic_exchange(&to_undo, NULL);
    if (undo != NULL)
        undo();
    char time[LOG_TIME_MAX], line[CRASH_TEXT_MAX + LOG_TIME_MAX + 32];
    log_format_time(system->wall_us(), time, sizeof time);
    size_t len = str_format(line, sizeof line, "%s error crashed: %s\n", time, what);
    intptr_t handle = atomic_load(&log_handle);
    if (handle != -1)
        system->write_log(handle, line, len);
    system->write_stderr(line, len);
}

void crash_tell_assert(const struct crash_system *system, const char *expression,
                       const char *file, unsigned line)
{
    char what[CRASH_TEXT_MAX];
    str_format(what, sizeof what, "assertion failed: %s, %s:%u", expression, file, line);
    crash_tell(system, what);
}
