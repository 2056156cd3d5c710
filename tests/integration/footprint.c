#include "footprint.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "os/os.h"

#define MB (1024u * 1024)

struct footprint footprint_take(struct relay_run *relay)
{
    relay_wait_nothing_left(relay);
    /* The console connection that has just ended is still being closed, perhaps. */
    struct footprint now = {.descriptors = UINT64_MAX};
    for (unsigned i = 0; i < 20; i++) {
        uint64_t descriptors = process_descriptors(relay->process);
        if (descriptors < now.descriptors)
            now.descriptors = descriptors;
        os_sleep_ms(10);
    }
    now.resident = process_resident_bytes(relay->process);
    return now;
}

void footprint_assert_same(struct relay_run *relay, struct footprint before)
{
    struct footprint after = footprint_take(relay);
    print_message("resident: %" PRIu64 " KB before, %" PRIu64 " KB after\n",
                  before.resident / 1024, after.resident / 1024);
    if (test_on_wine()) /* which tells a power of two; a leak would be several times that */
        assert_in_range(after.descriptors, 0, before.descriptors * 2);
    else
        assert_int_equal(after.descriptors, before.descriptors);
    /* Memory that came back is never the very same number of pages. */
    if (!test_under_sanitizer())
        assert_in_range(after.resident, 0, before.resident + 2 * MB);
}
