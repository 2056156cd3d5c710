/* test_route_servers.c - the addresses of a name come and go while sessions are open. The linker
 * puts the three functions here in the place of the C library's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "route_fixture.h"
#include "support/wrapped_memory.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SET(upstream, ...)                                                                     \
    rig_set_addrs(upstream, COUNT(((const size_t[]){__VA_ARGS__})),                            \
                  (const size_t[]){__VA_ARGS__})

static unsigned calls;   /* of memory_fails(), ever */
static unsigned failing; /* the number of the call that fails, 0: none */

bool memory_fails(void)
{
    return ++calls == failing;
}

/* The addresses that sessions get now, as bits. */
static unsigned reached(size_t upstream)
{
    unsigned bits = 0;
    for (int i = 0; i < 64; i++) {
        struct route_target target = rig_pick();
        if (target.upstream == upstream)
            bits |= 1u << target.addr.ip[3];
        rig_give(&target);
    }
    return bits;
}

/* ---- coming and going ---- */

static void addresses_that_stay_keep_their_servers(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_health(1, 1);
    rig_open(0);
    assert_true(SET(0, 1, 2));
    rig_check(0, HEALTH_L4CON);
    rig_check(0, HEALTH_L4OK);
    rig_change(0, "UP", "DOWN", "L4CON the connection was refused (first check)");
    struct route_target target = rig_pick();
    rig.now_ms += 500;

    assert_true(SET(0, 3, 2, 1));
    rig_change(0, "NEW", "UP", "the name has this address now");
    rig_no_change();
    struct route_upstream_info info = rig_info(0);
    assert_int_equal(info.server_count, 3);
    assert_string_equal(info.servers[0].word, "DOWN");
    assert_int_equal(info.servers[1].server, target.server);
    assert_int_equal(info.servers[1].sessions, 1);
    assert_int_equal(info.servers[1].since_ms, RIG_START_MS);
    assert_int_equal(info.servers[2].since_ms, rig.now_ms);
    assert_int_equal(reached(0), 1u << 2 | 1u << 3);
    rig_check(0, HEALTH_L4OK); /* the new one's, due at once */
}

static void the_same_answer_in_another_order_changes_nothing(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_open(0);
    assert_true(SET(0, 1, 2, 3));
    assert_false(SET(0, 3, 1, 2));
    assert_false(SET(0, 2, 2, 1, 3, 1));
    rig_no_change();
    assert_int_equal(rig_info(0).server_count, 3);
}

static void a_gone_server_keeps_its_sessions_until_they_are_over(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_open(0);
    SET(0, 1);
    struct route_target first = rig_pick();
    struct route_target second = rig_pick();
    rig.now_ms += 5000;
    assert_true(SET(0, 2));
    rig_change(0, "NEW", "UP", "the name has this address now");
    struct route_change change =
        rig_change(0, "UP", "GONE", "the name has this address no longer");
    assert_int_equal(change.lasted_ms, 5000);
    assert_int_equal(change.server, first.server);
    assert_int_equal(reached(0), 1u << 2);

    struct route_upstream_info info = rig_info(0);
    assert_int_equal(info.server_count, 2);
    assert_int_equal(info.sessions, 2);
    assert_true(info.servers[1].gone);
    assert_false(info.servers[1].usable);
    assert_string_equal(info.servers[1].word, "GONE");
    assert_int_equal(info.servers[1].sessions, 2);
    struct addr client = rig_client(1);
    route_note_failure(rig.route, 0, first.server, &client, rig.now_ms); /* of no interest */

    rig_give(&first);
    assert_int_equal(rig_info(0).server_count, 2);
    rig_give(&second);
    assert_int_equal(rig_info(0).server_count, 1);
    assert_int_equal(rig_info(0).sessions, 0);
    rig_no_change();
}

static void sessions_at_gone_servers_count_for_the_limit(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig.upstreams[0].max_sessions = 2;
    rig_open(0);
    SET(0, 1);
    struct route_target old = rig_pick();
    SET(0, 2);
    rig_pick();
    assert_int_equal(rig_outcome(), ROUTE_ALL_FULL);
    rig_give(&old);
    assert_int_equal(rig_outcome(), ROUTE_PICKED);
}

static void an_address_that_returns_finds_its_sessions_and_begins_anew(void **state)
{
    (void)state;
    rig_begin(CONF_LEAST_SESSIONS, 1);
    rig_health(1, 1);
    rig_open(0);
    SET(0, 1, 2);
    struct route_target held = rig_pick();
    assert_int_equal(held.addr.ip[3], 1);
    rig_check(0, HEALTH_L4CON);
    rig_check(0, HEALTH_L4OK);
    SET(0, 2);
    rig_drop_changes();
    SET(0, 2, 1);
    rig_change(0, "GONE", "UP", "the name has this address now");
    struct route_upstream_info info = rig_info(0);
    assert_int_equal(info.server_count, 2);
    assert_int_equal(info.servers[0].sessions, 1);
    assert_false(info.servers[0].health.checked);
    assert_int_equal(rig_pick().addr.ip[3], 2); /* the other has a session already */
    rig_check(0, HEALTH_L4OK);
}

