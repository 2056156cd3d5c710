#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "route/health.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct conf_health conf;
static struct health health;
static uint64_t now_ms;

static void begin(uint32_t rise, uint32_t fall)
{
    conf = (struct conf_health){
        .on = true,
        .interval_ms = 2000,
        .fast_ms = 500,
        .timeout_ms = 1000,
        .rise = rise,
        .fall = fall,
    };
    now_ms = 50000;
    health_init(&health, &conf, 777, now_ms);
}

/* Waits for the next check and gives it this result. True: `up` changed. */
static bool check(enum health_code code)
{
    if (now_ms < health.due_ms)
        now_ms = health.due_ms;
    assert_true(health_take(&health, now_ms));
    struct health_result result = {.code = code, .duration_us = 250};
    return health_done(&health, &result, now_ms);
}

static void expect_word(const char *expected)
{
    char word[24];
    assert_string_equal(health_word(&health, word, sizeof word), expected);
}

/* ---- up and down ---- */

struct step {
    char result; /* + passed, - failed, ? no descriptor */
    bool changed;
    const char *word;
};

static void run(const struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum health_code code = steps[i].result == '+'   ? HEALTH_L4OK
                                : steps[i].result == '-' ? HEALTH_L4CON
                                                         : HEALTH_SOCKERR;
        if (check(code) != steps[i].changed)
            fail_msg("step %zu: it %s", i, steps[i].changed ? "did not change" : "changed");
        expect_word(steps[i].word);
        assert_int_equal(health.up, steps[i].word[0] == 'U');
    }
}

#define RUN(rise, fall, ...)                                                                   \
    do {                                                                                       \
        begin(rise, fall);                                                                     \
        const struct step steps[] = {__VA_ARGS__};                                             \
        run(steps, COUNT(steps));                                                              \
    } while (0)

static void it_starts_as_up_with_a_check_due_at_once(void **state)
{
    (void)state;
    begin(2, 3);
    assert_true(health.up);
    expect_word("UP");
    assert_false(health_take(&health, now_ms - 1));
    assert_true(health_take(&health, now_ms));
}

static void three_failures_take_it_down_and_two_passes_bring_it_back(void **state)
{
    (void)state;
    RUN(2, 3, {'+', false, "UP"}, {'-', false, "UP 2/3"}, {'-', false, "UP 1/3"},
        {'-', true, "DOWN"}, {'-', false, "DOWN"}, {'+', false, "DOWN 1/2"}, {'+', true, "UP"},
        {'-', false, "UP 2/3"});
    assert_int_equal(health.downs_total, 1);
    assert_int_equal(health.checks_total, 8);
    assert_int_equal(health.failures_total, 5);
}

static void a_pass_in_between_begins_the_count_anew(void **state)
{
    (void)state;
    RUN(3, 2, {'+', false, "UP"}, {'-', false, "UP 1/2"}, {'+', false, "UP"},
        {'-', false, "UP 1/2"}, {'-', true, "DOWN"}, {'+', false, "DOWN 1/3"},
        {'+', false, "DOWN 2/3"}, {'-', false, "DOWN"}, {'+', false, "DOWN 1/3"},
        {'+', false, "DOWN 2/3"}, {'+', true, "UP"});
}

static void the_first_check_decides_alone_when_it_fails(void **state)
{
    (void)state;
    RUN(2, 3, {'-', true, "DOWN"}, {'+', false, "DOWN 1/2"}, {'+', true, "UP"});
    RUN(1, 5, {'-', true, "DOWN"}, {'+', true, "UP"}, {'-', false, "UP 4/5"});
}

static void rise_and_fall_of_one_follow_every_check(void **state)
{
    (void)state;
    RUN(1, 1, {'+', false, "UP"}, {'-', true, "DOWN"}, {'+', true, "UP"}, {'-', true, "DOWN"},
        {'-', false, "DOWN"}, {'+', true, "UP"});
    assert_int_equal(health.downs_total, 2);
}

static void a_check_that_could_not_be_made_says_nothing_of_the_server(void **state)
{
    (void)state;
    RUN(2, 3, {'?', false, "UP"}, {'?', false, "UP"}, {'-', true, "DOWN"},
        {'+', false, "DOWN 1/2"}, {'?', false, "DOWN 1/2"}, {'+', true, "UP"},
        {'-', false, "UP 2/3"}, {'?', false, "UP 2/3"}, {'-', false, "UP 1/3"},
        {'-', true, "DOWN"});
    assert_int_equal(health.checks_total, 10);
    assert_int_equal(health.failures_total, 4);
}

/* ---- when ---- */

static void a_check_without_a_verdict_is_due_again_at_once(void **state)
{
    (void)state;
    begin(2, 3);
    check(HEALTH_L4OK);
    check(HEALTH_L4CON);
    uint64_t checks = health.checks_total;
    check(HEALTH_UNKNOWN);
    expect_word("UP 2/3");
    assert_int_equal(health.due_ms, now_ms);
    assert_int_equal(health.checks_total, checks);
    assert_int_equal(health.last.code, HEALTH_L4CON);
}

static void a_check_that_runs_is_not_due_again(void **state)
{
    (void)state;
    begin(2, 3);
    assert_true(health_take(&health, now_ms));
    assert_false(health_take(&health, now_ms));
    assert_false(health_take(&health, now_ms + 1000000));
    struct health_result result = {.code = HEALTH_L4OK};
    health_done(&health, &result, now_ms + 1000000);
    assert_false(health_take(&health, now_ms + 1000000));
    assert_true(health_take(&health, now_ms + 1003000));
}

