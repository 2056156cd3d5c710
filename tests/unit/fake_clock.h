/* fake_clock.h - the monotonic clock of a test that looks at what the fake server has: it stands
 * at FAKE_NOW_MS. The linker puts it in the place of os/'s (--wrap=os_mono_ms).
 *
 * Threads: any.
 */
#ifndef PAIRPORT_TESTS_FAKE_CLOCK_H
#define PAIRPORT_TESTS_FAKE_CLOCK_H

#include <stdint.h>

#include "fake_server.h"

uint64_t __wrap_os_mono_ms(void);

uint64_t __wrap_os_mono_ms(void)
{
    return FAKE_NOW_MS;
}

#endif