static void slots_are_used_again(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_open(0);
    size_t most = 0;
    for (size_t i = 0; i < 200; i++) {
        SET(0, i % 100, 100 + i % 100);
        struct route_target target = rig_pick();
        rig_give(&target);
        most = target.server > most ? target.server : most;
    }
    assert_true(most < 4); /* two old ones and two new ones are there for a moment */
}

static void more_gone_servers_than_can_be_shown_are_counted(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_open(0);
    static struct route_target held[100];
    for (size_t i = 0; i < COUNT(held); i++) {
        SET(0, i);
        held[i] = rig_pick();
    }
    SET(0, 200);
    struct route_upstream_info info = rig_info(0);
    assert_int_equal(info.server_count, 1 + ROUTE_GONE_SHOWN_MAX);
    assert_int_equal(info.server_count + info.hidden_count, 101);
    assert_false(info.servers[0].gone);
    assert_int_equal(info.sessions, 100);
    for (size_t i = 0; i < COUNT(held); i++)
        rig_give(&held[i]);
    assert_int_equal(rig_info(0).server_count, 1);
}

/* The number of the address of each server in use, in their order. */
static void expect_numbers(size_t first, size_t count)
{
    struct route_upstream_info info = rig_info(0);
    assert_int_equal(info.server_count, count);
    for (size_t i = 0; i < count; i++) {
        struct addr addr = rig_address(0, first + i);
        bool found = false;
        for (size_t k = 0; k < count; k++)
            found |= addr_equal(&info.servers[k].addr, &addr);
        assert_true(found);
    }
}

static void addresses_are_used_up_to_a_limit_and_those_in_use_stay(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_open(0);
    size_t numbers[ROUTE_SERVERS_MAX + 4];
    for (size_t i = 0; i < COUNT(numbers); i++)
        numbers[i] = i;
    assert_true(rig_set_addrs(0, COUNT(numbers), numbers));
    expect_numbers(0, ROUTE_SERVERS_MAX);
    for (size_t i = 0; i < COUNT(numbers); i++)
        numbers[i] = COUNT(numbers) - 1 - i; /* those not in use come first now */
    assert_false(rig_set_addrs(0, COUNT(numbers), numbers));
    expect_numbers(0, ROUTE_SERVERS_MAX);
    for (size_t i = 0; i < COUNT(numbers); i++)
        numbers[i] = i + 4;
    assert_true(rig_set_addrs(0, COUNT(numbers) - 4, numbers)); /* 0 to 3 have gone */
    expect_numbers(4, ROUTE_SERVERS_MAX);
}

static void a_check_of_a_gone_server_says_nothing_of_the_next_in_its_slot(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_health(1, 1);
    rig_open(0);
    SET(0, 1);
    struct route_check old;
    uint64_t next_ms;
    assert_true(route_take_check(rig.route, rig.now_ms, &old, &next_ms));
    SET(0, 2);
    struct health_result failed = {.code = HEALTH_L4TOUT};
    route_check_done(rig.route, &old, &failed, rig.now_ms); /* its slot is free */
    SET(0, 3, 2);
    rig_drop_changes();
    route_check_done(rig.route, &old, &failed, rig.now_ms);
    rig_no_change();
    assert_int_equal(rig_info(0).servers[0].server, old.server);
    SET(0, 1, 2);
    rig_drop_changes();
    route_check_done(rig.route, &old, &failed, rig.now_ms);
    rig_no_change();
    assert_int_equal(reached(0), 1u << 1 | 1u << 2);
}

/* ---- names that do not resolve ---- */

static void a_name_that_never_resolved_is_down_until_it_does(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_open(0);
    assert_string_equal(rig_info(0).word, "INIT");
    rig.now_ms += 300;
    route_set_unresolved(rig.route, 0, rig.now_ms);
    route_set_unresolved(rig.route, 0, rig.now_ms);
    struct route_change change =
        rig_change(0, "INIT", "DOWN (resolution)", "the name does not resolve");
    assert_false(change.has_server);
    assert_int_equal(change.lasted_ms, 300);
    rig_no_change();
    assert_string_equal(rig_info(0).word, "DOWN (resolution)");
    assert_int_equal(rig_outcome(), ROUTE_ALL_DOWN);

    rig.now_ms += 700;
    SET(0, 1, 2);
    change = rig_change(0, "DOWN (resolution)", "UP", "the name resolves");
    assert_true(change.up);
    assert_int_equal(change.lasted_ms, 700);
    rig_no_change();
    assert_int_equal(reached(0), 6);
}

