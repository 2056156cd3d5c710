#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "route_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- which server ---- */

static void sessions_take_the_upstreams_in_turn(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 3);
    rig_open(1);
    for (size_t i = 0; i < 9; i++) {
        struct route_target target = rig_pick();
        assert_int_equal(target.upstream, i % 3);
        assert_false(target.came_round);
    }
}

static void each_address_is_a_server_of_its_own(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_open(0);
    rig_set_addrs(0, 3, (const size_t[]){0, 1, 2});
    rig_set_addrs(1, 1, (const size_t[]){0});
    unsigned seen[2][3] = {{0}};
    for (size_t i = 0; i < 40; i++) {
        struct route_target target = rig_pick();
        seen[target.upstream][target.addr.ip[3]]++;
    }
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(seen[0][k], 10);
    assert_int_equal(seen[1][0], 10);
    assert_int_equal(rig_info(0).sessions, 30);
}

static void the_address_has_the_upstreams_first_port(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig.upstreams[0].port = 9100;
    rig.upstreams[0].port_count = 4;
    rig_open(1); /* the address says 7000 */
    assert_int_equal(rig_pick().addr.port, 9100);
}

static void without_any_address_all_are_down(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_open(0);
    assert_int_equal(rig_outcome(), ROUTE_ALL_DOWN);
    assert_false(route_is_up(rig.route, rig.now_ms));
    rig_set_addrs(1, 1, (const size_t[]){0});
    assert_int_equal(rig_pick().upstream, 1);
    assert_true(route_is_up(rig.route, rig.now_ms));
}

/* ---- further tries ---- */

static const enum conf_balance balances[] = {CONF_ROUND_ROBIN, CONF_LEAST_SESSIONS,
                                             CONF_SOURCE_HASH, CONF_RANDOM2, CONF_FIRST};

static void a_session_tries_all_servers_before_one_twice(void **state)
{
    (void)state;
    for (size_t b = 0; b < COUNT(balances); b++) {
        rig_begin(balances[b], 3);
        rig_weights((const uint32_t[]){1, 200, 7});
        rig_open(2);
        for (int session = 0; session < 7; session++) {
            struct route_cursor cursor = {0};
            unsigned seen[3][2] = {{0}};
            for (unsigned try = 0; try < 18; try++) {
                struct route_target target = rig_pick_next(&cursor);
                unsigned *times = &seen[target.upstream][target.addr.ip[3]];
                assert_int_equal((*times)++, try / 6);
                assert_int_equal(target.came_round, try >= 6);
                rig_give(&target);
            }
        }
        rig_close(NULL);
    }
}

static void other_sessions_do_not_disturb_a_sessions_tries(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_open(2);
    struct route_cursor cursor = {0};
    unsigned seen = 0;
    for (unsigned try = 0; try < 4; try++) {
        struct route_target target = rig_pick_next(&cursor);
        assert_false(target.came_round);
        seen |= 1u << (2 * target.upstream + target.addr.ip[3]);
        for (unsigned other = 0; other <= try; other++)
            rig_pass();
    }
    assert_int_equal(seen, 15);
}

static void a_server_that_joins_is_tried_before_one_comes_again(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_open(1);
    struct route_cursor cursor = {0};
    for (int try = 0; try < 5; try++)
        assert_int_equal(rig_pick_next(&cursor).came_round, try >= 2);
    rig_set_addrs(1, 2, (const size_t[]){0, 7});
    /* It may have to wait for the end of this round. */
    struct route_target target = rig_pick_next(&cursor);
    if (target.came_round)
        target = rig_pick_next(&cursor);
    assert_int_equal(target.addr.ip[3], 7);
    assert_false(target.came_round);
}

static void a_full_server_counts_as_tried_by_nobody(void **state)
{
    (void)state;
    rig_begin(CONF_FIRST, 2);
    rig.upstreams[0].max_sessions = 1;
    rig_open(1);
    struct route_target occupant = rig_pick();
    struct route_cursor cursor = {0};
    assert_int_equal(rig_pick_next(&cursor).upstream, 1);
    struct route_target again = rig_pick_next(&cursor);
    assert_int_equal(again.upstream, 1);
    assert_true(again.came_round);
    rig_give(&occupant);
    struct route_target free = rig_pick_next(&cursor);
    assert_int_equal(free.upstream, 0);
    assert_false(free.came_round);
}

static void as_many_servers_as_a_session_tells_apart_are_all_tried(void **state)
{
    (void)state;
    rig_begin(CONF_RANDOM2, ROUTE_TRIED_MAX);
    rig_open(1);
    struct route_cursor cursor = {0};
    bool seen[ROUTE_TRIED_MAX] = {false};
    for (size_t i = 0; i < ROUTE_TRIED_MAX; i++) {
        struct route_target target = rig_pick_next(&cursor);
        assert_false(seen[target.upstream]);
        assert_false(target.came_round);
        seen[target.upstream] = true;
    }
    assert_true(rig_pick_next(&cursor).came_round);
}

