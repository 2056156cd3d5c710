/* test_route_eject.c - servers that fail too often, and the slow start of those that come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "route_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void too_many_failures_in_the_time_eject(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_eject(3, 10000, 30000);
    rig_open(1);
    for (int i = 0; i < 2; i++) {
        rig_fail(1);
        rig.now_ms += 5000;
    }
    rig_no_change();
    rig_fail(1);
    struct route_change change = rig_change(1, "UP", "EJECTED", "3 failures in 10s");
    assert_true(change.up_before && !change.up);
    assert_int_equal(change.lasted_ms, 10000);
    for (int i = 0; i < 10; i++)
        assert_int_equal(rig_pass(), 0);
    struct route_upstream_info info = rig_info(1);
    assert_string_equal(info.word, "EJECTED");
    assert_string_equal(info.servers[0].word, "EJECTED");
    assert_false(info.servers[0].usable);
    assert_int_equal(info.servers[0].ejected_until_ms, rig.now_ms + 30000);

    rig.now_ms += 29999;
    route_tick(rig.route, rig.now_ms);
    rig_no_change();
    rig.now_ms += 1;
    route_tick(rig.route, rig.now_ms);
    assert_int_equal(rig_change(1, "EJECTED", "UP", "30s over").lasted_ms, 30000);
    assert_int_equal(rig_info(1).servers[0].ejected_until_ms, 0);
}

static void failures_far_apart_do_not_eject(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_eject(3, 10000, 30000);
    rig_open(1);
    for (int i = 0; i < 50; i++) {
        rig_fail(1);
        rig.now_ms += 5001;
    }
    rig_no_change();
}

static void after_an_ejection_failures_count_anew(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_eject(3, 100000, 1000);
    rig_open(1);
    for (int i = 0; i < 3; i++)
        rig_fail(1);
    rig_change(1, "UP", "EJECTED", "3 failures in 100s");
    rig.now_ms += 1000;
    route_tick(rig.route, rig.now_ms);
    rig_change(1, "EJECTED", "UP", "1s over");
    rig_fail(1);
    rig_fail(1);
    rig_no_change();
    rig_fail(1);
    rig_change(1, "UP", "EJECTED", "3 failures in 100s");
}

static void one_address_is_ejected_and_the_others_of_its_name_stay(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_eject(1, 1000, 1000);
    rig_open(3);
    struct route_target target = rig_pick();
    struct addr client = rig_client(1);
    route_note_failure(rig.route, 0, target.server, &client, rig.now_ms);
    struct route_change change = rig_change(0, "UP", "EJECTED", "1 failure in 1s");
    assert_true(addr_equal(&change.addr, &target.addr));
    assert_string_equal(rig_info(0).word, "UP");
    for (int i = 0; i < 10; i++)
        assert_int_not_equal(rig_pick().server, target.server);
}

static void the_last_server_is_never_ejected(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 4);
    rig_eject(2, 10000, 30000);
    rig.upstreams[0].weight = 0;
    rig.upstreams[1].disabled = true;
    rig_open(1);
    rig_fail(2);
    rig_fail(2);
    rig_change(2, "UP", "EJECTED", "2 failures in 10s");
    for (int i = 0; i < 20; i++)
        rig_fail(3);
    rig_no_change();
    assert_int_equal(rig_pass(), 3);
}

static void the_last_server_is_ejected_once_another_can_be_used(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_eject(2, 10000, 30000);
    rig.upstreams[1].disabled = true;
    rig_open(1);
    for (int i = 0; i < 20; i++)
        rig_fail(0);
    rig_no_change();
    route_set_admin(rig.route, 1, ROUTE_READY, rig.now_ms);
    rig_change(1, "DISABLED", "UP", "operator");
    rig_fail(0);
    rig_change(0, "UP", "EJECTED", "2 failures in 10s");
}

static void a_backup_lets_the_only_other_server_be_ejected(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_eject(2, 10000, 30000);
    rig.upstreams[1].backup = true;
    rig_open(1);
    rig_fail(0);
    rig_fail(0);
    rig_change(0, "UP", "EJECTED", "2 failures in 10s");
    assert_int_equal(rig_pass(), 1);
    rig_fail(1);
    rig_fail(1);
    rig_no_change();
}

static void an_ejection_ends_when_the_others_have_gone(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 3);
    rig_eject(1, 10000, 30000);
    rig.conf.eject_max_percent = 100;
    rig_open(1);
    rig_fail(1);
    rig_fail(2);
    rig_drop_changes();
    rig.now_ms += 700;
    route_set_admin(rig.route, 0, ROUTE_DRAIN, rig.now_ms);
    rig_change(0, "UP", "DRAIN", "operator");
    for (size_t u = 1; u < 3; u++)
        assert_int_equal(rig_change(u, "EJECTED", "UP", "no other server is left").lasted_ms,
                         700);
    assert_int_equal(rig_outcome(), ROUTE_PICKED);
}

static void enabling_ends_an_ejection(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_eject(1, 10000, 30000);
    rig_open(1);
    rig_fail(1);
    rig_drop_changes();
    assert_true(route_set_admin(rig.route, 1, ROUTE_READY, rig.now_ms));
    rig_change(1, "EJECTED", "UP", "operator");
    assert_false(route_set_admin(rig.route, 1, ROUTE_READY, rig.now_ms));
    rig_no_change();
}

static void a_check_that_passes_ends_an_ejection(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_health(2, 3);
    rig_eject(1, 10000, 60000);
    rig_open(1);
    rig_check(0, HEALTH_L4OK);
    rig_check(1, HEALTH_L4OK);
    rig_fail(1);
    rig_change(1, "UP", "EJECTED", "1 failure in 10s");
    rig.now_ms += 10000;
    rig_check(0, HEALTH_L4OK);
    rig_check(1, HEALTH_L4CON);
    rig_no_change();
    rig.now_ms += 500;
    rig_check(1, HEALTH_L4OK);
    rig_change(1, "EJECTED", "UP", "L4OK connected (check passed)");
    assert_int_equal(rig_info(1).servers[0].ejected_until_ms, 0);
}

static void an_ejected_server_that_went_down_comes_back_as_up(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_health(1, 1);
    rig_eject(1, 10000, 60000);
    rig_open(1);
    rig_check(0, HEALTH_L4OK);
    rig_fail(1);
    rig_change(1, "UP", "EJECTED", "1 failure in 10s");
    rig_check(1, HEALTH_L7RSP);
    rig_change(1, "EJECTED", "DOWN",
               "L7RSP the answer was another one, or the connection ended before it (first "
               "check)");
    rig.now_ms += 10000;
    rig_check(0, HEALTH_L4OK);
    rig_check(1, HEALTH_L7OK);
    rig_change(1, "DOWN", "UP", "L7OK the answer was the expected one (rise 1)");
}

/* ---- what a client can bring about ---- */

