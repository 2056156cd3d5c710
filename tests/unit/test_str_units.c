#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- numbers ---- */

struct number {
    const char *text;
    enum err err;
    uint64_t value;
};

static void expect_numbers(enum err (*parse)(const char *, uint64_t *),
                           const struct number *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 4711;
        enum err err = parse(cases[i].text, &value);
        uint64_t expected = cases[i].err == ERR_OK ? cases[i].value : 4711;
        if (err != cases[i].err || value != expected)
            fail_msg("'%s': got %s and %llu, expected %s and %llu", cases[i].text,
                     err_word(err), (unsigned long long)value, err_word(cases[i].err),
                     (unsigned long long)expected);
    }
}

static void plain_numbers_are_digits_only(void **state)
{
    (void)state;
    static const struct number cases[] = {
        {"0", ERR_OK, 0},
        {"7", ERR_OK, 7},
        {"007", ERR_OK, 7},
        {"65536", ERR_OK, 65536},
        {"18446744073709551615", ERR_OK, UINT64_MAX},
        {"00000000000000000000000000000018446744073709551615", ERR_OK, UINT64_MAX},
        {"18446744073709551616", ERR_RANGE, 0},
        {"18446744073709551620", ERR_RANGE, 0},
        {"99999999999999999999999999999999999999", ERR_RANGE, 0},
        {"", ERR_INVALID, 0},
        {" ", ERR_INVALID, 0},
        {" 1", ERR_INVALID, 0},
        {"1 ", ERR_INVALID, 0},
        {"+1", ERR_INVALID, 0},
        {"-1", ERR_INVALID, 0},
        {"0x10", ERR_INVALID, 0},
        {"1e3", ERR_INVALID, 0},
        {"1.0", ERR_INVALID, 0},
        {"1,000", ERR_INVALID, 0},
        {"12a", ERR_INVALID, 0},
        {"99999999999999999999x", ERR_INVALID, 0},
        {"\xd9\xa3", ERR_INVALID, 0}, /* an Arabic three */
    };
    expect_numbers(str_parse_u64, cases, COUNT(cases));
}

static void durations_have_units(void **state)
{
    (void)state;
    static const struct number cases[] = {
        {"0", ERR_OK, 0},
        {"000", ERR_OK, 0},
        {"0s", ERR_OK, 0},
        {"1ms", ERR_OK, 1},
        {"250ms", ERR_OK, 250},
        {"5s", ERR_OK, 5000},
        {"10m", ERR_OK, 600000},
        {"2h", ERR_OK, 7200000},
        {"7d", ERR_OK, 604800000},
        {"18446744073709551615ms", ERR_OK, UINT64_MAX},
        {"18446744073709551616ms", ERR_RANGE, 0},
        {"18446744073709551s", ERR_OK, UINT64_C(18446744073709551000)},
        {"18446744073709552s", ERR_RANGE, 0},
        {"307445734561825m", ERR_OK, UINT64_C(18446744073709500000)},
        {"307445734561826m", ERR_RANGE, 0},
        {"5124095576030h", ERR_OK, UINT64_C(18446744073708000000)},
        {"5124095576031h", ERR_RANGE, 0},
        {"213503982334d", ERR_OK, UINT64_C(18446744073657600000)},
        {"213503982335d", ERR_RANGE, 0},
        {"99999999999999999999d", ERR_RANGE, 0},
        {"5", ERR_INVALID, 0},
        {"99999999999999999999", ERR_INVALID, 0},
        {"", ERR_INVALID, 0},
        {"s", ERR_INVALID, 0},
        {"5 s", ERR_INVALID, 0},
        {"5s ", ERR_INVALID, 0},
        {" 5s", ERR_INVALID, 0},
        {"-5s", ERR_INVALID, 0},
        {"1.5s", ERR_INVALID, 0},
        {"1m30s", ERR_INVALID, 0},
        {"5S", ERR_INVALID, 0},
        {"5sec", ERR_INVALID, 0},
        {"5min", ERR_INVALID, 0},
        {"5us", ERR_INVALID, 0},
        {"5w", ERR_INVALID, 0},
        {"5KB", ERR_INVALID, 0},
        {"99999999999999999999y", ERR_INVALID, 0},
    };
    expect_numbers(str_parse_duration, cases, COUNT(cases));
}

