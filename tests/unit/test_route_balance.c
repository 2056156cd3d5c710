/* test_route_balance.c - balancing by load, by the client, by chance and by order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "route_fixture.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- least_sessions ---- */

/* Slow and obvious: nobody with a free place has fewer sessions for its weight than `chosen`
 * had before this pick. */
static void expect_least(size_t chosen, const uint32_t before[])
{
    for (size_t u = 0; u < rig.conf.upstream_count; u++) {
        uint32_t limit = rig.upstreams[u].max_sessions;
        if (limit != 0 && before[u] >= limit)
            continue;
        double load = (double)before[u] / rig.upstreams[u].weight;
        double chosen_load = (double)before[chosen] / rig.upstreams[chosen].weight;
        if (load < chosen_load - 1e-9)
            fail_msg("upstream %zu with %u/%u, though %zu has %u/%u", chosen, before[chosen],
                     rig.upstreams[chosen].weight, u, before[u], rig.upstreams[u].weight);
    }
}

static void least_sessions_never_takes_a_fuller_one(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 4);
    for (int round = 0; round < 30; round++) {
        size_t count = random_between(&random, 1, 12);
        rig_begin(CONF_LEAST_SESSIONS, count);
        for (size_t i = 0; i < count; i++) {
            rig.upstreams[i].weight = (uint32_t)random_between(&random, 1, 20);
            rig.upstreams[i].max_sessions =
                random_chance(&random, 30) ? (uint32_t)random_between(&random, 1, 30) : 0;
        }
        rig_open(1);
        static struct route_target open[300];
        size_t open_count = 0;
        uint32_t sessions[12] = {0};
        for (int step = 0; step < 2000; step++) {
            if (open_count > 0 && (open_count == COUNT(open) || random_chance(&random, 45))) {
                size_t index = random_below(&random, open_count);
                rig_give(&open[index]);
                sessions[open[index].upstream]--;
                open[index] = open[--open_count];
            } else if (rig_outcome() == ROUTE_PICKED) {
                open[open_count] = rig_pick();
                expect_least(open[open_count].upstream, sessions);
                sessions[open[open_count++].upstream]++;
            }
        }
        rig_close(NULL);
    }
}

static void equally_loaded_ones_take_turns_by_weight(void **state)
{
    (void)state;
    static const uint32_t weights[] = {4, 2, 1};
    rig_begin(CONF_LEAST_SESSIONS, 3);
    rig_weights(weights);
    rig_open(1);
    unsigned seen[3] = {0};
    for (int i = 0; i < 700; i++)
        seen[rig_pass()]++;
    rig_expect_shares(seen, weights, 3, 700, 2);
}

static void sessions_that_stay_fill_up_by_weight(void **state)
{
    (void)state;
    static const uint32_t weights[] = {100, 50, 10, 1};
    rig_begin(CONF_LEAST_SESSIONS, 4);
    rig_weights(weights);
    rig_open(1);
    for (int i = 0; i < 1610; i++)
        rig_pick();
    for (size_t u = 0; u < 4; u++)
        assert_int_equal(rig_info(u).sessions, weights[u] * 10);
}

/* ---- source_hash ---- */

#define CLIENTS 60000

static uint8_t homes[CLIENTS];

static void find_homes(unsigned counts[])
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct addr client = rig_client(i);
        struct route_target target = rig_pick_for(&client);
        rig_give(&target);
        homes[i] = (uint8_t)target.upstream;
        counts[homes[i]]++;
    }
}

/* How many clients have moved; one that was not at `gone` must not have. */
static unsigned count_moved(size_t gone)
{
    unsigned moved = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct addr client = rig_client(i);
        struct route_target target = rig_pick_for(&client);
        rig_give(&target);
        if (target.upstream == homes[i])
            continue;
        assert_int_equal(homes[i], gone);
        moved++;
    }
    return moved;
}

static void a_client_goes_to_the_same_server_whatever_its_port(void **state)
{
    (void)state;
    rig_begin(CONF_SOURCE_HASH, 9);
    rig_open(2);
    for (uint32_t i = 0; i < 200; i++) {
        struct addr client = rig_client(i);
        struct route_target first = rig_pick_for(&client);
        for (uint16_t port = 1; port < 20; port++) {
            client.port = port;
            struct route_target target = rig_pick_for(&client);
            assert_int_equal(target.upstream, first.upstream);
            assert_int_equal(target.server, first.server);
        }
    }
}

