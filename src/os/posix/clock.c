#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include "base/str.h"
#include "os/os.h"

static uint64_t read_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now); /* cannot fail for the clocks used here */
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static _Atomic uint64_t left_out_ms;

uint64_t os_mono_ms(void)
{
    for (;;) {
        uint64_t left_out = atomic_load_explicit(&left_out_ms, memory_order_acquire);
        uint64_t now_ms = read_us(CLOCK_MONOTONIC) / 1000;
        /* Else the thread itself stood still in between. */
        if (atomic_load_explicit(&left_out_ms, memory_order_acquire) == left_out)
            return now_ms - left_out;
    }
}

void os_mono_leave_out(uint64_t ms)
{
    atomic_fetch_add_explicit(&left_out_ms, ms, memory_order_release);
}

uint64_t os_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t os_wall_us(void)
{
    return read_us(CLOCK_REALTIME);
}

void os_sleep_ms(uint32_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
        /* The rest of the time is in `left`. */
    }
}