static void the_last_good_answer_stays_when_a_name_does_not_resolve(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_open(0);
    SET(0, 1, 2);
    route_set_unresolved(rig.route, 0, rig.now_ms);
    rig_no_change();
    assert_string_equal(rig_info(0).word, "UP");
    assert_int_equal(reached(0), 6);
}

static void the_first_answer_is_no_change(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig.upstreams[1].disabled = true;
    rig_open(2);
    rig_no_change();
    assert_string_equal(rig_info(0).word, "UP");
    assert_string_equal(rig_info(1).word, "DISABLED");
}

/* ---- memory ---- */

static void without_memory_no_route_is_opened_and_nothing_is_lost(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 2);
    struct route *route = NULL;
    unsigned needed;
    for (needed = 0;; needed++) {
        failing = calls + needed + 1;
        enum err err = route_open(&route, &rig.conf, 1, rig.now_ms);
        if (err == ERR_OK)
            break;
        assert_int_equal(err, ERR_NOMEM);
        assert_null(route);
    }
    failing = 0;
    assert_int_equal(needed, 4);
    route_close(route);
    rig.conf.upstream_count = 0;
}

static void without_memory_the_addresses_stay_as_they_were(void **state)
{
    (void)state;
    rig_begin(CONF_ROUND_ROBIN, 1);
    rig_open(0);
    SET(0, 1, 2);
    SET(0, 1, 3);
    rig_drop_changes();
    struct addr addrs[12];
    for (size_t i = 0; i < COUNT(addrs); i++)
        addrs[i] = rig_address(0, i + 3);
    bool changed = true;
    unsigned needed = 0;
    for (;; needed++) {
        failing = calls + needed + 1;
        enum err err = route_set_addrs(rig.route, 0, addrs, COUNT(addrs), rig.now_ms, &changed);
        failing = 0;
        if (err == ERR_OK)
            break;
        assert_int_equal(err, ERR_NOMEM);
        assert_int_equal(reached(0), 1u << 1 | 1u << 3);
        assert_int_equal(rig_info(0).server_count, 2);
        rig_no_change();
    }
    assert_true(needed >= COUNT(addrs) - 1); /* a new server for each but one */
    assert_true(changed);
    assert_int_equal(reached(0), 0x7FF8);
}

static void a_pick_allocates_nothing(void **state)
{
    (void)state;
    rig_begin(CONF_LEAST_SESSIONS, 20);
    rig_open(3);
    unsigned before = calls;
    for (int i = 0; i < 1000; i++)
        rig_pass();
    assert_int_equal(calls, before);
}

/* The index is another upstream's now. */
static void what_was_not_told_of_an_upstream_goes_with_its_slot(void **state)
{
    (void)state;
    static struct conf_upstream others[2];
    static struct conf_route other;
    struct route_plan *plan;
    rig_begin(CONF_ROUND_ROBIN, 2);
    rig_open(1);
    rig_set_addrs(0, 2, (const size_t[]){0, 1});
    rig_set_addrs(1, 2, (const size_t[]){0, 1});
    rig_set_addrs(0, 2, (const size_t[]){0, 2});
    memcpy(others, rig.upstreams, sizeof others);
    other = rig.conf;
    other.upstreams = others;
    str_format(others[0].name, sizeof others[0].name, "another:7000");
    assert_int_equal(route_prepare(&plan, rig.route, &other), ERR_OK);
    route_reconfigure(rig.route, plan, rig.now_ms);
    rig_change(1, "NEW", "UP", "the name has this address now");
    rig_no_change();
}

#define TEST(name) cmocka_unit_test_teardown(name, rig_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_that_stay_keep_their_servers),
        TEST(the_same_answer_in_another_order_changes_nothing),
        TEST(a_gone_server_keeps_its_sessions_until_they_are_over),
        TEST(sessions_at_gone_servers_count_for_the_limit),
        TEST(an_address_that_returns_finds_its_sessions_and_begins_anew),
        TEST(slots_are_used_again),
        TEST(more_gone_servers_than_can_be_shown_are_counted),
        TEST(addresses_are_used_up_to_a_limit_and_those_in_use_stay),
        TEST(a_check_of_a_gone_server_says_nothing_of_the_next_in_its_slot),
        TEST(a_name_that_never_resolved_is_down_until_it_does),
        TEST(the_last_good_answer_stays_when_a_name_does_not_resolve),
        TEST(the_first_answer_is_no_change),
        TEST(without_memory_no_route_is_opened_and_nothing_is_lost),
        TEST(without_memory_the_addresses_stay_as_they_were),
        TEST(a_pick_allocates_nothing),
        TEST(what_was_not_told_of_an_upstream_goes_with_its_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