static void the_hash_follows_the_weights(void **state)
{
    (void)state;
    static const uint32_t weights[] = {1, 2, 3, 10, 40, 44};
    rig_begin(CONF_SOURCE_HASH, 6);
    rig_weights(weights);
    rig_open(1);
    unsigned counts[6] = {0};
    find_homes(counts);
    rig_expect_shares(counts, weights, 6, CLIENTS, 10);
}

static void when_one_server_goes_only_its_clients_move(void **state)
{
    (void)state;
    rig_begin(CONF_SOURCE_HASH, 5);
    rig_open(1);
    unsigned counts[5] = {0};
    find_homes(counts);
    for (size_t gone = 0; gone < 5; gone++) {
        route_set_admin(rig.route, gone, ROUTE_DISABLED, rig.now_ms);
        unsigned moved = count_moved(gone);
        assert_int_equal(moved, counts[gone]);
        assert_true(moved <= CLIENTS / 5 + CLIENTS / 50);
        route_set_admin(rig.route, gone, ROUTE_READY, rig.now_ms);
        assert_int_equal(count_moved(gone), 0);
    }
}

static void the_clients_of_one_that_goes_spread_over_the_others(void **state)
{
    (void)state;
    static const uint32_t weights[] = {20, 10, 20, 30};
    rig_begin(CONF_SOURCE_HASH, 4);
    rig_weights(weights);
    rig_open(1);
    unsigned counts[4] = {0};
    find_homes(counts);
    route_set_weight(rig.route, 0, 0);
    unsigned moved[4] = {0};
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct addr client = rig_client(i);
        struct route_target target = rig_pick_for(&client);
        rig_give(&target);
        moved[target.upstream] += homes[i] == 0;
    }
    rig_expect_shares(&moved[1], &weights[1], 3, counts[0], 20);
}

static void more_weight_only_draws_clients_to_itself(void **state)
{
    (void)state;
    rig_begin(CONF_SOURCE_HASH, 4);
    rig_weights((const uint32_t[]){10, 10, 10, 10});
    rig_open(1);
    unsigned counts[4] = {0};
    find_homes(counts);
    route_set_weight(rig.route, 2, 15);
    unsigned moved = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct addr client = rig_client(i);
        struct route_target target = rig_pick_for(&client);
        rig_give(&target);
        if (target.upstream != homes[i]) {
            assert_int_equal(target.upstream, 2);
            moved++;
        }
    }
    assert_true(moved > CLIENTS / 20 && moved < CLIENTS / 6); /* 15/45 - 10/40 are 8.3 % */
}

static void the_home_does_not_depend_on_the_seed_or_the_order_of_the_file(void **state)
{
    (void)state;
    rig_begin(CONF_SOURCE_HASH, 3);
    rig_open(1);
    unsigned counts[3] = {0};
    find_homes(counts);
    route_close(rig.route);

    struct conf_upstream first = rig.upstreams[0];
    rig.upstreams[0] = rig.upstreams[2];
    rig.upstreams[2] = first;
    assert_int_equal(route_open(&rig.route, &rig.conf, 4711, rig.now_ms), ERR_OK);
    for (size_t u = 0; u < 3; u++) {
        struct addr addr = rig_address(2 - u, 0);
        assert_int_equal(route_set_addrs(rig.route, u, &addr, 1, rig.now_ms, NULL), ERR_OK);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        struct addr client = rig_client(i);
        struct route_cursor cursor = {0};
        struct route_target target;
        assert_int_equal(route_pick(rig.route, &cursor, &client, rig.now_ms, &target),
                         ROUTE_PICKED);
        rig_give(&target);
        assert_int_equal(2 - target.upstream, homes[i]);
    }
}

/* ---- random2 ---- */

static void random2_follows_the_weights(void **state)
{
    (void)state;
    static const uint32_t weights[] = {1, 5, 14, 30, 50};
    rig_begin(CONF_RANDOM2, 5);
    rig_weights(weights);
    rig_open(1);
    unsigned seen[5] = {0};
    for (int i = 0; i < 100000; i++)
        seen[rig_pass()]++;
    rig_expect_shares(seen, weights, 5, 100000, 10);
}

#define SERVERS 16
#define PLAYERS 3200 /* are there at a time */

struct player {
    struct route_target target;
    size_t server;
    uint32_t leaves; /* at the beginning of this step */
};

