/* Sessions that are ended together: by a filter, and evenly by a drain of a route, an upstream or
 * the whole relay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/core/schedule.h"
#include "relay/core/sessions.h"
#include "relay/run.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"
#include "relay_fixture.h"

static struct relay_route *route_of(struct fixture *fix)
{
    return fix->relay.routes[0];
}

static sock_t accept_from(struct fixture *fix, uint8_t last)
{
    const struct addr from = {.family = ADDR_IPV4, .port = 40000, .ip = {10, 0, 0, last}};
    sock_t client = fake_port_finish_accept(fixture_op(fix->listener, OP_ACCEPT), &from);
    fixture_pump(fix);
    return client;
}

/* A session of a client with this last byte. */
static sock_t session_from(struct fixture *fix, uint8_t last)
{
    sock_t client = accept_from(fix, last);
    fixture_connect(fix);
    return client;
}

static bool is_open(sock_t client)
{
    return fake_sock(client)->state == FAKE_SOCK_IS_OPEN;
}

static size_t count_open(const sock_t *clients, size_t count)
{
    size_t open = 0;
    for (size_t i = 0; i < count; i++)
        open += is_open(clients[i]);
    return open;
}

/* What was asked to end comes to its end. */
static void settle(struct fixture *fix)
{
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_cancelled(fix);
}

static void end_all_that(struct fixture *fix, const struct session_filter *filter,
                         size_t expected)
{
    size_t ended, left;
    assert_int_equal(sessions_count(&fix->relay, filter, &left), ERR_OK);
    assert_int_equal(left, expected);
    assert_int_equal(sessions_end(&fix->relay, filter, REASON_KILLED, &ended), ERR_OK);
    assert_int_equal(ended, expected);
    assert_int_equal(sessions_count(&fix->relay, filter, &left), ERR_OK);
    assert_int_equal(left, 0);
    assert_int_equal(sessions_end(&fix->relay, filter, REASON_KILLED, &ended), ERR_OK);
    assert_int_equal(ended, 0);
    settle(fix);
}

/* ---- filters ---- */

static void a_filter_by_network_ends_the_clients_in_it_and_no_others(void **state)
{
    struct fixture *fix = *state;
    sock_t clients[6];
    for (uint8_t i = 0; i < 6; i++)
        clients[i] = session_from(fix, (uint8_t)(i + 2));
    struct addr_net net;
    assert_int_equal(addr_net_parse("10.0.0.4/31", &net), ERR_OK);
    end_all_that(fix, &(struct session_filter){.net = &net}, 2);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(is_open(clients[i]), i != 2 && i != 3);
    assert_int_equal(addr_net_parse("2001:db8::/32", &net), ERR_OK);
    end_all_that(fix, &(struct session_filter){.net = &net}, 0);
}

static void a_filter_by_upstream_ends_those_connected_or_connecting_there(void **state)
{
    struct fixture *fix = *state;
    sock_t clients[4];
    for (uint8_t i = 0; i < 2; i++)
        clients[i] = session_from(fix, i);
    for (uint8_t i = 2; i < 4; i++)
        clients[i] = accept_from(fix, i); /* round robin: one to each */
    const struct session_filter there = {
        .route = route_of(fix), .at_upstream = true, .upstream = 1};
    struct session_filter connected = there;
    size_t count;
    connected.at_server = true;
    assert_int_equal(sessions_count(&fix->relay, &connected, &count), ERR_OK);
    assert_int_equal(count, 1);
    end_all_that(fix, &there, 2);
    assert_int_equal(count_open(clients, 4), 2);
}

static void a_filter_by_age_spares_those_that_are_younger(void **state)
{
    struct fixture *fix = *state;
    sock_t old = session_from(fix, 1);
    struct pair *pair = fixture_latest(fix);
    assert_true(pair_matches(pair, &(struct session_filter){.older_ms = 5000},
                             pair->started_ms + 5000));
    assert_false(pair_matches(pair, &(struct session_filter){.older_ms = 5000},
                              pair->started_ms + 4999));
    assert_true(pair_end_if(pair, &(struct session_filter){.older_ms = 5000},
                            pair->started_ms + 6000, REASON_KILLED));
    pair_unref(pair);
    settle(fix);
    assert_false(is_open(old));
}

