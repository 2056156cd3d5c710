/* Who may pass: the questions and their order, who is exempt, what a dry run does, and that
 * nothing of a client is left when it has gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guard_fixture.h"
#include "relay/core/sessions.h"

static const struct conf_rate one_a_second = {.count = 1, .per_ms = 1000, .burst = 1};

/* ---- one question after the other ---- */

static void the_longest_network_of_the_access_list_decides(void **state)
{
    struct fixture *fix = *state;
    add_rule(fix, "10.0.0.0/8", false);
    add_rule(fix, "10.1.0.0/16", true);
    add_rule(fix, "10.1.2.3/32", false);
    use_rules(fix);
    expect_reset(fix, "10.0.0.1", REASON_DENIED);
    expect_reset(fix, "10.1.2.3", REASON_DENIED);
    expect_let_in(fix, "10.1.2.4");
    expect_let_in(fix, "192.0.2.1");
}

static void a_list_that_only_allows_lets_nobody_else_in(void **state)
{
    struct fixture *fix = *state;
    add_rule(fix, "10.0.0.0/8", true);
    use_rules(fix);
    expect_let_in(fix, "10.0.0.1");
    expect_reset(fix, "192.0.2.1", REASON_DENIED);
}

static void a_new_list_takes_the_place_of_the_old_one(void **state)
{
    struct fixture *fix = *state;
    add_rule(fix, "10.0.0.0/8", false);
    use_rules(fix);
    fix->route_conf.access_count = 0;
    use_rules(fix);
    expect_let_in(fix, "10.0.0.1");
    add_rule(fix, "192.0.2.0/24", false);
    use_rules(fix);
    expect_let_in(fix, "10.0.0.1");
    expect_reset(fix, "192.0.2.1", REASON_DENIED);
}

static void paces_of_a_client_that_change_begin_full(void **state)
{
    struct fixture *fix = *state;
    struct guard_rules rules = {NULL};
    struct conf_route slower = fix->route_conf;
    slower.rate_up_per_client = (struct conf_pace){.bytes_per_s = 1000, .burst_bytes = 5000};
    expect_let_in(fix, "10.0.0.1");
    struct pair *pair = fixture_latest(fix);
    struct bucket *bucket = client_bucket_up(pair->client_entry);
    pair_unref(pair);
    bucket_passed(bucket, &slower.rate_up_per_client, 5000, fix->worker->now_ms);
    assert_false(bucket_is_full(bucket, fix->worker->now_ms));
    guard_rules_swap(fix->relay.routes[0], &rules, &fix->route_conf);
    assert_false(bucket_is_full(bucket, fix->worker->now_ms)); /* nothing has changed */
    guard_rules_swap(fix->relay.routes[0], &rules, &slower);
    assert_true(bucket_is_full(bucket, fix->worker->now_ms));
}

static void a_banned_client_is_turned_away_until_its_time_is_over(void **state)
{
    struct fixture *fix = *state;
    ban(fix, "10.0.0.0/24", 60000);
    expect_reset(fix, "10.0.0.7", REASON_BANNED);
    expect_let_in(fix, "10.0.1.7");
    fixture_pass(fix, 60000);
    expect_let_in(fix, "10.0.0.7");
}