static void one_client_counts_once_in_the_time_at_each_server(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 3);
    rig_eject(2, 10000, 30000);
    rig_open(1);
    for (int i = 0; i < 50; i++) {
        rig_fail_for(1, 7);
        rig_fail_for(2, 7);
        rig.now_ms += 200;
    }
    rig_no_change();
    rig.now_ms += 1; /* its first failure is too old by now */
    rig_fail_for(1, 7);
    rig_fail_for(1, 7);
    rig_no_change();
    rig_fail_for(1, 8);
    rig_change(1, "UP", "EJECTED", "2 failures in 10s");
}

static void clients_that_came_before_do_not_crowd_another_one_out(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_eject(3, 10000, 30000);
    rig_open(1);
    for (uint32_t i = 0; i < 40; i++) { /* two at a time are never three */
        rig_fail_for(1, i % 2);
        rig.now_ms += 5000;
        rig_fail_for(1, i % 2);
    }
    rig_no_change();
}

/* ---- how many ---- */

/* Lets every server fail for as many clients as eject it; gives how many were. */
static size_t eject_all(size_t upstream_count)
{
    for (size_t u = 0; u < upstream_count; u++)
        for (int i = 0; i < 2; i++)
            if (strcmp(rig_info(u).word, "UP") == 0)
                rig_fail(u);
    size_t ejected = 0;
    for (size_t u = 0; u < upstream_count; u++)
        ejected += strcmp(rig_info(u).word, "EJECTED") == 0;
    return ejected;
}

