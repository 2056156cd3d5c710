#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stat/histogram.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LARGEST      ((UINT64_C(1) << HISTOGRAM_MAX_BITS) - 1)

static struct histogram histogram;
static struct histogram other;

static int set_up(void **state)
{
    (void)state;
    memset(&histogram, 0, sizeof histogram);
    memset(&other, 0, sizeof other);
    return 0;
}

static struct histogram_summary summary(void)
{
    struct histogram_summary out;
    memset(&out, 0xEE, sizeof out);
    histogram_summarise(&histogram, &out);
    return out;
}

static void an_empty_one_says_zero_everywhere(void **state)
{
    (void)state;
    static const struct histogram_summary zero;
    struct histogram_summary out = summary();
    assert_memory_equal(&out, &zero, sizeof out);
}

static void a_single_value_is_every_quantile_exactly(void **state)
{
    (void)state;
    static const uint64_t values[] = {0, 1, 15, 16, 17, 1000, 123456789, LARGEST};
    for (size_t i = 0; i < COUNT(values); i++) {
        set_up(NULL);
        histogram_record(&histogram, values[i]);
        struct histogram_summary out = summary();
        assert_true(out.count == 1);
        assert_true(out.mean == values[i] && out.max == values[i]);
        assert_true(out.p50 == values[i] && out.p90 == values[i]);
        assert_true(out.p99 == values[i] && out.p999 == values[i]);
    }
}

static void small_values_are_exact(void **state)
{
    (void)state;
    for (uint64_t v = 0; v < 10; v++)
        histogram_record(&histogram, v);
    struct histogram_summary out = summary();
    assert_true(out.count == 10);
    assert_true(out.mean == 4); /* 45 / 10 */
    assert_true(out.p50 == 4 && out.p90 == 8 && out.p99 == 9 && out.p999 == 9);
    assert_true(out.max == 9);
}

static void a_quantile_waits_for_its_rank(void **state)
{
    (void)state;
    for (int i = 0; i < 999; i++)
        histogram_record(&histogram, 1);
    histogram_record(&histogram, 10);
    assert_true(summary().p999 == 1); /* 999 of 1000 */
    histogram_record(&histogram, 10);
    assert_true(summary().p999 == 10); /* 999 of 1001 are not enough */
    assert_true(summary().p99 == 1);
}

static void values_beyond_the_range_count_as_the_largest(void **state)
{
    (void)state;
    histogram_record(&histogram, 5);
    histogram_record(&histogram, LARGEST + 1);
    histogram_record(&histogram, UINT64_MAX);
    histogram_record(&histogram, UINT64_MAX);
    struct histogram_summary out = summary();
    assert_true(out.count == 4);
    assert_true(out.max == UINT64_MAX); /* the maximum is exact all the same */
    assert_true(out.p999 == LARGEST);
    assert_true(out.mean == (5 + 3 * LARGEST) / 4);
}

/* A second value above, so that the maximum does not correct the bucket's end. */
static void every_value_is_shown_at_most_a_sixteenth_too_large(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 1);
    for (int i = 0; i < 4000; i++) {
        unsigned bits = (unsigned)random_below(&random, HISTOGRAM_MAX_BITS);
        uint64_t value = (UINT64_C(1) << bits) + random_below(&random, UINT64_C(1) << bits);
        if (random_chance(&random, 20)) /* both sides of a power of two */
            value = (UINT64_C(1) << bits) - random_below(&random, 2);
        set_up(NULL);
        histogram_record(&histogram, value);
        histogram_record(&histogram, LARGEST);
        uint64_t shown = summary().p50;
        assert_true(shown >= value);
        assert_true(shown - value <= value / 16);
    }
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return (*x > *y) - (*x < *y);
}

static void expect_near(uint64_t shown, uint64_t truth)
{
    assert_true(shown >= truth);
    assert_true(shown - truth <= truth / 16);
}

/* Against the obvious way: keep all values and sort them. */
static void quantiles_are_those_of_the_sorted_values(void **state)
{
    (void)state;
    static uint64_t values[5000];
    struct random random;
    random_init(&random, random_test_seed(), 2);
    for (int round = 0; round < 20; round++) {
        set_up(NULL);
        size_t count = 1 + (size_t)random_below(&random, COUNT(values));
        uint64_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            values[i] = random_below(&random, UINT64_C(1) << random_below(&random, 40));
            sum += values[i];
            histogram_record(&histogram, values[i]);
        }
        qsort(values, count, sizeof values[0], compare);
        struct histogram_summary out = summary();
        assert_true(out.count == count);
        assert_true(out.mean == sum / count);
        assert_true(out.max == values[count - 1]);
        expect_near(out.p50, values[(count * 500 + 999) / 1000 - 1]);
        expect_near(out.p90, values[(count * 900 + 999) / 1000 - 1]);
        expect_near(out.p99, values[(count * 990 + 999) / 1000 - 1]);
        expect_near(out.p999, values[(count * 999 + 999) / 1000 - 1]);
    }
}

static void adding_one_to_another_gives_that_of_all_values(void **state)
{
    (void)state;
    static struct histogram all;
    memset(&all, 0, sizeof all);
    struct random random;
    random_init(&random, random_test_seed(), 3);
    for (int i = 0; i < 2000; i++) {
        uint64_t value = random_below(&random, UINT64_C(1) << random_below(&random, 45));
        histogram_record(&all, value);
        histogram_record(random_chance(&random, 30) ? &histogram : &other, value);
    }
    struct histogram_summary expected;
    histogram_summarise(&all, &expected);
    histogram_add(&histogram, &other);
    struct histogram_summary out = summary();
    assert_memory_equal(&out, &expected, sizeof out);
}

static void adding_an_empty_one_changes_nothing(void **state)
{
    (void)state;
    histogram_record(&histogram, 77);
    struct histogram_summary before = summary();
    histogram_add(&histogram, &other);
    struct histogram_summary after = summary();
    assert_memory_equal(&after, &before, sizeof after);
}

static void buckets_count_beyond_32_bits(void **state)
{
    (void)state;
    histogram.buckets[1] = UINT32_MAX;
    histogram_record(&histogram, 1);
    assert_true(summary().count == UINT64_C(1) << 32);
    assert_true(summary().p50 == 1);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_empty_one_says_zero_everywhere),
        TEST(a_single_value_is_every_quantile_exactly),
        TEST(small_values_are_exact),
        TEST(a_quantile_waits_for_its_rank),
        TEST(values_beyond_the_range_count_as_the_largest),
        TEST(every_value_is_shown_at_most_a_sixteenth_too_large),
        TEST(quantiles_are_those_of_the_sorted_values),
        TEST(adding_one_to_another_gives_that_of_all_values),
        TEST(adding_an_empty_one_changes_nothing),
        TEST(buckets_count_beyond_32_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