static void a_ban_counts_whom_it_turned_away(void **state)
{
    struct fixture *fix = *state;
    struct ban *bans;
    size_t count;
    ban(fix, "10.0.0.7", 60000);
    for (int i = 0; i < 3; i++)
        expect_reset(fix, "10.0.0.7", REASON_BANNED);
    assert_int_equal(bans_list(fix->relay.guard.bans, 0, &bans, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_int_equal(bans[0].hits, 3);
    free(bans);
}

static void the_relay_takes_so_many_connects_and_no_more(void **state)
{
    struct fixture *fix = *state;
    fix->conf.connect_rate = one_a_second;
    expect_let_in(fix, "10.0.0.1");
    expect_reset(fix, "10.0.0.2", REASON_RATE_RELAY);
    fixture_pass(fix, 1000);
    expect_let_in(fix, "10.0.0.2");
}

static void a_route_takes_so_many_connects_and_no_more(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.connect_rate = one_a_second;
    expect_let_in(fix, "10.0.0.1");
    expect_reset(fix, "10.0.0.2", REASON_RATE_ROUTE);
    fixture_pass(fix, 1000);
    expect_let_in(fix, "10.0.0.2");
}

static void a_client_has_so_many_sessions_and_gets_one_more_when_one_ends(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_sessions_per_client = 2;
    expect_let_in(fix, "10.0.0.1");
    expect_let_in(fix, "10.0.0.1");
    expect_reset(fix, "10.0.0.1", REASON_LIMIT_CLIENT);
    expect_let_in(fix, "10.0.0.2");
    let_go(fix);
    expect_reset(fix, "10.0.0.1", REASON_LIMIT_CLIENT);
    assert_int_equal(sessions_of(fix, "10.0.0.1"), 2);
    assert_int_equal(sessions_of(fix, "10.0.0.2"), 0);

    let_go_of(fix, 1);
    assert_int_equal(sessions_of(fix, "10.0.0.1"), 1);
    expect_let_in(fix, "10.0.0.1");
}

static void a_client_comes_so_often_and_no_more(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.connect_rate_per_client = one_a_second;
    expect_let_in(fix, "10.0.0.1");
    expect_reset(fix, "10.0.0.1", REASON_RATE_CLIENT);
    expect_let_in(fix, "10.0.0.2");
    fixture_pass(fix, 1000);
    expect_let_in(fix, "10.0.0.1");
}

static void addresses_that_differ_behind_the_prefix_are_one_client(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_sessions_per_client = 1;
    expect_let_in(fix, "2001:db8::1");
    expect_reset(fix, "2001:db8::ffff:1", REASON_LIMIT_CLIENT);
    expect_let_in(fix, "2001:db8:0:1::1");
    fix->conf.client_bits_ipv4 = 24;
    expect_let_in(fix, "10.0.0.1");
    expect_reset(fix, "10.0.0.200", REASON_LIMIT_CLIENT);
    expect_let_in(fix, "10.0.1.1");
}

/* ---- the order ---- */

static void the_first_question_that_says_no_gives_the_reason(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_sessions_per_client = 1;
    expect_let_in(fix, "10.0.0.1");
    fix->route_conf.max_sessions = 1;
    fix->relay.routes[0]->quota.limit = 1;
    fix->route_conf.connect_rate = one_a_second;
    fix->conf.connect_rate = one_a_second;
    expect_reset(fix, "10.0.0.2", REASON_LIMIT_ROUTE); /* takes the one of this second */
    ban(fix, "10.0.0.1", 60000);
    add_rule(fix, "10.0.0.1", false);
    use_rules(fix);

    expect_reset(fix, "10.0.0.1", REASON_DENIED);
    fix->route_conf.access_count = 0;
    use_rules(fix);
    expect_reset(fix, "10.0.0.1", REASON_BANNED);
    struct addr_net net = net_of("10.0.0.1");
    assert_true(bans_remove(fix->relay.guard.bans, &net));
    expect_reset(fix, "10.0.0.1", REASON_RATE_RELAY);
    fix->conf.connect_rate = (struct conf_rate){0};
    expect_reset(fix, "10.0.0.1", REASON_RATE_ROUTE);
    fix->route_conf.connect_rate = (struct conf_rate){0};
    expect_reset(fix, "10.0.0.1", REASON_LIMIT_CLIENT);
    fix->route_conf.max_sessions_per_client = 0;
    expect_reset(fix, "10.0.0.1", REASON_LIMIT_ROUTE);
}

static void one_client_alone_does_not_use_up_what_is_for_all(void **state)
{
    struct fixture *fix = *state;
    fix->conf.connect_rate = (struct conf_rate){.count = 1, .per_ms = 1000, .burst = 3};
    fix->route_conf.connect_rate = fix->conf.connect_rate;
    fix->route_conf.connect_rate_per_client = one_a_second;
    expect_let_in(fix, "10.0.0.1");
    for (int i = 0; i < 50; i++)
        expect_reset(fix, "10.0.0.1", REASON_RATE_CLIENT);
    expect_let_in(fix, "10.0.0.2");
    expect_let_in(fix, "10.0.0.3");
    expect_reset(fix, "10.0.0.4", REASON_RATE_RELAY);
}

static void the_relays_rate_is_not_used_by_clients_of_a_full_route(void **state)
{
    struct fixture *fix = *state;
    fix->conf.connect_rate = (struct conf_rate){.count = 1, .per_ms = 1000, .burst = 2};
    fix->route_conf.connect_rate = one_a_second;
    expect_let_in(fix, "10.0.0.1");
    for (int i = 0; i < 5; i++)
        expect_reset(fix, "10.0.0.2", REASON_RATE_ROUTE);
    fix->route_conf.connect_rate = (struct conf_rate){0};
    expect_let_in(fix, "10.0.0.2");
    expect_reset(fix, "10.0.0.2", REASON_RATE_RELAY);
}

/* ---- exempt ---- */

static void bans_and_a_clients_limits_do_not_hold_for_the_exempt(void **state)
{
    struct fixture *fix = *state;
    exempt(fix, "10.0.0.0/8");
    ban(fix, "10.0.0.0/8", 60000);
    ban(fix, "192.0.2.1", 60000);
    fix->route_conf.max_sessions_per_client = 1;
    fix->route_conf.connect_rate_per_client = one_a_second;
    for (int i = 0; i < 5; i++)
        expect_let_in(fix, "10.0.0.1");
    expect_reset(fix, "192.0.2.1", REASON_BANNED);
    assert_int_equal(remembered(fix), 0);
}

static void the_access_list_and_the_rates_of_all_hold_for_the_exempt_too(void **state)
{
    struct fixture *fix = *state;
    exempt(fix, "10.0.0.0/8");
    add_rule(fix, "10.0.0.1", false);
    use_rules(fix);
    expect_reset(fix, "10.0.0.1", REASON_DENIED);
    fix->conf.connect_rate = one_a_second;
    expect_let_in(fix, "10.0.0.2");
    expect_reset(fix, "10.0.0.2", REASON_RATE_RELAY);
    fix->conf.connect_rate = (struct conf_rate){0};
    fix->route_conf.connect_rate = one_a_second;
    expect_let_in(fix, "10.0.0.2");
    expect_reset(fix, "10.0.0.2", REASON_RATE_ROUTE);
}

/* ---- dry run ---- */

static void expect_would(struct fixture *fix, const char *ip, enum reason reason)
{
    uint64_t before = would_refuse(fix, reason);
    expect_let_in(fix, ip);
    assert_int_equal(would_refuse(fix, reason), before + 1);
    assert_int_equal(fixture_reasons(fix, reason), 0);
}

static void a_dry_run_lets_everybody_in_and_counts_whom_it_would_refuse(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.guard = CONF_GUARD_DRY_RUN;
    add_rule(fix, "10.0.0.1", false);
    use_rules(fix);
    expect_would(fix, "10.0.0.1", REASON_DENIED);
    ban(fix, "10.0.0.2", 60000);
    expect_would(fix, "10.0.0.2", REASON_BANNED);
    fix->conf.connect_rate = one_a_second;
    expect_let_in(fix, "10.0.0.3");
    expect_would(fix, "10.0.0.3", REASON_RATE_RELAY);
    fix->conf.connect_rate = (struct conf_rate){0};
    fix->route_conf.connect_rate = one_a_second;
    expect_let_in(fix, "10.0.0.4");
    expect_would(fix, "10.0.0.4", REASON_RATE_ROUTE);
    fix->route_conf.connect_rate = (struct conf_rate){0};
    fix->route_conf.connect_rate_per_client = one_a_second;
    expect_let_in(fix, "10.0.0.5");
    expect_would(fix, "10.0.0.5", REASON_RATE_CLIENT);
    fix->route_conf.max_sessions_per_client = 1;
    expect_would(fix, "10.0.0.5", REASON_LIMIT_CLIENT);
    assert_int_equal(sessions_of(fix, "10.0.0.5"), 1);
}

static void a_dry_run_says_what_it_would_do(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.guard = CONF_GUARD_DRY_RUN;
    fix->route_conf.max_sessions_per_client = 1;
    fix->route_conf.ban_after = (struct conf_eject){1, 10000, 60000};
    fixture_gather_log();
    expect_let_in(fix, "10.0.0.5");
    expect_would(fix, "10.0.0.5", REASON_LIMIT_CLIENT);
    fixture_expect_log("route 'game': client 10.0.0.5:40000 would be refused: "
                       "max_sessions_per_client was reached");
    fixture_expect_log("route 'game': 10.0.0.5 would be banned for 1m: 1 refusals in 10s");
    fixture_expect_no_log(" is banned");
    assert_int_equal(bans_count(fix->relay.guard.bans), 0);
}

/* ---- ban_after ---- */

static void who_is_refused_too_often_is_banned_for_a_while(void **state)
{
    struct fixture *fix = *state;
    struct ban *bans;
    size_t count;
    fix->route_conf.connect_rate_per_client =
        (struct conf_rate){.count = 1, .per_ms = 3600000, .burst = 1};
    fix->route_conf.ban_after = (struct conf_eject){3, 10000, 60000};
    fixture_gather_log();
    expect_let_in(fix, "10.0.0.5");
    for (int i = 0; i < 3; i++)
        expect_reset(fix, "10.0.0.5", REASON_RATE_CLIENT);
    fixture_expect_log("route 'game': 10.0.0.5 is banned for 1m: 3 refusals in 10s");
    expect_reset(fix, "10.0.0.5", REASON_BANNED);
    expect_let_in(fix, "10.0.0.6");

    assert_int_equal(bans_list(fix->relay.guard.bans, 0, &bans, &count), ERR_OK);
    assert_int_equal(count, 1);
    assert_string_equal(bans[0].by, "ban_after of route 'game'");
    assert_string_equal(bans[0].reason, "3 refusals in 10s");
    assert_int_equal(bans[0].net.bits, 32);
    assert_int_equal(bans[0].until_ms, bans[0].set_ms + 60000);
    free(bans);
    fixture_pass(fix, 60000);
    expect_reset(fix, "10.0.0.5", REASON_RATE_CLIENT);
}

static void a_ban_of_an_ipv6_client_is_of_all_its_addresses(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_sessions_per_client = 1;
    fix->route_conf.ban_after = (struct conf_eject){1, 10000, 60000};
    expect_let_in(fix, "2001:db8::1");
    expect_reset(fix, "2001:db8::2", REASON_LIMIT_CLIENT);
    expect_reset(fix, "2001:db8::3", REASON_BANNED);
    expect_let_in(fix, "2001:db8:0:1::1");
}

static void only_sessions_of_those_that_ban_after_has_banned_end(void **state)
{
    struct fixture *fix = *state;
    const struct session_filter banned = {.wanted = guard_has_banned};
    size_t ended;
    ban(fix, "10.0.0.9", 60000); /* by nobody in particular */
    exempt(fix, "10.0.0.9");
    expect_let_in(fix, "10.0.0.9");
    exempt(fix, NULL);
    fix->route_conf.max_sessions_per_client = 1;
    fix->route_conf.ban_after = (struct conf_eject){1, 10000, 60000};
    expect_let_in(fix, "10.0.0.6");
    sock_t client = expect_let_in(fix, "10.0.0.5");
    assert_int_equal(sessions_end(&fix->relay, &banned, REASON_BAN, &ended), ERR_OK);
    assert_int_equal(ended, 0);
    expect_reset(fix, "10.0.0.5", REASON_LIMIT_CLIENT);

    fix->route_conf.guard = CONF_GUARD_DRY_RUN;
    assert_int_equal(sessions_end(&fix->relay, &banned, REASON_BAN, &ended), ERR_OK);
    assert_int_equal(ended, 0);
    fix->route_conf.guard = CONF_GUARD_ENFORCE;
    assert_int_equal(sessions_end(&fix->relay, &banned, REASON_BAN, &ended), ERR_OK);
    assert_int_equal(ended, 1);
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_BAN), 1);
}

