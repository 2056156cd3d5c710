/* str_units.c - numbers with units: reading them, and writing them for people. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "base/str.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Both tables run from the largest unit to the smallest, which is 1. The first name of a size
 * is the one written. */
static const struct unit durations[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};
static const struct unit sizes[] = {
    {"GB", 1u << 30}, {"GiB", 1u << 30}, {"MB", 1u << 20}, {"MiB", 1u << 20},
    {"KB", 1u << 10}, {"KiB", 1u << 10}, {"B", 1},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Reads the digits at the start of `text`; *end is the first byte after them. ERR_INVALID:
 * there are none; ERR_RANGE: too large, *end is set all the same. */
static enum err parse_digits(const char *text, uint64_t *value, const char **end)
{
    uint64_t sum = 0;
    bool fits = true;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (sum > (UINT64_MAX - digit) / 10)
            fits = false;
        else
            sum = sum * 10 + digit;
    }
    *end = at;
    if (at == text)
        return ERR_INVALID;
    if (!fits)
        return ERR_RANGE;
    *value = sum;
    return ERR_OK;
}

enum err str_parse_u64(const char *text, uint64_t *value)
{
    uint64_t number = 0;
    const char *end;
    enum err err = parse_digits(text, &number, &end);
    if (*end != '\0')
        return ERR_INVALID;
    if (err == ERR_OK)
        *value = number;
    return err;
}

static enum err parse_with_unit(const char *text, const struct unit *units, size_t count,
                                uint64_t *value)
{
    uint64_t number = 0;
    const char *end;
    enum err err = parse_digits(text, &number, &end);
    if (err == ERR_INVALID)
        return err;
    if (err == ERR_OK && number == 0 && *end == '\0') {
        *value = 0;
        return ERR_OK;
    }

    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        if (err != ERR_OK || number > UINT64_MAX / units[i].factor)
            return ERR_RANGE;
        *value = number * units[i].factor;
        return ERR_OK;
    }
    return ERR_INVALID;
}

enum err str_parse_duration(const char *text, uint64_t *ms)
{
    return parse_with_unit(text, durations, COUNT(durations), ms);
}

enum err str_parse_size(const char *text, uint64_t *bytes)
{
    return parse_with_unit(text, sizes, COUNT(sizes), bytes);
}

enum err str_parse_bool(const char *text, bool *value)
{
    static const char *const words[][2] = {{"no", "yes"}, {"false", "true"}, {"off", "on"}};
    for (size_t i = 0; i < COUNT(words); i++) {
        for (int truth = 0; truth <= 1; truth++) {
            if (strcmp(text, words[i][truth]) == 0) {
                *value = truth == 1;
                return ERR_OK;
            }
        }
    }
    return ERR_INVALID;
}

/* Writes bytes / 2^shift with three digits, rounded half up, or returns false when that takes
 * four of them. */
static bool format_scaled(char *buf, uint64_t bytes, unsigned shift, const char *unit,
                          const char *suffix)
{
    /* The product with 100 below must fit; the bits lost here are 2^-40 of the unit. */
    if (shift > 40) {
        bytes >>= shift - 40;
        shift = 40;
    }
    uint64_t whole = bytes >> shift;
    uint64_t part = bytes & ((UINT64_C(1) << shift) - 1);
    uint64_t half = (UINT64_C(1) << shift) / 2;

    uint64_t hundredths = whole * 100 + ((part * 100 + half) >> shift);
    if (hundredths < 1000) {
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 ".%02" PRIu64 " %s%s", hundredths / 100,
                   hundredths % 100, unit, suffix);
        return true;
    }
    uint64_t tenths = whole * 10 + ((part * 10 + half) >> shift);
    if (tenths < 1000) {
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 ".%" PRIu64 " %s%s", tenths / 10, tenths % 10,
                   unit, suffix);
        return true;
    }
    uint64_t ones = whole + ((part + half) >> shift);
    if (ones < 1000) {
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 " %s%s", ones, unit, suffix);
        return true;
    }
    return false;
}

static const char *format_size(uint64_t bytes, const char *suffix, char buf[STR_HUMAN_MAX])
{
    static const char *const units[] = {"KB", "MB", "GB", "TB", "PB", "EB"};

    if (bytes < 1000) {
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 " B%s", bytes, suffix);
        return buf;
    }
    for (unsigned i = 0; i < COUNT(units); i++) {
        if (format_scaled(buf, bytes, 10 * (i + 1), units[i], suffix))
            return buf;
    }
    assert(false && "2^64 bytes are 16 EB");
    return buf;
}

const char *str_human_size(uint64_t bytes, char buf[STR_HUMAN_MAX])
{
    return format_size(bytes, "", buf);
}

const char *str_human_rate(uint64_t bytes_per_s, char buf[STR_HUMAN_MAX])
{
    return format_size(bytes_per_s, "/s", buf);
}

/* Cuts instead of rounding: an age of 59.99 s has not reached a minute. */
const char *str_human_duration(uint64_t ms, char buf[STR_HUMAN_MAX])
{
    uint64_t s = ms / 1000;
    uint64_t m = s / 60;
    uint64_t h = m / 60;
    uint64_t d = h / 24;

    if (ms < 1000)
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 "ms", ms);
    else if (s < 60)
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 ".%" PRIu64 "s", s, ms % 1000 / 100);
    else if (m < 60)
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 "m%02" PRIu64 "s", m, s % 60);
    else if (h < 24)
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 "h%02" PRIu64 "m", h, m % 60);
    else
        str_format(buf, STR_HUMAN_MAX, "%" PRIu64 "d%02" PRIu64 "h", d, h % 24);
    return buf;
}

/* The largest unit that divides the value. */
static const char *format_exact(uint64_t value, const struct unit *units,
                                char buf[STR_HUMAN_MAX])
{
    if (value == 0) {
        str_format(buf, STR_HUMAN_MAX, "0");
        return buf;
    }
    while (value % units->factor != 0)
        units++; /* ends at the factor 1 */
    str_format(buf, STR_HUMAN_MAX, "%" PRIu64 "%s", value / units->factor, units->name);
    return buf;
}

const char *str_exact_duration(uint64_t ms, char buf[STR_HUMAN_MAX])
{
    return format_exact(ms, durations, buf);
}

const char *str_exact_size(uint64_t bytes, char buf[STR_HUMAN_MAX])
{
    return format_exact(bytes, sizes, buf);
}
