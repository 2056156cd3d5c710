/* Ending evenly: what is due, against times that a slow and obvious model lists one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "policy/spread.h"
#include "support/random.h"

#define ROUNDS 2000

static void nothing_is_due_before_the_first_gap_is_over_and_one_is_then(void **state)
{
    (void)state;
    assert_int_equal(spread_gap_ms(10, 1000), 100);
    assert_int_equal(spread_due(10, 99, 901), 0);
    assert_int_equal(spread_due(10, 100, 900), 1);
    assert_int_equal(spread_due(10, 199, 801), 1);
    assert_int_equal(spread_due(10, 500, 500), 5);
}

static void all_are_due_at_the_end(void **state)
{
    (void)state;
    assert_int_equal(spread_due(1, 1000, 0), 1);
    assert_int_equal(spread_due(1000000, 1, 0), 1000000);
    assert_int_equal(spread_due(0, 1000, 0), 0);
    assert_int_equal(spread_gap_ms(1, 1000), 1000);
    assert_int_equal(spread_gap_ms(0, 1000), 1000);
}

static void the_largest_numbers_do_not_overflow(void **state)
{
    (void)state;
    assert_int_equal(spread_due(1000000, SPREAD_MS_MAX - 1, 1), 999999);
    assert_int_equal(spread_gap_ms(1000000, SPREAD_MS_MAX), SPREAD_MS_MAX / 1000000);
}

/* Number `i` of `count`, from 1 on, is due at i/count of the time. How many are by `at`? */
static size_t model_due(size_t count, uint64_t total_ms, uint64_t at_ms)
{
    size_t due = 0;
    for (size_t i = 1; i <= count; i++)
        due += (uint64_t)i * total_ms <= at_ms * count;
    return due;
}

static void one_look_finds_due_what_the_model_says(void **state)
{
    (void)state;
    struct random dice;
    random_init(&dice, random_test_seed(), 1);
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t count = random_below(&dice, 200);
        uint64_t total = 1 + random_below(&dice, 100000);
        uint64_t at = random_below(&dice, total + 1);
        assert_int_equal(spread_due(count, at, total - at), model_due(count, total, at));
        uint64_t gap = spread_gap_ms(count, total);
        assert_true(count == 0 || spread_due(count, gap, total - gap) >= 1);
        assert_true(count == 0 || gap == 0 || spread_due(count, gap - 1, total - gap + 1) == 0);
    }
}

/* Looks at random times while others end by themselves: what stays after a look is what fits into
 * the rest of the time at the pace so far, rounded up, and at the end nothing does. */
static void looks_at_any_times_keep_to_the_pace_whatever_ends_by_itself(void **state)
{
    (void)state;
    struct random dice;
    random_init(&dice, random_test_seed(), 2);
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t left = 1 + random_below(&dice, 500);
        uint64_t total = 1000 + random_below(&dice, 100000);
        uint64_t now = 0, ended_at = 0;
        while (now < total) {
            uint64_t step = 1 + random_below(&dice, total / 20);
            now = now + step < total ? now + step : total;
            left -= left > 0 ? random_below(&dice, 2) : 0;
            size_t due = spread_due(left, now - ended_at, total - now);
            assert_true(due <= left);
            assert_true((left - due) * (total - ended_at) <
                        left * (total - now) + (total - ended_at));
            ended_at += spread_used_ms(left, due, total - ended_at);
            assert_true(ended_at <= now);
            left -= due;
        }
        assert_int_equal(left, 0);
    }
}

static void looks_that_are_late_do_not_make_the_whole_slower(void **state)
{
    (void)state;
    struct random dice;
    random_init(&dice, random_test_seed(), 3);
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t count = 1 + random_below(&dice, 500), left = count;
        uint64_t total = 10000 + random_below(&dice, 100000);
        uint64_t now = 0, ended_at = 0;
        while (now < total) {
            uint64_t gap = spread_gap_ms(left, total - ended_at);
            now = ended_at + gap + random_below(&dice, 50);
            now = now < total ? now : total;
            size_t due = spread_due(left, now - ended_at, total - now);
            ended_at += spread_used_ms(left, due, total - ended_at);
            left -= due;
            size_t line = count - model_due(count, total, now); /* what should be left */
            size_t off = 1 + count / 100; /* times are whole milliseconds */
            assert_in_range(left + off, line, line + 2 * off);
        }
        assert_int_equal(left, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_due_before_the_first_gap_is_over_and_one_is_then),
        cmocka_unit_test(all_are_due_at_the_end),
        cmocka_unit_test(the_largest_numbers_do_not_overflow),
        cmocka_unit_test(one_look_finds_due_what_the_model_says),
        cmocka_unit_test(looks_at_any_times_keep_to_the_pace_whatever_ends_by_itself),
        cmocka_unit_test(looks_that_are_late_do_not_make_the_whole_slower),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