static void no_more_are_ejected_than_eject_max_allows(void **state)
{
    static const struct {
        size_t servers;
        uint32_t percent;
        size_t ejected;
    } cases[] = {{1, 50, 0}, {1, 100, 0}, {2, 50, 1},  {3, 50, 1},  {4, 50, 2},
                 {5, 50, 2}, {9, 50, 4},  {2, 10, 1},  {9, 10, 1},  {3, 67, 2},
                 {4, 1, 1},  {4, 99, 3},  {4, 100, 3}, {20, 10, 2}, {20, 50, 10}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        rig_begin(CONF_ROUND_ROBIN, cases[i].servers);
        rig_eject(2, 10000, 30000);
        rig.conf.eject_max_percent = cases[i].percent;
        rig_open(1);
        assert_int_equal(eject_all(cases[i].servers), cases[i].ejected);
        if (i + 1 < COUNT(cases))
            rig_close(state);
    }
}

static void a_server_is_ejected_when_the_share_has_room_again(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 3);
    rig_eject(1, 10000, 30000);
    rig_open(1);
    rig_fail(0);
    rig_change(0, "UP", "EJECTED", "1 failure in 10s");
    rig_fail(1);
    rig_no_change();
    route_set_admin(rig.route, 0, ROUTE_READY, rig.now_ms);
    rig_change(0, "EJECTED", "UP", "operator");
    rig_fail(1);
    rig_change(1, "UP", "EJECTED", "1 failure in 10s");
}

static void ejections_above_the_share_end_when_servers_are_taken_away(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 4);
    rig_eject(1, 10000, 30000);
    rig_open(1);
    rig_fail(0);
    rig.now_ms += 1;
    rig_fail(1);
    rig_drop_changes();
    route_set_admin(rig.route, 3, ROUTE_DRAIN, rig.now_ms);
    rig_change(3, "UP", "DRAIN", "operator");
    rig_change(0, "EJECTED", "UP", "more were ejected than eject_max allows");
    rig_no_change();
    assert_string_equal(rig_info(1).word, "EJECTED");
}

/* ---- slow start ---- */

/* The share of upstream 1 of 1000 sessions, in percent. */
static unsigned measure_share(void)
{
    unsigned seen = 0;
    for (int i = 0; i < 1000; i++)
        seen += rig_pass() == 1;
    return (seen + 5) / 10;
}

static void a_share_grows_after_it_was_disabled(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_weights((const uint32_t[]){10, 10});
    rig.upstreams[1].slow_start_ms = 20000;
    rig_open(1);
    assert_int_equal(measure_share(), 50); /* not at the start */
    assert_int_equal(rig_info(1).weight_percent, 100);

    route_set_admin(rig.route, 1, ROUTE_DISABLED, rig.now_ms);
    assert_int_equal(measure_share(), 0);
    route_set_admin(rig.route, 1, ROUTE_READY, rig.now_ms);
    static const struct {
        unsigned percent, share;
    } expected[] = {{1, 1}, {25, 20}, {50, 33}, {75, 43}, {100, 50}, {100, 50}};
    for (size_t i = 0; i < COUNT(expected); i++) {
        assert_int_equal(rig_info(1).weight_percent, expected[i].percent);
        assert_int_equal(measure_share(), expected[i].share);
        rig.now_ms += 5000;
        route_tick(rig.route, rig.now_ms);
    }
    assert_int_equal(rig_info(1).weight, 10);
}

