#include "os/os.h"

/* The default since Windows Vista ("The default dynamic port range for TCP/IP has changed").
 * Another one can be set with netsh; no function tells it. */
enum { FIRST = 49152, LAST = 65535 };

uint32_t os_ephemeral_ports(void)
{
    return LAST - FIRST + 1;
}

bool os_ephemeral_overlap(uint16_t first, uint16_t last, uint16_t *range_first,
                          uint16_t *range_last)
{
    (void)first; /* no port is above the range */
    if (last < FIRST)
        return false;
    *range_first = FIRST;
    *range_last = LAST;
    return true;
}
