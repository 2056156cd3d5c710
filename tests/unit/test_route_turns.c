/* test_route_turns.c - round_robin gives each its share, and evenly. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "route_fixture.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void turns_of_five_one_one_are_spread(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 3);
    rig_weights((const uint32_t[]){5, 1, 1});
    rig_open(1);
    char order[22] = "";
    for (size_t i = 0; i < 21; i++)
        order[i] = (char)('a' + rig_pass());
    assert_string_equal(order, "abaacaaabaacaaabaacaa");
}

static void a_turn_of_all_gives_each_exactly_its_weight(void **state)
{
    (void)state;
    static const uint32_t weights[] = {1, 256, 13, 100, 2};
    rig_begin(CONF_ROUND_ROBIN, 5);
    rig_weights(weights);
    rig_open(1);
    for (int turn = 0; turn < 20; turn++) {
        unsigned seen[5] = {0};
        for (int i = 0; i < 372; i++)
            seen[rig_pass()]++;
        for (size_t u = 0; u < 5; u++)
            assert_int_equal(seen[u], weights[u]);
    }
}

/* In any stretch the busiest has at least as many in a row as ceil(w / (W - w)); one more is
 * allowed where several others of different weights push it aside. */
static void no_run_is_longer_than_the_weights_force(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 1);
    for (int round = 0; round < 200; round++) {
        size_t count = random_between(&random, 2, 8);
        rig_begin(CONF_ROUND_ROBIN, count);
        uint32_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            rig.upstreams[i].weight = (uint32_t)random_between(&random, 1, 256);
            sum += rig.upstreams[i].weight;
        }
        rig_open(1);
        unsigned run = 0;
        size_t last = SIZE_MAX;
        for (uint32_t i = 0; i < 2 * sum; i++) {
            size_t upstream = rig_pass();
            run = upstream == last ? run + 1 : 1;
            last = upstream;
            uint32_t others = sum - rig.upstreams[upstream].weight;
            uint32_t forced = (rig.upstreams[upstream].weight + others - 1) / others;
            assert_in_range(run, 1, forced + 1);
        }
        rig_close(NULL);
    }
}

static void at_any_time_each_has_its_share_within_two_sessions(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 2);
    for (int round = 0; round < 50; round++) {
        size_t count = random_between(&random, 2, 20);
        rig_begin(CONF_ROUND_ROBIN, count);
        uint32_t sum = 0;
        for (size_t i = 0; i < count; i++) {
            rig.upstreams[i].weight = (uint32_t)random_between(&random, 1, 256);
            sum += rig.upstreams[i].weight;
        }
        rig_open(1);
        unsigned seen[20] = {0};
        for (unsigned n = 1; n <= 1000; n++) {
            seen[rig_pass()]++;
            for (size_t i = 0; i < count; i++)
                assert_true(fabs(seen[i] - (double)n * rig.upstreams[i].weight / sum) < 2);
        }
        rig_close(NULL);
    }
}

static void shares_follow_weights_that_change(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 3);
    rig_weights((const uint32_t[]){1, 1, 256});
    rig_open(1);
    static const uint32_t weights[][3] = {{256, 1, 1}, {10, 20, 30}, {0, 3, 1}, {7, 7, 7}};
    for (size_t w = 0; w < COUNT(weights); w++) {
        for (int i = 0; i < 37; i++)
            rig_pass();
        for (size_t u = 0; u < 3; u++)
            route_set_weight(rig.route, u, weights[w][u]);
        unsigned seen[3] = {0};
        for (int i = 0; i < 1000; i++)
            seen[rig_pass()]++;
        rig_expect_shares(seen, weights[w], 3, 1000, 2);
    }
}

/* A server that is away must not be owed its turns when it comes back, however often. */
static void one_that_comes_and_goes_gets_no_more_than_its_share(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 3);
    rig_open(1);
    struct random random;
    random_init(&random, random_test_seed(), 3);
    unsigned seen[3] = {0};
    unsigned all = 0;
    for (int i = 0; i < 3000; i++) {
        route_set_admin(rig.route, 0, ROUTE_DRAIN, rig.now_ms);
        for (uint64_t n = random_below(&random, 5); n > 0; n--)
            rig_pass();
        route_set_admin(rig.route, 0, ROUTE_READY, rig.now_ms);
        for (uint64_t n = random_below(&random, 5); n > 0; n--) {
            seen[rig_pass()]++;
            all++;
        }
    }
    static const uint32_t equal[] = {1, 1, 1};
    rig_expect_shares(seen, equal, 3, all, 50);
}

static void one_that_is_full_now_and_then_leaves_the_others_their_shares(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 3);
    rig_weights((const uint32_t[]){5, 2, 1});
    rig.upstreams[0].max_sessions = 1;
    rig_open(1);
    unsigned seen[3] = {0};
    struct route_target held = {0};
    bool holds = false;
    for (int i = 0; i < 8000; i++) {
        struct route_target target = rig_pick();
        seen[target.upstream]++;
        if (holds && i % 4 == 0) {
            rig_give(&held);
            holds = false;
        }
        if (target.upstream == 0) {
            held = target;
            holds = true;
        } else {
            rig_give(&target);
        }
    }
    static const uint32_t rest[] = {2, 1};
    rig_expect_shares(&seen[1], rest, 2, seen[1] + seen[2], 10);
    assert_true(seen[0] > 1000);
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(turns_of_five_one_one_are_spread),
        TEST(a_turn_of_all_gives_each_exactly_its_weight),
        cmocka_unit_test(no_run_is_longer_than_the_weights_force),
        cmocka_unit_test(at_any_time_each_has_its_share_within_two_sessions),
        TEST(shares_follow_weights_that_change),
        TEST(one_that_comes_and_goes_gets_no_more_than_its_share),
        TEST(one_that_is_full_now_and_then_leaves_the_others_their_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