static void a_share_grows_after_it_was_down_or_ejected(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_health(1, 1);
    rig_eject(1, 1000, 5000);
    rig.upstreams[1].slow_start_ms = 10000;
    rig_open(1);
    rig_check(0, HEALTH_L4OK);
    rig_check(1, HEALTH_L4CON);
    rig.now_ms += 10000;
    rig_check(0, HEALTH_L4OK);
    rig_check(1, HEALTH_L4OK);
    assert_int_equal(rig_info(1).weight_percent, 1);
    rig.now_ms += 9000;
    route_tick(rig.route, rig.now_ms);
    assert_int_equal(rig_info(1).weight_percent, 90);
    rig.now_ms += 1000;
    route_tick(rig.route, rig.now_ms);
    assert_int_equal(measure_share(), 50);

    rig_fail(1);
    rig.now_ms += 5000;
    route_tick(rig.route, rig.now_ms);
    assert_int_equal(rig_info(1).weight_percent, 1);
    assert_true(measure_share() <= 1);
}

static void a_drained_one_keeps_its_share(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig.upstreams[1].slow_start_ms = 10000;
    rig_open(1);
    route_set_admin(rig.route, 1, ROUTE_DRAIN, rig.now_ms);
    assert_int_equal(measure_share(), 0);
    route_set_admin(rig.route, 1, ROUTE_READY, rig.now_ms);
    assert_int_equal(measure_share(), 50);
}

static void a_new_address_gets_its_share_at_once(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig.upstreams[0].slow_start_ms = 10000;
    rig_open(1);
    route_set_admin(rig.route, 0, ROUTE_DISABLED, rig.now_ms);
    route_set_admin(rig.route, 0, ROUTE_READY, rig.now_ms);
    assert_int_equal(rig_info(0).weight_percent, 1);
    struct route_target held = rig_pick();
    rig_set_addrs(0, 1, (const size_t[]){1});
    assert_int_equal(rig_info(0).weight_percent, 100);
    rig_set_addrs(0, 2, (const size_t[]){0, 1}); /* one that had gone is as good as new */
    assert_int_equal(rig_info(0).weight_percent, 100);
    rig_give(&held);
}

static void one_that_is_alone_serves_from_the_first_moment(void **state)
{
    (void)state;
    rig_begin(CONF_LEAST_SESSIONS, 1);
    rig.upstreams[0].slow_start_ms = 10000;
    rig.upstreams[0].disabled = true;
    rig_open(1);
    assert_int_equal(rig_outcome(), ROUTE_ALL_DOWN);
    route_set_admin(rig.route, 0, ROUTE_READY, rig.now_ms);
    assert_int_equal(rig_outcome(), ROUTE_PICKED);
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(too_many_failures_in_the_time_eject),
        TEST(failures_far_apart_do_not_eject),
        TEST(after_an_ejection_failures_count_anew),
        TEST(one_address_is_ejected_and_the_others_of_its_name_stay),
        TEST(the_last_server_is_never_ejected),
        TEST(the_last_server_is_ejected_once_another_can_be_used),
        TEST(a_backup_lets_the_only_other_server_be_ejected),
        TEST(an_ejection_ends_when_the_others_have_gone),
        TEST(enabling_ends_an_ejection),
        TEST(a_check_that_passes_ends_an_ejection),
        TEST(an_ejected_server_that_went_down_comes_back_as_up),
        TEST(one_client_counts_once_in_the_time_at_each_server),
        TEST(clients_that_came_before_do_not_crowd_another_one_out),
        TEST(no_more_are_ejected_than_eject_max_allows),
        TEST(a_server_is_ejected_when_the_share_has_room_again),
        TEST(ejections_above_the_share_end_when_servers_are_taken_away),
        TEST(a_share_grows_after_it_was_disabled),
        TEST(a_share_grows_after_it_was_down_or_ejected),
        TEST(a_drained_one_keeps_its_share),
        TEST(a_new_address_gets_its_share_at_once),
        TEST(one_that_is_alone_serves_from_the_first_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
