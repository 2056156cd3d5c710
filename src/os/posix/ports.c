#include "os/posix/ports.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/os.h"

#define RANGE_FILE    "/proc/sys/net/ipv4/ip_local_port_range"
#define RESERVED_FILE "/proc/sys/net/ipv4/ip_local_reserved_ports"

static bool read_range(uint16_t *first, uint16_t *last)
{
    FILE *file = fopen(RANGE_FILE, "re");
    if (file == NULL)
        return false;
    unsigned low, high;
    bool good = fscanf(file, "%u %u", &low, &high) == 2 && low <= high && high <= UINT16_MAX;
    (void)fclose(file);
    if (good) {
        *first = (uint16_t)low;
        *last = (uint16_t)high;
    }
    return good;
}

uint32_t os_ephemeral_ports(void)
{
    static _Atomic uint32_t known; /* it is set by the administrator, and then stays */
    uint32_t count = atomic_load_explicit(&known, memory_order_relaxed);
    uint16_t first, last;
    if (count == 0 && read_range(&first, &last)) {
        count = (uint32_t)last - first + 1;
        atomic_store_explicit(&known, count, memory_order_relaxed);
    }
    return count;
}

bool ports_are_reserved(const char *list, uint16_t first, uint16_t last)
{
    unsigned wanted = first; /* the lowest one that was not found yet */
    while (wanted <= last) {
        char *end;
        unsigned long low = strtoul(list, &end, 10), high = low;
        if (end == list)
            return false; /* the list is over */
        if (*end == '-')
            high = strtoul(end + 1, &end, 10);
        if (low > wanted)
            return false;
        if (high >= wanted)
            wanted = (unsigned)high + 1;
        list = *end == ',' ? end + 1 : end;
    }
    return true;
}

static bool is_reserved(uint16_t first, uint16_t last)
{
    FILE *file = fopen(RESERVED_FILE, "re");
    if (file == NULL)
        return false;
    char *list = NULL;
    size_t size = 0;
    bool reserved = getline(&list, &size, file) >= 0 && ports_are_reserved(list, first, last);
    free(list);
    (void)fclose(file);
    return reserved;
}

bool os_ephemeral_overlap(uint16_t first, uint16_t last, uint16_t *range_first,
                          uint16_t *range_last)
{
    uint16_t low, high;
    if (!read_range(&low, &high) || last < low || first > high)
        return false;
    if (is_reserved(first > low ? first : low, last < high ? last : high))
        return false;
    *range_first = low;
    *range_last = high;
    return true;
}