/* ---- nothing is left ---- */

static void a_client_that_some_other_limit_turns_away_counts_no_session(void **state)
{
    struct fixture *fix = *state;
    expect_let_in(fix, "10.0.0.1");
    fix->relay.routes[0]->quota.limit = 1;
    expect_reset(fix, "10.0.0.2", REASON_LIMIT_ROUTE);
    fix->relay.quota.limit = 1;
    expect_reset(fix, "10.0.0.2", REASON_LIMIT_SESSIONS);
    fix->relay.routes[0]->quota.limit = fix->relay.quota.limit = 100;
    fake_port_fail(FAKE_PORT_ATTACH, 0, 1, ERR_NOMEM);
    expect_reset(fix, "10.0.0.2", REASON_NO_MEMORY);
    assert_int_equal(sessions_of(fix, "10.0.0.2"), 0);
    assert_int_equal(sessions_of(fix, "10.0.0.1"), 1);
    let_go_of(fix, 1);
    assert_int_equal(sessions_of(fix, "10.0.0.1"), 0);
}

static void a_refused_client_is_no_session_of_the_route(void **state)
{
    struct fixture *fix = *state;
    add_rule(fix, "10.0.0.1", false);
    use_rules(fix);
    expect_reset(fix, "10.0.0.1", REASON_DENIED);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 0);
    assert_int_equal(atomic_load(&fix->relay.quota.peak), 0);
    assert_int_equal(fake_port_calls(FAKE_PORT_ATTACH), 1); /* the listener */
}

