/* test_route_health.c - servers that are checked, go down and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "route_fixture.h"

static void a_server_goes_down_by_its_checks_and_comes_back(void **state)
{
    (void)state;
    rig_begin_checked(1);
    uint64_t up_ms = rig.now_ms;
    rig_check_later(0, HEALTH_L4CON);
    assert_string_equal(rig_info(0).servers[0].word, "UP 2/3");
    rig_check_later(0, HEALTH_L4CON);
    rig_pass();
    rig_no_change();
    rig_check_later(0, HEALTH_L4CON);
    uint64_t down_ms = rig.now_ms;

    struct route_change change =
        rig_change(0, "UP", "DOWN", "L4CON the connection was refused (fall 3)");
    assert_true(change.has_server);
    assert_true(change.up_before);
    assert_false(change.up);
    assert_int_equal(change.from_state, ROUTE_UP);
    assert_int_equal(change.to_state, ROUTE_DOWN);
    assert_int_equal(change.lasted_ms, down_ms - up_ms);
    struct addr addr = rig_address(0, 0);
    assert_true(addr_equal(&change.addr, &addr));
    assert_int_equal(rig_outcome(), ROUTE_ALL_DOWN);
    assert_string_equal(rig_info(0).word, "DOWN");
    assert_int_equal(rig_info(0).since_ms, down_ms);

    rig_check_later(0, HEALTH_L4OK);
    assert_string_equal(rig_info(0).servers[0].word, "DOWN 1/2");
    assert_int_equal(rig_outcome(), ROUTE_ALL_DOWN);
    rig_check_later(0, HEALTH_L4OK);
    change = rig_change(0, "DOWN", "UP", "L4OK connected (rise 2)");
    assert_int_equal(change.lasted_ms, rig.now_ms - down_ms);
    assert_false(change.up_before);
    assert_true(change.up);
    rig_no_change();
    rig_pass();
    assert_int_equal(rig_info(0).servers[0].health.downs_total, 1);
}

static void a_first_check_that_fails_takes_it_down(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_health(2, 3);
    rig_open(1);
    assert_int_equal(rig_outcome(), ROUTE_PICKED);
    rig_check(0, HEALTH_L4TOUT);
    rig_change(0, "UP", "DOWN", "L4TOUT no connection within the time (first check)");
    assert_int_equal(rig_outcome(), ROUTE_ALL_DOWN);
}

static void each_server_is_checked_in_turn_and_once_at_a_time(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 3);
    rig_health(2, 3);
    rig.conf.health.port = 9999;
    rig_open(2);
    struct route_check checks[7];
    uint64_t next_ms;
    unsigned seen[3] = {0};
    for (size_t i = 0; i < 6; i++) {
        assert_true(route_take_check(rig.route, rig.now_ms, &checks[i], &next_ms));
        assert_int_equal(checks[i].addr.port, 9999);
        assert_int_equal(checks[i].upstream, i % 3);
        seen[checks[i].upstream] |= 1u << checks[i].addr.ip[3];
    }
    for (size_t u = 0; u < 3; u++)
        assert_int_equal(seen[u], 3);
    assert_false(route_take_check(rig.route, rig.now_ms + 99999, &checks[6], &next_ms));
    assert_true(next_ms == UINT64_MAX);

    struct health_result result = {.code = HEALTH_L4OK};
    route_check_done(rig.route, &checks[4], &result, rig.now_ms);
    assert_false(route_take_check(rig.route, rig.now_ms, &checks[6], &next_ms));
    rig.now_ms += 200000;
    assert_true(route_take_check(rig.route, rig.now_ms, &checks[6], &next_ms));
    assert_int_equal(checks[6].server, checks[4].server);
    assert_int_equal(checks[6].upstream, checks[4].upstream);
}

static void without_health_nothing_is_checked(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_open(1);
    struct route_check check;
    uint64_t next_ms = 5;
    assert_false(route_take_check(rig.route, rig.now_ms, &check, &next_ms));
    assert_true(next_ms == UINT64_MAX);
    assert_false(rig_info(0).servers[0].health.checked);
}

static void a_time_that_runs_behind_does_no_harm(void **state)
{
    (void)state;
    rig_begin_checked(1);
    for (int i = 0; i < 3; i++)
        rig_check_later(0, HEALTH_L4CON);
    rig.now_ms -= 3000;
    for (int i = 0; i < 2; i++) {
        struct route_check check;
        uint64_t next_ms;
        rig.now_ms += 10000;
        assert_true(route_take_check(rig.route, rig.now_ms, &check, &next_ms));
        rig.now_ms -= 9000;
        struct health_result result = {.code = HEALTH_L4OK};
        route_check_done(rig.route, &check, &result, rig.now_ms);
    }
    rig_change(0, "UP", "DOWN", "L4CON the connection was refused (fall 3)");
    assert_true(rig_change(0, "DOWN", "UP", "L4OK connected (rise 2)").lasted_ms < 30000);
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_server_goes_down_by_its_checks_and_comes_back),
        TEST(a_first_check_that_fails_takes_it_down),
        TEST(each_server_is_checked_in_turn_and_once_at_a_time),
        TEST(without_health_nothing_is_checked),
        TEST(a_time_that_runs_behind_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
