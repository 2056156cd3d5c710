#include "policy/spread.h"

#include <assert.h>

size_t spread_due(size_t left, uint64_t passed_ms, uint64_t remaining_ms)
{
    assert(passed_ms <= SPREAD_MS_MAX || remaining_ms == 0);
    if (remaining_ms == 0)
        return left;
    return (size_t)(left * passed_ms / (passed_ms + remaining_ms));
}

uint64_t spread_used_ms(size_t left, size_t due, uint64_t total_ms)
{
    return left == 0 ? 0 : (total_ms * due + left / 2) / left;
}

uint64_t spread_gap_ms(size_t left, uint64_t total_ms)
{
    return left <= 1 ? total_ms : (total_ms + left - 1) / left;
}