static void the_log_names_the_client_and_the_reason(void **state)
{
    struct fixture *fix = *state;
    fixture_gather_log();
    ban(fix, "10.0.0.1", 60000);
    expect_reset(fix, "10.0.0.1", REASON_BANNED);
    fixture_expect_log(
        "warning route 'game': client 10.0.0.1:40000 refused: the client is banned");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_longest_network_of_the_access_list_decides),
        TEST(a_list_that_only_allows_lets_nobody_else_in),
        TEST(a_new_list_takes_the_place_of_the_old_one),
        TEST(paces_of_a_client_that_change_begin_full),
        TEST(a_banned_client_is_turned_away_until_its_time_is_over),
        TEST(a_ban_counts_whom_it_turned_away),
        TEST(the_relay_takes_so_many_connects_and_no_more),
        TEST(a_route_takes_so_many_connects_and_no_more),
        TEST(a_client_has_so_many_sessions_and_gets_one_more_when_one_ends),
        TEST(a_client_comes_so_often_and_no_more),
        TEST(addresses_that_differ_behind_the_prefix_are_one_client),
        TEST(the_first_question_that_says_no_gives_the_reason),
        TEST(one_client_alone_does_not_use_up_what_is_for_all),
        TEST(the_relays_rate_is_not_used_by_clients_of_a_full_route),
        TEST(bans_and_a_clients_limits_do_not_hold_for_the_exempt),
        TEST(the_access_list_and_the_rates_of_all_hold_for_the_exempt_too),
        TEST(a_dry_run_lets_everybody_in_and_counts_whom_it_would_refuse),
        TEST(a_dry_run_says_what_it_would_do),
        TEST(who_is_refused_too_often_is_banned_for_a_while),
        TEST(a_ban_of_an_ipv6_client_is_of_all_its_addresses),
        TEST(only_sessions_of_those_that_ban_after_has_banned_end),
        TEST(a_client_that_some_other_limit_turns_away_counts_no_session),
        TEST(a_refused_client_is_no_session_of_the_route),
        TEST(the_log_names_the_client_and_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