static void checks_are_fast_only_while_the_state_is_changing(void **state)
{
    (void)state;
    begin(2, 3);
    check(HEALTH_L4OK);
    uint64_t before_ms = now_ms;
    check(HEALTH_L4CON); /* UP 2/3 */
    assert_in_range(now_ms - before_ms, 1000, 3000);
    assert_int_equal(health.due_ms, now_ms + 500);
    check(HEALTH_L4CON);
    assert_int_equal(health.due_ms, now_ms + 500);
    check(HEALTH_L4CON); /* DOWN */
    assert_in_range(health.due_ms - now_ms, 1000, 3000);
    check(HEALTH_L4OK); /* DOWN 1/2 */
    assert_int_equal(health.due_ms, now_ms + 500);
    check(HEALTH_L4OK); /* UP */
    assert_in_range(health.due_ms - now_ms, 1000, 3000);
}

static void until_the_first_verdict_checks_are_fast(void **state)
{
    (void)state;
    begin(2, 3);
    check(HEALTH_SOCKERR);
    assert_int_equal(health.due_ms, now_ms + 500);
    check(HEALTH_L4OK);
    assert_in_range(health.due_ms - now_ms, 1000, 3000);
}

static void a_steady_server_is_checked_once_an_interval(void **state)
{
    (void)state;
    begin(2, 3);
    check(HEALTH_L4OK);
    for (int i = 0; i < 20; i++) {
        uint64_t before_ms = now_ms;
        check(HEALTH_L7OK);
        assert_true(i == 0 || now_ms - before_ms == 2000);
    }
}

static void a_slow_answer_does_not_shift_the_next_check(void **state)
{
    (void)state;
    begin(2, 3);
    check(HEALTH_L4OK);
    uint64_t due_ms = health.due_ms;
    for (uint64_t slow_ms = 0; slow_ms <= 1000; slow_ms += 100) {
        assert_true(health_take(&health, due_ms));
        struct health_result result = {.code = HEALTH_L4OK};
        health_done(&health, &result, due_ms + slow_ms);
        assert_int_equal(health.due_ms, due_ms + 2000);
        due_ms = health.due_ms;
    }
}

static void many_servers_spread_over_the_interval(void **state)
{
    (void)state;
    begin(2, 3);
    struct random random;
    random_init(&random, random_test_seed(), 0);
    unsigned in_window[20] = {0};
    for (int i = 0; i < 1000; i++) {
        health_init(&health, &conf, random_next(&random), now_ms);
        assert_true(health_take(&health, now_ms));
        struct health_result result = {.code = HEALTH_L4OK};
        health_done(&health, &result, now_ms + 1);
        in_window[health.due_ms % 2000 / 100]++;
    }
    /* 50 are expected in each window; 7 standard deviations are 48. */
    for (size_t i = 0; i < COUNT(in_window); i++)
        assert_in_range(in_window[i], 2, 98);
}

static void without_checks_none_is_ever_due(void **state)
{
    (void)state;
    conf = (struct conf_health){0};
    health_init(&health, &conf, 5, 1000);
    assert_true(health.due_ms == UINT64_MAX);
    assert_false(health_take(&health, 1000));
    expect_word("UP");
}

/* ---- words ---- */

static void the_codes_are_haproxys_and_only_two_pass(void **state)
{
    (void)state;
    assert_string_equal(health_code_word(HEALTH_UNKNOWN), "UNK");
    assert_string_equal(health_code_word(HEALTH_L4TOUT), "L4TOUT");
    assert_string_equal(health_code_word(HEALTH_L7RSP), "L7RSP");
    assert_string_equal(health_code_text(HEALTH_L4OK), "connected");
    for (int code = HEALTH_UNKNOWN; code <= HEALTH_L7RSP; code++)
        assert_int_equal(health_code_passes((enum health_code)code),
                         code == HEALTH_L4OK || code == HEALTH_L7OK);
}

static void the_last_result_can_be_seen(void **state)
{
    (void)state;
    begin(2, 3);
    struct health_info info;
    health_get_info(&health, &info);
    assert_false(info.checked);
    assert_false(info.running);

    assert_true(health_take(&health, now_ms));
    health_get_info(&health, &info);
    assert_true(info.running);
    struct health_result result = {HEALTH_L4CON, ERR_UNREACHABLE, 12345};
    health_done(&health, &result, now_ms + 40);
    health_get_info(&health, &info);
    assert_true(info.checked);
    assert_false(info.running);
    assert_int_equal(info.code, HEALTH_L4CON);
    assert_int_equal(info.err, ERR_UNREACHABLE);
    assert_int_equal(info.duration_us, 12345);
    assert_int_equal(info.last_ms, now_ms + 40);
    assert_int_equal(info.downs_total, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_starts_as_up_with_a_check_due_at_once),
        cmocka_unit_test(three_failures_take_it_down_and_two_passes_bring_it_back),
        cmocka_unit_test(a_pass_in_between_begins_the_count_anew),
        cmocka_unit_test(the_first_check_decides_alone_when_it_fails),
        cmocka_unit_test(rise_and_fall_of_one_follow_every_check),
        cmocka_unit_test(a_check_that_could_not_be_made_says_nothing_of_the_server),
        cmocka_unit_test(a_check_without_a_verdict_is_due_again_at_once),
        cmocka_unit_test(a_check_that_runs_is_not_due_again),
        cmocka_unit_test(checks_are_fast_only_while_the_state_is_changing),
        cmocka_unit_test(until_the_first_verdict_checks_are_fast),
        cmocka_unit_test(a_steady_server_is_checked_once_an_interval),
        cmocka_unit_test(a_slow_answer_does_not_shift_the_next_check),
        cmocka_unit_test(many_servers_spread_over_the_interval),
        cmocka_unit_test(without_checks_none_is_ever_due),
        cmocka_unit_test(the_codes_are_haproxys_and_only_two_pass),
        cmocka_unit_test(the_last_result_can_be_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
