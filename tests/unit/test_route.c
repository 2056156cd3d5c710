#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "os/os.h"
#include "route/route.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define UPSTREAMS_MAX 5

static struct conf_upstream conf_upstreams[UPSTREAMS_MAX];
static struct conf_route conf = {.name = "lobby", .upstreams = conf_upstreams};
static struct route route;

/* Address number `k` of upstream `u` is 10.0.u.k. */
static struct addr address(size_t u, size_t k)
{
    struct addr addr = {.family = ADDR_IPV4, .port = 7000};
    addr.ip[0] = 10;
    addr.ip[2] = (uint8_t)u;
    addr.ip[3] = (uint8_t)k;
    return addr;
}

/* Makes a route whose upstreams have these numbers of addresses. */
static void start(const size_t addr_counts[], size_t upstream_count)
{
    conf.upstream_count = upstream_count;
    assert_int_equal(route_init(&route, &conf), ERR_OK);
    for (size_t u = 0; u < upstream_count; u++) {
        struct addr addrs[8];
        for (size_t k = 0; k < addr_counts[u]; k++)
            addrs[k] = address(u, k);
        assert_int_equal(route_set_addrs(&route, u, addrs, addr_counts[u]), ERR_OK);
    }
}

#define START(...) start((const size_t[]){__VA_ARGS__}, COUNT(((const size_t[]){__VA_ARGS__})))

static int tear_down(void **state)
{
    (void)state;
    route_free(&route);
    assert_null(route.upstreams);
    return 0;
}

static struct route_target picked(struct route_cursor *cursor)
{
    struct route_target target;
    memset(&target, 0xEE, sizeof target);
    assert_true(route_pick(&route, cursor, &target));
    assert_true(target.upstream < route.upstream_count);
    assert_int_equal(target.addr.ip[2], target.upstream);
    return target;
}

/* The first target of a new session. */
static struct route_target first_pick(void)
{
    struct route_cursor cursor = {0};
    return picked(&cursor);
}

static void a_new_route_knows_its_configuration_and_no_address(void **state)
{
    (void)state;
    conf.upstream_count = 2;
    assert_int_equal(route_init(&route, &conf), ERR_OK);
    assert_ptr_equal(route.conf, &conf);
    assert_int_equal(route.upstream_count, 2);
    assert_ptr_equal(route.upstreams[0].conf, &conf_upstreams[0]);
    assert_ptr_equal(route.upstreams[1].conf, &conf_upstreams[1]);
    assert_int_equal(route.upstreams[1].addr_count, 0);
}

static void sessions_take_the_upstreams_in_turn(void **state)
{
    (void)state;
    START(1, 1, 1);
    for (size_t i = 0; i < 9; i++) {
        struct route_target target = first_pick();
        assert_int_equal(target.upstream, i % 3);
        assert_false(target.came_round);
    }
}

static void sessions_take_the_addresses_of_an_upstream_in_turn(void **state)
{
    (void)state;
    START(3);
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(first_pick().addr.ip[3], i % 3);
}

static void upstreams_and_addresses_both_take_turns(void **state)
{
    (void)state;
    START(2, 3);
    unsigned seen[2][3] = {{0}};
    for (size_t i = 0; i < 24; i++) {
        struct route_target target = first_pick();
        seen[target.upstream][target.addr.ip[3]]++;
    }
    assert_int_equal(seen[0][0], 6);
    assert_int_equal(seen[0][1], 6);
    assert_int_equal(seen[1][0], 4);
    assert_int_equal(seen[1][1], 4);
    assert_int_equal(seen[1][2], 4);
}

static void an_upstream_without_address_is_passed_over_and_shares_stay_equal(void **state)
{
    (void)state;
    START(1, 0, 1, 0, 1);
    unsigned seen[UPSTREAMS_MAX] = {0};
    for (size_t i = 0; i < 30; i++)
        seen[first_pick().upstream]++;
    assert_int_equal(seen[0], 10);
    assert_int_equal(seen[1], 0);
    assert_int_equal(seen[2], 10);
    assert_int_equal(seen[3], 0);
    assert_int_equal(seen[4], 10);
}

static void without_any_address_nothing_is_picked(void **state)
{
    (void)state;
    START(0, 0);
    struct route_cursor cursor = {0};
    struct route_target target = {.upstream = 77};
    assert_false(route_pick(&route, &cursor, &target));
    assert_int_equal(cursor.tries, 0);
    assert_int_equal(target.upstream, 77);

    const struct addr addr = address(1, 0);
    assert_int_equal(route_set_addrs(&route, 1, &addr, 1), ERR_OK);
    assert_int_equal(picked(&cursor).upstream, 1);
}

static void a_session_tries_all_upstreams_before_one_twice(void **state)
{
    (void)state;
    START(1, 1, 0, 1);
    for (int session = 0; session < 7; session++) {
        struct route_cursor cursor = {0};
        unsigned seen[UPSTREAMS_MAX] = {0};
        for (unsigned try = 0; try < 9; try++) {
            struct route_target target = picked(&cursor);
            assert_int_equal(seen[target.upstream]++, try / 3);
            assert_int_equal(target.came_round, try >= 3);
            assert_int_equal(cursor.tries, try + 1);
        }
    }
}

