#include "relay/guard/ban_clock.h"

#include "os/os.h"

static uint64_t wall_ms(void)
{
    return os_wall_us() / 1000;
}

void ban_clock_start(struct ban_clock *clock, uint64_t mono_ms)
{
    clock->ahead_ms = wall_ms() - mono_ms;
}

uint64_t ban_clock_now(const struct ban_clock *clock)
{
    return ban_clock_at(clock, os_mono_ms());
}

int64_t ban_clock_shift(const struct ban_clock *clock)
{
    return (int64_t)(wall_ms() - ban_clock_now(clock));
}

/* No clock shows less than 0. */
static uint64_t moved(uint64_t at_ms, int64_t by_ms)
{
    if (by_ms >= 0)
        return at_ms > INT64_MAX - (uint64_t)by_ms ? INT64_MAX : at_ms + (uint64_t)by_ms;
    uint64_t back = (uint64_t)-by_ms;
    return at_ms > back ? at_ms - back : 0;
}

void ban_clock_to_wall(struct ban *ban, int64_t shift_ms)
{
    ban->set_ms = moved(ban->set_ms, shift_ms);
    if (ban->until_ms != BAN_FOR_EVER)
        ban->until_ms = moved(ban->until_ms, shift_ms);
}

bool ban_clock_from_wall(const struct ban_clock *clock, struct ban *ban)
{
    uint64_t wall = wall_ms(), now = ban_clock_now(clock);
    if (ban->until_ms != BAN_FOR_EVER) {
        if (ban->until_ms <= wall)
            return false;
        uint64_t left = ban->until_ms - wall;
        uint64_t length = ban->until_ms > ban->set_ms ? ban->until_ms - ban->set_ms : 0;
        if (left > length)
            left = length;
        if (left == 0)
            return false;
        ban->until_ms = moved(now, left > INT64_MAX ? INT64_MAX : (int64_t)left);
    }
    uint64_t age = wall > ban->set_ms ? wall - ban->set_ms : 0;
    ban->set_ms = now > age ? now - age : 0;
    return true;
}