/* A place by the route, or without one (`chance`) at random. */
static void come(struct player *player, bool chance, struct random *random, uint32_t step)
{
    player->target = rig_pick();
    player->server = chance ? random_below(random, SERVERS) : player->target.upstream;
    player->leaves =
        step + (uint32_t)(random_chance(random, 10) ? random_between(random, 20, 100)
                                                    : random_between(random, 1, 3));
}

/* Sessions come, stay for very different times, and go. Gives how far the fullest server is
 * over the mean, on average over time, in percent. */
static double measure_imbalance(enum conf_balance balance, bool chance)
{
    static struct player players[PLAYERS];
    struct random random;
    random_init(&random, 0x5eed, 0);
    rig_begin(balance, SERVERS);
    rig_open(1);
    uint32_t sessions[SERVERS] = {0};
    double sum = 0;
    const uint32_t steps = 200;
    for (uint32_t step = 0; step < steps; step++) {
        for (size_t i = 0; i < PLAYERS; i++) {
            struct player *player = &players[i];
            if (step != 0 && player->leaves > step)
                continue;
            if (step != 0) {
                sessions[player->server]--;
                rig_give(&player->target);
            }
            come(player, chance, &random, step);
            sessions[player->server]++;
        }
        uint32_t fullest = 0;
        for (size_t u = 0; u < SERVERS; u++)
            fullest = sessions[u] > fullest ? sessions[u] : fullest;
        sum += 100.0 * fullest * SERVERS / PLAYERS - 100.0;
    }
    rig_close(NULL);
    return sum / steps;
}

static void random2_is_evener_than_chance_when_sessions_differ_in_length(void **state)
{
    (void)state;
    double chance = measure_imbalance(CONF_ROUND_ROBIN, true);
    double turns = measure_imbalance(CONF_ROUND_ROBIN, false);
    double two = measure_imbalance(CONF_RANDOM2, false);
    double least = measure_imbalance(CONF_LEAST_SESSIONS, false);
    printf("the fullest of %d servers over the mean: random %.1f %%, round_robin %.1f %%, "
           "random2 %.1f %%, least_sessions %.1f %%\n",
           SERVERS, chance, turns, two, least);
    assert_true(two < chance);
    assert_true(two < turns);
    assert_true(least <= two);
}

/* ---- first ---- */

static void first_fills_one_after_the_other(void **state)
{
    (void)state;
    rig_begin(CONF_FIRST, 3);
    rig_weights((const uint32_t[]){1, 256, 50});
    rig.upstreams[0].max_sessions = 4;
    rig.upstreams[1].max_sessions = 3;
    rig_open(1);
    struct route_target targets[10];
    for (size_t i = 0; i < 10; i++) {
        targets[i] = rig_pick();
        assert_int_equal(targets[i].upstream, i < 4 ? 0 : i < 7 ? 1 : 2);
    }
    rig_give(&targets[5]);
    rig_give(&targets[2]);
    assert_int_equal(rig_pick().upstream, 0);
    assert_int_equal(rig_pick().upstream, 1);
    assert_int_equal(rig_pick().upstream, 2);
}

static void the_addresses_of_the_first_take_turns(void **state)
{
    (void)state;
    rig_begin(CONF_FIRST, 2);
    rig.upstreams[0].max_sessions = 6;
    rig_open(3);
    unsigned seen[3] = {0};
    for (int i = 0; i < 6; i++) {
        struct route_target target = rig_pick();
        assert_int_equal(target.upstream, 0);
        seen[target.addr.ip[3]]++;
    }
    for (size_t k = 0; k < 3; k++)
        assert_int_equal(seen[k], 2);
    assert_int_equal(rig_pick().upstream, 1);
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(least_sessions_never_takes_a_fuller_one),
        TEST(equally_loaded_ones_take_turns_by_weight),
        TEST(sessions_that_stay_fill_up_by_weight),
        TEST(a_client_goes_to_the_same_server_whatever_its_port),
        TEST(the_hash_follows_the_weights),
        TEST(when_one_server_goes_only_its_clients_move),
        TEST(the_clients_of_one_that_goes_spread_over_the_others),
        TEST(more_weight_only_draws_clients_to_itself),
        TEST(the_home_does_not_depend_on_the_seed_or_the_order_of_the_file),
        TEST(random2_follows_the_weights),
        cmocka_unit_test(random2_is_evener_than_chance_when_sessions_differ_in_length),
        TEST(first_fills_one_after_the_other),
        TEST(the_addresses_of_the_first_take_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
