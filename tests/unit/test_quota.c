#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "os/os.h"
#include "policy/quota.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void as_many_as_the_limit_can_be_taken(void **state)
{
    (void)state;
    struct quota quota = {.limit = 3};
    for (unsigned i = 0; i < 3; i++) {
        assert_true(quota_take(&quota));
        assert_int_equal(quota.used, i + 1);
    }
    assert_false(quota_take(&quota));
    assert_false(quota_take(&quota));
    assert_int_equal(quota.used, 3);
    assert_int_equal(quota.peak, 3);
}

static void what_is_given_can_be_taken_again(void **state)
{
    (void)state;
    struct quota quota = {.limit = 1};
    for (int i = 0; i < 3; i++) {
        assert_true(quota_take(&quota));
        assert_false(quota_take(&quota));
        quota_give(&quota);
        assert_int_equal(quota.used, 0);
    }
}

static void a_full_quota_says_so_without_being_asked_for_more(void **state)
{
    (void)state;
    struct quota quota = {.limit = 2};
    assert_true(quota_take(&quota));
    assert_false(quota_is_full(&quota));
    assert_true(quota_take(&quota));
    assert_true(quota_is_full(&quota));
    quota_give(&quota);
    assert_false(quota_is_full(&quota));
    assert_int_equal(atomic_load(&quota.peak), 2);
}

static void the_peak_stays_when_the_use_falls(void **state)
{
    (void)state;
    struct quota quota = {.limit = 10};
    for (int i = 0; i < 4; i++)
        assert_true(quota_take(&quota));
    for (int i = 0; i < 4; i++)
        quota_give(&quota);
    assert_int_equal(quota.peak, 4);
    assert_true(quota_take(&quota));
    assert_int_equal(quota.peak, 4);
}

static void a_limit_of_zero_gives_nothing(void **state)
{
    (void)state;
    struct quota quota = {0};
    assert_false(quota_take(&quota));
    assert_int_equal(quota.used, 0);
    assert_int_equal(quota.peak, 0);
}

static void the_largest_limit_does_not_overflow(void **state)
{
    (void)state;
    struct quota quota = {.limit = UINT32_MAX, .used = UINT32_MAX - 1};
    assert_true(quota_take(&quota));
    assert_false(quota_take(&quota));
    assert_true(quota.used == UINT32_MAX);
    assert_true(quota.peak == UINT32_MAX);
}

/* ---- threads ---- */

#define ROUNDS 20000
#define LIMIT  3

static struct quota shared = {.limit = LIMIT};
static _Atomic uint32_t inside;
static _Atomic uint32_t too_many;
static _Atomic uint32_t entered;

static void take_and_give(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        if (!quota_take(&shared))
            continue;
        if (++inside > LIMIT)
            too_many++;
        entered++;
        inside--;
        quota_give(&shared);
    }
}

static void threads_never_exceed_the_limit(void **state)
{
    (void)state;
    struct os_thread *threads[LIMIT + 1];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(os_thread_start(&threads[i], "quota", take_and_give, NULL), ERR_OK);
    for (size_t i = 0; i < COUNT(threads); i++)
        os_thread_join(threads[i]);
    assert_int_equal(too_many, 0);
    assert_int_equal(shared.used, 0);
    assert_true(entered > 0);
    assert_true(shared.peak >= 1 && shared.peak <= LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_the_limit_can_be_taken),
        cmocka_unit_test(what_is_given_can_be_taken_again),
        cmocka_unit_test(a_full_quota_says_so_without_being_asked_for_more),
        cmocka_unit_test(the_peak_stays_when_the_use_falls),
        cmocka_unit_test(a_limit_of_zero_gives_nothing),
        cmocka_unit_test(the_largest_limit_does_not_overflow),
        cmocka_unit_test(threads_never_exceed_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