static void the_oldest_end_first(void **state)
{
    struct fixture *fix = *state;
    sock_t clients[70]; /* more than there are shards */
    for (uint8_t i = 0; i < 70; i++)
        clients[i] = session_from(fix, i);
    size_t ended, left;
    assert_int_equal(sessions_end_oldest(&fix->relay, &(struct session_filter){.route = NULL},
                                         30, REASON_DRAINED, &ended, &left),
                     ERR_OK);
    assert_int_equal(ended, 30);
    assert_int_equal(left, 40);
    settle(fix);
    for (unsigned i = 0; i < 70; i++)
        assert_int_equal(is_open(clients[i]), i >= 30);
}

/* ---- drains ---- */

static void begin_route(struct fixture *fix, uint64_t over_ms, bool kill, size_t left)
{
    const struct server_drain_plan plan = {.over_ms = over_ms, .kill = kill};
    struct server_drain_info info;
    assert_int_equal(drain_begin_route(route_of(fix), &plan, fix->worker->now_ms, &info),
                     ERR_OK);
    assert_int_equal(info.left, left);
    schedule_route(route_of(fix));
}

static void a_drain_without_a_time_ends_nobody(void **state)
{
    struct fixture *fix = *state;
    sock_t client = session_from(fix, 1);
    begin_route(fix, 0, false, 1);
    for (unsigned i = 0; i < 300; i++)
        fixture_pass(fix, 1000);
    assert_true(is_open(client));
    assert_false(is_open(accept_from(fix, 2)));
}

static void a_drain_with_kill_ends_all_at_once(void **state)
{
    struct fixture *fix = *state;
    sock_t clients[10];
    for (uint8_t i = 0; i < 10; i++)
        clients[i] = session_from(fix, i);
    begin_route(fix, 0, true, 0);
    settle(fix);
    assert_int_equal(count_open(clients, 10), 0);
    assert_int_equal(fixture_reasons(fix, REASON_DRAINED), 10);
}

/* Of `count` so many are open when `at_ms` of `total_ms` have passed, give or take what one step
 * of the drain is late. */
static void expect_pace(size_t open, size_t count, uint64_t at_ms, uint64_t total_ms)
{
    uint64_t late_ms = 100 + 3 * WHEEL_SLOT_MS;
    uint64_t earlier_ms = at_ms > late_ms ? at_ms - late_ms : 0;
    size_t most = count - (size_t)(count * earlier_ms / total_ms);
    size_t least = count - (size_t)(count * at_ms / total_ms);
    assert_in_range(open, least > 0 ? least - 1 : 0, most + 1);
}

static void drain_evenly(struct fixture *fix, size_t count, uint64_t total_ms)
{
    sock_t clients[90];
    for (size_t i = 0; i < count; i++)
        clients[i] = session_from(fix, (uint8_t)i);
    begin_route(fix, total_ms, false, count);
    for (uint64_t at = 0; at < total_ms; at += 160) {
        fixture_pass(fix, 160);
        fixture_cancelled(fix);
        if (at + 160 < total_ms)
            expect_pace(count_open(clients, count), count, at + 160, total_ms);
    }
    fixture_pass(fix, 200);
    fixture_cancelled(fix);
    assert_int_equal(count_open(clients, count), 0);
    assert_int_equal(fixture_reasons(fix, REASON_DRAINED), count);
}

static void a_drain_over_a_time_ends_many_evenly(void **state)
{
    drain_evenly(*state, 90, 20000);
}

static void a_drain_over_a_time_ends_few_evenly(void **state)
{
    drain_evenly(*state, 3, 60000);
}