static void sizes_have_units(void **state)
{
    (void)state;
    static const struct number cases[] = {
        {"0", ERR_OK, 0},
        {"0KB", ERR_OK, 0},
        {"512B", ERR_OK, 512},
        {"16KB", ERR_OK, 16384},
        {"16KiB", ERR_OK, 16384},
        {"1MB", ERR_OK, 1048576},
        {"1MiB", ERR_OK, 1048576},
        {"2GB", ERR_OK, UINT64_C(2147483648)},
        {"2GiB", ERR_OK, UINT64_C(2147483648)},
        {"18446744073709551615B", ERR_OK, UINT64_MAX},
        {"18446744073709551616B", ERR_RANGE, 0},
        {"18014398509481983KB", ERR_OK, UINT64_C(18446744073709550592)},
        {"18014398509481984KB", ERR_RANGE, 0},
        {"17592186044415MB", ERR_OK, UINT64_C(18446744073708503040)},
        {"17592186044416MB", ERR_RANGE, 0},
        {"17179869183GB", ERR_OK, UINT64_C(18446744072635809792)},
        {"17179869184GB", ERR_RANGE, 0},
        {"16384", ERR_INVALID, 0},
        {"", ERR_INVALID, 0},
        {"KB", ERR_INVALID, 0},
        {"16K", ERR_INVALID, 0},
        {"16kb", ERR_INVALID, 0},
        {"16Kb", ERR_INVALID, 0},
        {"16 KB", ERR_INVALID, 0},
        {"16KB ", ERR_INVALID, 0},
        {"1.5MB", ERR_INVALID, 0},
        {"-1KB", ERR_INVALID, 0},
        {"1TB", ERR_INVALID, 0},
        {"5s", ERR_INVALID, 0},
    };
    expect_numbers(str_parse_size, cases, COUNT(cases));
}

static void yes_and_no_have_three_spellings_each(void **state)
{
    (void)state;
    static const char *const yes[] = {"yes", "true", "on"};
    static const char *const no[] = {"no", "false", "off"};
    static const char *const neither[] = {"",   "y",    "n",    "1",    "0", "Yes",
                                          "NO", "yes ", " yes", "yess", "o", "maybe"};
    for (size_t i = 0; i < COUNT(yes); i++) {
        bool value = false;
        assert_int_equal(str_parse_bool(yes[i], &value), ERR_OK);
        assert_true(value);
        assert_int_equal(str_parse_bool(no[i], &value), ERR_OK);
        assert_false(value);
    }
    for (size_t i = 0; i < COUNT(neither); i++) {
        bool value = i % 2 == 0;
        assert_int_equal(str_parse_bool(neither[i], &value), ERR_INVALID);
        assert_int_equal(value, i % 2 == 0);
    }
}

/* ---- human units ---- */

struct human {
    uint64_t value;
    const char *text;
};

static void expect_texts(const char *(*format)(uint64_t, char *), const struct human *cases,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char buf[STR_HUMAN_MAX];
        memset(buf, '#', sizeof buf);
        assert_ptr_equal(format(cases[i].value, buf), buf);
        assert_string_equal(buf, cases[i].text);
    }
}

static void sizes_are_written_with_three_digits(void **state)
{
    (void)state;
    static const struct human cases[] = {
        {0, "0 B"},
        {1, "1 B"},
        {999, "999 B"},
        {1000, "0.98 KB"},
        {1023, "1.00 KB"},
        {1024, "1.00 KB"},
        {1029, "1.00 KB"}, /* 1.0048 */
        {1030, "1.01 KB"}, /* 1.0058 */
        {1536, "1.50 KB"},
        {10234, "9.99 KB"},
        {10235, "10.0 KB"}, /* 9.9951 has no room for two decimals */
        {10240, "10.0 KB"},
        {102348, "99.9 KB"},
        {102349, "100 KB"}, /* 99.9502 */
        {1022976, "999 KB"},
        {1023487, "999 KB"},
        {1023488, "0.98 MB"}, /* 999.5 KB would be 1000 */
        {1048576, "1.00 MB"},
        {12897485, "12.3 MB"},
        {UINT64_C(1) << 30, "1.00 GB"},
        {UINT64_C(3) << 39, "1.50 TB"},
        {UINT64_C(1) << 50, "1.00 PB"},
        {UINT64_C(1) << 60, "1.00 EB"},
        {UINT64_C(3) << 59, "1.50 EB"},
        {UINT64_MAX, "16.0 EB"},
    };
    expect_texts(str_human_size, cases, COUNT(cases));
}

