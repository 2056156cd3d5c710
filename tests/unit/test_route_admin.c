/* test_route_admin.c - what an operator says of an upstream, and what is told of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "route_fixture.h"

static void the_operators_word_is_the_upstreams_state(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig.upstreams[1].disabled = true;
    rig_open(1);
    assert_string_equal(rig_info(1).word, "DISABLED");
    rig_no_change();
    rig.now_ms += 1234;
    assert_true(route_set_admin(rig.route, 1, ROUTE_DRAIN, rig.now_ms));
    assert_false(route_set_admin(rig.route, 1, ROUTE_DRAIN, rig.now_ms));
    struct route_change change = rig_change(1, "DISABLED", "DRAIN", "operator");
    assert_false(change.has_server || change.up_before || change.up);
    assert_int_equal(change.lasted_ms, 1234);
    assert_int_equal(rig_pass(), 0);

    assert_true(route_set_admin(rig.route, 1, ROUTE_READY, rig.now_ms));
    assert_true(rig_change(1, "DRAIN", "UP", "operator").up);
    assert_true(route_set_admin(rig.route, 1, ROUTE_DISABLED, rig.now_ms));
    change = rig_change(1, "UP", "DISABLED", "operator");
    assert_true(change.up_before);
    assert_false(change.up);
    assert_int_equal(change.to_state, ROUTE_MAINT);
    assert_int_equal(rig_info(1).admin, ROUTE_DISABLED);
}

static void a_weight_of_zero_drains(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_open(1);
    assert_false(route_set_weight(rig.route, 1, 1));
    assert_true(route_set_weight(rig.route, 1, 0));
    rig_change(1, "UP", "DRAIN", "weight 0");
    for (int i = 0; i < 5; i++)
        assert_int_equal(rig_pass(), 0);
    assert_true(route_set_weight(rig.route, 1, 256));
    rig_change(1, "DRAIN", "UP", "weight 256");
    assert_true(route_set_weight(rig.route, 1, 255));
    rig_no_change();
}

static void a_drained_upstream_is_checked_and_a_disabled_one_is_not(void **state)
{
    (void)state;
    rig_begin_checked(2);
    route_set_admin(rig.route, 0, ROUTE_DISABLED, rig.now_ms);
    route_set_admin(rig.route, 1, ROUTE_DRAIN, rig.now_ms);
    rig_drop_changes();
    for (int i = 0; i < 3; i++)
        rig_check_later(1, HEALTH_L4CON);
    struct route_change change =
        rig_change(1, "UP", "DOWN", "L4CON the connection was refused (fall 3)");
    assert_false(change.up_before); /* it took no sessions anyway */
    assert_string_equal(rig_info(1).word, "DRAIN");
    assert_string_equal(rig_info(1).servers[0].word, "DOWN");
}

static void a_disabled_server_begins_anew_when_it_is_enabled(void **state)
{
    (void)state;
    rig_begin_checked(1);
    for (int i = 0; i < 3; i++)
        rig_check_later(0, HEALTH_L4CON);
    route_set_admin(rig.route, 0, ROUTE_DISABLED, rig.now_ms);
    rig_drop_changes();
    rig.now_ms += 100;
    route_set_admin(rig.route, 0, ROUTE_READY, rig.now_ms);
    rig_change(0, "DISABLED", "DOWN", "operator");
    assert_true(rig_change(0, "DOWN", "UP", "operator").up);
    assert_int_equal(rig_outcome(), ROUTE_PICKED);
    rig_check(0, HEALTH_L4CON); /* is due at once, and decides alone */
    rig_change(0, "UP", "DOWN", "L4CON the connection was refused (first check)");
}

static void a_result_that_comes_after_the_disabling_is_ignored(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_health(1, 1);
    rig_open(1);
    struct route_check check;
    uint64_t next_ms;
    assert_true(route_take_check(rig.route, rig.now_ms, &check, &next_ms));
    route_set_admin(rig.route, 0, ROUTE_DISABLED, rig.now_ms);
    struct health_result result = {.code = HEALTH_L4TOUT};
    route_check_done(rig.route, &check, &result, rig.now_ms);
    route_set_admin(rig.route, 0, ROUTE_READY, rig.now_ms);
    route_check_done(rig.route, &check, &result, rig.now_ms);
    assert_string_equal(rig_info(0).word, "UP");
    assert_false(rig_info(0).servers[0].health.checked);
    rig_check(0, HEALTH_L4OK);
}

/* ---- changes ---- */

static void when_too_many_changes_wait_the_oldest_are_dropped_and_counted(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_open(1);
    const uint64_t toggles = 200;
    for (uint64_t i = 0; i < toggles; i++) {
        rig.now_ms++;
        route_set_weight(rig.route, 0, i % 2 == 0 ? 0 : (uint32_t)i);
    }
    struct route_change change = {0};
    uint64_t dropped = 0;
    uint64_t first_dropped = 0;
    uint64_t taken = 0;
    while (route_take_change(rig.route, &change, &dropped)) {
        if (taken++ == 0)
            first_dropped = dropped;
        else
            assert_int_equal(dropped, 0);
    }
    assert_int_equal(taken + first_dropped, toggles);
    assert_true(first_dropped > 0 && taken >= 64);
    assert_string_equal(change.cause, "weight 199");
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_operators_word_is_the_upstreams_state),
        TEST(a_weight_of_zero_drains),
        TEST(a_drained_upstream_is_checked_and_a_disabled_one_is_not),
        TEST(a_disabled_server_begins_anew_when_it_is_enabled),
        TEST(a_result_that_comes_after_the_disabling_is_ignored),
        TEST(when_too_many_changes_wait_the_oldest_are_dropped_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