static void a_drain_over_a_short_time_ends_many_evenly(void **state)
{
    drain_evenly(*state, 90, 2000);
}

static void what_ends_by_itself_makes_a_drain_slower_for_the_others(void **state)
{
    struct fixture *fix = *state;
    sock_t clients[40];
    for (uint8_t i = 0; i < 40; i++)
        clients[i] = session_from(fix, i);
    begin_route(fix, 40000, false, 40);
    fixture_pass(fix, 10000);
    fixture_cancelled(fix);
    assert_in_range(count_open(clients, 40), 29, 31);
    struct addr_net net; /* 10.0.0.16 to 10.0.0.31 go by themselves */
    assert_int_equal(addr_net_parse("10.0.0.16/28", &net), ERR_OK);
    assert_int_equal(
        sessions_end(&fix->relay, &(struct session_filter){.net = &net}, REASON_KILLED, NULL),
        ERR_OK);
    settle(fix);
    size_t rest = count_open(clients, 40);
    assert_in_range(rest, 13, 15);
    fixture_pass(fix, 15000);
    fixture_cancelled(fix);
    assert_in_range(count_open(clients, 40), rest / 2 - 1, rest / 2 + 1);
    fixture_pass(fix, 13000);
    fixture_cancelled(fix);
    assert_in_range(count_open(clients, 40), 1, 2);
    fixture_pass(fix, 2500);
    fixture_cancelled(fix);
    assert_int_equal(count_open(clients, 40), 0);
}

static void a_drain_that_is_ended_spares_the_rest(void **state)
{
    struct fixture *fix = *state;
    sock_t clients[20];
    for (uint8_t i = 0; i < 20; i++)
        clients[i] = session_from(fix, i);
    begin_route(fix, 20000, false, 20);
    fixture_pass(fix, 10000);
    fixture_cancelled(fix);
    assert_true(drain_end(&route_of(fix)->drain));
    size_t rest = count_open(clients, 20);
    assert_in_range(rest, 9, 11);
    for (unsigned i = 0; i < 60; i++)
        fixture_pass(fix, 1000);
    assert_int_equal(count_open(clients, 20), rest);
    assert_true(is_open(session_from(fix, 100)));
}

static void a_new_plan_takes_the_place_of_the_old_one(void **state)
{
    struct fixture *fix = *state;
    sock_t clients[20];
    for (uint8_t i = 0; i < 20; i++)
        clients[i] = session_from(fix, i);
    begin_route(fix, 3600000, false, 20);
    fixture_pass(fix, 1000);
    begin_route(fix, 2000, false, 20);
    fixture_pass(fix, 1000);
    fixture_cancelled(fix);
    assert_in_range(count_open(clients, 20), 9, 12);
    fixture_pass(fix, 1200);
    fixture_cancelled(fix);
    assert_int_equal(count_open(clients, 20), 0);
}

static void a_drain_of_an_upstream_ends_its_sessions_only(void **state)
{
    struct fixture *fix = *state;
    const struct server_drain_plan plan = {.over_ms = 5000};
    struct server_drain_info info;
    sock_t clients[20];
    for (uint8_t i = 0; i < 20; i++)
        clients[i] = session_from(fix, i);
    struct relay_route *route = route_of(fix);
    route_set_admin(route->upstreams.route, 0, ROUTE_DRAIN, fix->worker->now_ms);
    assert_int_equal(drain_begin_upstream(route, 0, &plan, fix->worker->now_ms, &info), ERR_OK);
    assert_int_equal(info.left, 10);
    schedule_route(route);
    fixture_pass(fix, 2600);
    fixture_cancelled(fix);
    assert_in_range(count_open(clients, 20), 14, 16);
    assert_true(is_open(session_from(fix, 50))); /* at the other one */
    fixture_pass(fix, 2600);
    fixture_cancelled(fix);
    assert_int_equal(count_open(clients, 20), 10);
    drain_get_upstream_info(route, 0, fix->worker->now_ms, &info);
    assert_true(info.on);
    assert_int_equal(info.left, 0);
    assert_int_equal(info.ended_total, 10);
}