/* Whatever the size, the text says it to half a unit of its last digit. */
static void sizes_are_rounded_not_cut(void **state)
{
    (void)state;
    static const char *const units[] = {"B", "KB", "MB", "GB", "TB", "PB", "EB"};
    uint64_t value = 1;
    for (bool end = false; !end;) {
        char buf[STR_HUMAN_MAX];
        str_human_size(value, buf);

        char *unit;
        double shown = strtod(buf, &unit);
        double step = 1;
        const char *point = strchr(buf, '.');
        for (const char *at = point; point != NULL && at + 1 < unit; at++)
            step /= 10;
        double factor = 1;
        size_t u = 0;
        while (u < COUNT(units) && strcmp(unit + 1, units[u]) != 0) {
            factor *= 1024;
            u++;
        }
        assert_true(u < COUNT(units));
        double error = (double)value / factor - shown;
        assert_true(error <= step * 0.5001 && error >= -step * 0.5001);
        assert_true(shown < 1000);

        uint64_t next = value + value / 97 + 1;
        end = next < value;
        value = next;
    }
}

static void rates_are_sizes_a_second(void **state)
{
    (void)state;
    static const struct human cases[] = {
        {0, "0 B/s"},
        {999, "999 B/s"},
        {1536, "1.50 KB/s"},
        {12897485, "12.3 MB/s"},
        {UINT64_MAX, "16.0 EB/s"},
    };
    expect_texts(str_human_rate, cases, COUNT(cases));
}

static void durations_for_people_keep_two_units(void **state)
{
    (void)state;
    static const struct human cases[] = {
        {0, "0ms"},          {350, "350ms"},         {999, "999ms"},
        {1000, "1.0s"},      {4299, "4.2s"},         {59999, "59.9s"},
        {60000, "1m00s"},    {192000, "3m12s"},      {3599999, "59m59s"},
        {3600000, "1h00m"},  {18180000, "5h03m"},    {86399999, "23h59m"},
        {86400000, "1d00h"}, {1051200000, "12d04h"}, {UINT64_MAX, "213503982334d14h"},
    };
    expect_texts(str_human_duration, cases, COUNT(cases));
}

static void exact_durations_take_the_largest_unit_that_divides(void **state)
{
    (void)state;
    static const struct human cases[] = {
        {0, "0"},
        {1, "1ms"},
        {250, "250ms"},
        {1000, "1s"},
        {1500, "1500ms"},
        {5000, "5s"},
        {60000, "1m"},
        {90000, "90s"},
        {600000, "10m"},
        {3600000, "1h"},
        {7200000, "2h"},
        {86400000, "1d"},
        {90000000, "25h"},
        {604800000, "7d"},
        {604800001, "604800001ms"},
        {UINT64_MAX, "18446744073709551615ms"},
    };
    expect_texts(str_exact_duration, cases, COUNT(cases));
}

static void exact_sizes_take_the_largest_unit_that_divides(void **state)
{
    (void)state;
    static const struct human cases[] = {
        {0, "0"},
        {1, "1B"},
        {1000, "1000B"},
        {1024, "1KB"},
        {1025, "1025B"},
        {16384, "16KB"},
        {1048576, "1MB"},
        {1049600, "1025KB"},
        {UINT64_C(1) << 31, "2GB"},
        {UINT64_C(1) << 40, "1024GB"},
        {UINT64_MAX, "18446744073709551615B"},
    };
    expect_texts(str_exact_size, cases, COUNT(cases));
}

static void exact_texts_are_read_back_as_they_were(void **state)
{
    (void)state;
    uint64_t value = 1;
    for (int i = 0; i < 3000; i++) {
        char buf[STR_HUMAN_MAX];
        uint64_t back = 0;
        assert_int_equal(str_parse_duration(str_exact_duration(value, buf), &back), ERR_OK);
        assert_true(back == value);
        assert_int_equal(str_parse_size(str_exact_size(value, buf), &back), ERR_OK);
        assert_true(back == value);
        /* Powers of all the factors, and numbers beside them. */
        static const uint64_t factors[] = {2, 10, 24, 60, 1000, 1024};
        uint64_t factor = factors[(unsigned)i % COUNT(factors)];
        value = value > UINT64_MAX / factor ? (uint64_t)i : value * factor + (i % 7 == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_numbers_are_digits_only),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(yes_and_no_have_three_spellings_each),
        cmocka_unit_test(sizes_are_written_with_three_digits),
        cmocka_unit_test(sizes_are_rounded_not_cut),
        cmocka_unit_test(rates_are_sizes_a_second),
        cmocka_unit_test(durations_for_people_keep_two_units),
        cmocka_unit_test(exact_durations_take_the_largest_unit_that_divides),
        cmocka_unit_test(exact_sizes_take_the_largest_unit_that_divides),
        cmocka_unit_test(exact_texts_are_read_back_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
