#include "control/command/units.h"

#include <inttypes.h>

const char *units_us(uint64_t us, char buf[STR_HUMAN_MAX])
{
    if (us == 0)
        str_format(buf, STR_HUMAN_MAX, "-");
    else if (us < 1000)
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 "us", us);
    else if (us < 9950)
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 ".%" PRIu64 "ms", (us + 50) / 1000,
                   (us + 50) % 1000 / 100);
    else
        str_human_duration((us + 500) / 1000, buf);
    return buf;
}

const char *units_percent(uint64_t part, uint64_t whole, char buf[STR_HUMAN_MAX])
{
    if (whole == 0)
        str_format(buf, STR_HUMAN_MAX, "-");
    else
        str_format(buf, STR_HUMAN_MAX, "%.1f %%", 100.0 * (double)part / (double)whole);
    return buf;
}