static void the_log_tells_of_the_progress_and_the_end(void **state)
{
    struct fixture *fix = *state;
    for (uint8_t i = 0; i < 20; i++)
        session_from(fix, i);
    fixture_gather_log();
    begin_route(fix, 20000, false, 20);
    for (unsigned i = 0; i < 205; i++) {
        fixture_pass(fix, 100);
        fixture_cancelled(fix);
    }
    fixture_expect_log("route 'game': drains: 18 of 20 sessions left, ended evenly within 1");
    fixture_expect_log("route 'game': drains: 10 of 20 sessions left, ended evenly within ");
    fixture_expect_log("route 'game': drained in 20.");
    fixture_expect_log("no session is left, 20 were ended");
}

/* ---- the whole relay ---- */

static void a_stop_over_a_time_ends_sessions_evenly_and_then_stops(void **state)
{
    struct fixture *fix = *state;
    sock_t clients[40];
    for (uint8_t i = 0; i < 40; i++)
        clients[i] = session_from(fix, i);
    run_stop_over(&fix->relay, 10000);
    fixture_pump(fix);
    fixture_cancelled(fix);
    for (unsigned i = 0; i < 50; i++) {
        fixture_pass(fix, 100);
        fixture_cancelled(fix);
    }
    assert_in_range(count_open(clients, 40), 18, 22);
    for (unsigned i = 0; i < 60; i++) {
        fixture_pass(fix, 100);
        fixture_cancelled(fix);
    }
    assert_int_equal(count_open(clients, 40), 0);
    assert_int_equal(fixture_reasons(fix, REASON_STOPPED), 40);
    assert_int_equal(atomic_load(&fix->relay.lifecycle.refs), 0);
}

static void a_second_stop_ends_a_stop_over_a_time_at_once(void **state)
{
    struct fixture *fix = *state;
    sock_t clients[10];
    for (uint8_t i = 0; i < 10; i++)
        clients[i] = session_from(fix, i);
    run_stop_over(&fix->relay, 3600000);
    fixture_pump(fix);
    fixture_pass(fix, 1000);
    fixture_cancelled(fix);
    assert_int_equal(count_open(clients, 10), 10);
    run_stop(&fix->relay, false);
    fixture_pass(fix, 50);
    fixture_cancelled(fix);
    assert_int_equal(count_open(clients, 10), 0);
    assert_int_equal(atomic_load(&fix->relay.lifecycle.refs), 0);
}

#define DRAIN_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DRAIN_TEST(a_filter_by_network_ends_the_clients_in_it_and_no_others),
        DRAIN_TEST(a_filter_by_upstream_ends_those_connected_or_connecting_there),
        DRAIN_TEST(a_filter_by_age_spares_those_that_are_younger),
        DRAIN_TEST(the_oldest_end_first),
        DRAIN_TEST(a_drain_without_a_time_ends_nobody),
        DRAIN_TEST(a_drain_with_kill_ends_all_at_once),
        DRAIN_TEST(a_drain_over_a_time_ends_many_evenly),
        DRAIN_TEST(a_drain_over_a_time_ends_few_evenly),
        DRAIN_TEST(a_drain_over_a_short_time_ends_many_evenly),
        DRAIN_TEST(what_ends_by_itself_makes_a_drain_slower_for_the_others),
        DRAIN_TEST(a_drain_that_is_ended_spares_the_rest),
        DRAIN_TEST(a_new_plan_takes_the_place_of_the_old_one),
        DRAIN_TEST(a_drain_of_an_upstream_ends_its_sessions_only),
        DRAIN_TEST(the_log_tells_of_the_progress_and_the_end),
        DRAIN_TEST(a_stop_over_a_time_ends_sessions_evenly_and_then_stops),
        DRAIN_TEST(a_second_stop_ends_a_stop_over_a_time_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