/* A name that stands for ::1 and 127.0.0.1, with a server that listens on one of them: the
 * session must get there at once, whichever comes first. */
static void a_further_try_takes_another_address_of_the_upstream(void **state)
{
    (void)state;
    START(3);
    for (int session = 0; session < 6; session++) {
        struct route_cursor cursor = {0};
        unsigned seen = 0;
        for (unsigned try = 0; try < 3; try++) {
            struct route_target target = picked(&cursor);
            assert_false(target.came_round);
            seen |= 1u << target.addr.ip[3];
        }
        assert_int_equal(seen, 7);
        assert_true(picked(&cursor).came_round);
    }
}

static void it_came_round_when_this_very_address_was_tried(void **state)
{
    (void)state;
    START(2, 1);
    struct route_cursor cursor = {0};
    static const struct {
        size_t upstream;
        uint8_t address;
        bool came_round;
    } expected[] = {{0, 0, false}, {1, 0, false}, {0, 1, false}, {1, 0, true}, {0, 0, true}};
    for (size_t i = 0; i < COUNT(expected); i++) {
        struct route_target target = picked(&cursor);
        assert_int_equal(target.upstream, expected[i].upstream);
        assert_int_equal(target.addr.ip[3], expected[i].address);
        assert_int_equal(target.came_round, expected[i].came_round);
    }
}

static void other_sessions_do_not_disturb_a_sessions_tries(void **state)
{
    (void)state;
    START(2, 2);
    struct route_cursor cursor = {0};
    unsigned seen = 0;
    for (unsigned try = 0; try < 4; try++) {
        struct route_target target = picked(&cursor);
        assert_false(target.came_round);
        seen |= 1u << (2 * target.upstream + target.addr.ip[3]);
        for (unsigned other = 0; other <= try; other++)
            first_pick();
    }
    assert_int_equal(seen, 15);
}

static void a_cursor_at_the_end_of_the_numbers_still_meets_all(void **state)
{
    (void)state;
    START(1, 1, 1);
    route.next = UINT32_MAX;
    struct route_cursor cursor = {0};
    unsigned seen = 0;
    for (unsigned try = 0; try < 3; try++)
        seen |= 1u << picked(&cursor).upstream;
    assert_int_equal(seen, 7);
    assert_int_equal(cursor.start, UINT32_MAX);
    assert_int_equal(route.next, 0);
}

static void addresses_are_copied_and_can_be_replaced(void **state)
{
    (void)state;
    START(1);
    struct addr addrs[2] = {address(0, 8), address(0, 9)};
    assert_int_equal(route_set_addrs(&route, 0, addrs, 2), ERR_OK);
    memset(addrs, 0, sizeof addrs);
    assert_int_equal(first_pick().addr.ip[3], 8);
    assert_int_equal(first_pick().addr.ip[3], 9);
    assert_int_equal(first_pick().addr.port, 7000);
    assert_int_equal(route_set_addrs(&route, 0, NULL, 0), ERR_OK);
    struct route_cursor cursor = {0};
    struct route_target target;
    assert_false(route_pick(&route, &cursor, &target));
}

/* ---- threads ---- */

#define PICKS 3000

static _Atomic uint32_t shares[3];

static void pick_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < PICKS; i++) {
        struct route_cursor cursor = {0};
        struct route_target target;
        if (route_pick(&route, &cursor, &target))
            shares[target.upstream]++;
    }
}

static void workers_together_take_equal_shares(void **state)
{
    (void)state;
    START(1, 1, 1);
    struct os_thread *threads[3];
    for (size_t i = 0; i < COUNT(threads); i++)
        assert_int_equal(os_thread_start(&threads[i], "route", pick_many, NULL), ERR_OK);
    for (size_t i = 0; i < COUNT(threads); i++)
        os_thread_join(threads[i]);
    for (size_t i = 0; i < COUNT(shares); i++)
        assert_int_equal(shares[i], COUNT(threads) * PICKS / 3);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_route_knows_its_configuration_and_no_address),
        TEST(sessions_take_the_upstreams_in_turn),
        TEST(sessions_take_the_addresses_of_an_upstream_in_turn),
        TEST(upstreams_and_addresses_both_take_turns),
        TEST(an_upstream_without_address_is_passed_over_and_shares_stay_equal),
        TEST(without_any_address_nothing_is_picked),
        TEST(a_session_tries_all_upstreams_before_one_twice),
        TEST(a_further_try_takes_another_address_of_the_upstream),
        TEST(it_came_round_when_this_very_address_was_tried),
        TEST(other_sessions_do_not_disturb_a_sessions_tries),
        TEST(a_cursor_at_the_end_of_the_numbers_still_meets_all),
        TEST(addresses_are_copied_and_can_be_replaced),
        TEST(workers_together_take_equal_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