/* ---- places ---- */

static void a_limit_is_the_upstreams_with_all_its_addresses(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig.upstreams[0].max_sessions = 3;
    rig_open(2);
    struct route_target last = {0};
    for (int i = 0; i < 3; i++)
        last = rig_pick();
    assert_int_equal(rig_outcome(), ROUTE_ALL_FULL);
    struct route_upstream_info info = rig_info(0);
    assert_string_equal(info.word, "FULL");
    assert_false(info.usable);
    assert_int_equal(info.sessions, 3);
    assert_int_equal(info.sessions_max, 3);
    assert_true(route_is_up(rig.route, rig.now_ms));

    rig_give(&last);
    assert_string_equal(rig_info(0).word, "UP");
    assert_int_equal(rig_outcome(), ROUTE_PICKED);
    rig_pick();
    assert_int_equal(rig_outcome(), ROUTE_ALL_FULL);
    assert_int_equal(rig_info(0).sessions_peak, 3);
}

static void a_limit_can_change_while_sessions_are_open(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_open(1);
    struct route_target held[4];
    for (size_t i = 0; i < COUNT(held); i++)
        held[i] = rig_pick();
    assert_true(route_set_max_sessions(rig.route, 0, 2));
    assert_false(route_set_max_sessions(rig.route, 0, 2));
    assert_int_equal(rig_outcome(), ROUTE_ALL_FULL);
    rig_give(&held[0]);
    rig_give(&held[1]);
    assert_int_equal(rig_outcome(), ROUTE_ALL_FULL);
    rig_give(&held[2]);
    assert_int_equal(rig_outcome(), ROUTE_PICKED);
    assert_true(route_set_max_sessions(rig.route, 0, 1));
    assert_int_equal(rig_outcome(), ROUTE_ALL_FULL);
    assert_true(route_set_max_sessions(rig.route, 0, 0));
    assert_int_equal(rig_outcome(), ROUTE_PICKED);
}

static void caps_are_never_exceeded_in_any_balance(void **state)
{
    (void)state;
    for (size_t b = 0; b < COUNT(balances); b++) {
        rig_begin(balances[b], 3);
        rig_weights((const uint32_t[]){100, 1, 3});
        rig.upstreams[0].max_sessions = 5;
        rig.upstreams[1].max_sessions = 9;
        rig.upstreams[2].max_sessions = 2;
        rig_open(2);
        for (uint32_t i = 0; i < 16; i++) {
            struct addr client = rig_client(i * 77);
            rig_pick_for(&client);
        }
        for (size_t u = 0; u < 3; u++)
            assert_int_equal(rig_info(u).sessions, rig.upstreams[u].max_sessions);
        assert_int_equal(rig_outcome(), ROUTE_ALL_FULL);
        rig_close(NULL);
    }
}

/* ---- backups ---- */

static void backups_serve_only_while_no_other_is_up(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 3);
    rig.upstreams[0].backup = true;
    rig_open(1);
    for (int i = 0; i < 10; i++)
        assert_int_not_equal(rig_pass(), 0);
    assert_false(rig_info(0).usable);
    assert_string_equal(rig_info(0).word, "UP");

    route_set_admin(rig.route, 1, ROUTE_DISABLED, rig.now_ms);
    for (int i = 0; i < 10; i++)
        assert_int_equal(rig_pass(), 2);
    route_set_weight(rig.route, 2, 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(rig_pass(), 0);
    assert_true(rig_info(0).usable);
    route_set_admin(rig.route, 1, ROUTE_READY, rig.now_ms);
    for (int i = 0; i < 10; i++)
        assert_int_equal(rig_pass(), 1);
}

static void a_full_upstream_is_up_and_keeps_backups_waiting(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig.upstreams[1].backup = true;
    rig.upstreams[0].max_sessions = 1;
    rig_open(1);
    assert_int_equal(rig_pick().upstream, 0);
    assert_int_equal(rig_outcome(), ROUTE_ALL_FULL);
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sessions_take_the_upstreams_in_turn),
        TEST(each_address_is_a_server_of_its_own),
        TEST(the_address_has_the_upstreams_first_port),
        TEST(without_any_address_all_are_down),
        cmocka_unit_test(a_session_tries_all_servers_before_one_twice),
        TEST(other_sessions_do_not_disturb_a_sessions_tries),
        TEST(a_server_that_joins_is_tried_before_one_comes_again),
        TEST(a_full_server_counts_as_tried_by_nobody),
        TEST(as_many_servers_as_a_session_tells_apart_are_all_tried),
        TEST(a_limit_is_the_upstreams_with_all_its_addresses),
        TEST(a_limit_can_change_while_sessions_are_open),
        cmocka_unit_test(caps_are_never_exceeded_in_any_balance),
        TEST(backups_serve_only_while_no_other_is_up),
        TEST(a_full_upstream_is_up_and_keeps_backups_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
