/* What can be seen of a session, and when it is over for whoever still looks at it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/server_info.h"
#include "relay_fixture.h"

/* The first session of the test, held. */
static struct pair *find(struct fixture *fix)
{
    struct pair *pair = table_find(&fix->relay.table, 1);
    assert_non_null(pair);
    return pair;
}

static struct server_session_info info_of(struct pair *pair)
{
    struct server_session_info info;
    assert_true(pair_get_info(pair, true, &info));
    return info;
}

static void a_session_that_connects_shows_its_target_and_no_upstream_end(void **state)
{
    struct fixture *fix = *state;
    fixture_accept(fix);
    struct pair *pair = find(fix);
    struct server_session_info info = info_of(pair);
    assert_int_equal(info.id, 1);
    assert_int_equal(info.phase, PHASE_CONNECT);
    assert_int_equal(info.reason, REASON_NONE);
    assert_false(info.ending);
    assert_int_equal(info.client.port, 40000);
    assert_int_equal(info.client_local.port, 7000);
    assert_int_equal(info.upstream_addr.port, 9000);
    assert_int_equal(info.upstream_local.family, ADDR_NONE);
    assert_int_equal(info.tries, 1);
    assert_int_equal(info.connect_us, 0);
    assert_false(info.has_client_tcp || info.has_upstream_tcp);
    pair_unref(pair);
}

static void a_connected_session_shows_both_ends_and_what_tcp_knows(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->tells_tcp_info = true;
    fake_sock(s.upstream)->tcp_info.rtt_us = 1234;
    struct pair *pair = find(fix);
    struct server_session_info info = info_of(pair);
    assert_int_equal(info.phase, PHASE_DATA);
    assert_int_equal(info.upstream_local.port, fake_sock(s.upstream)->local.port);
    assert_false(info.has_client_tcp);
    assert_true(info.has_upstream_tcp);
    assert_int_equal(info.upstream_tcp.rtt_us, 1234);
    pair_unref(pair);
}

static void bytes_that_the_sink_has_not_taken_are_shown_waiting(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "waiting");
    struct pair *pair = find(fix);
    struct server_flow_info up;
    flow_get_info(&pair->up, fix->worker->now_ms + 70, &up);
    assert_int_equal(up.waiting, 7);
    assert_int_equal(up.waiting_ms, 70);
    assert_int_equal(up.bytes, 0);

    fixture_taken(fix, s.upstream);
    flow_get_info(&pair->up, fix->worker->now_ms + 70, &up);
    assert_int_equal(up.waiting, 0);
    assert_int_equal(up.waiting_ms, 0);
    assert_int_equal(up.bytes, 7);
    assert_int_equal(up.writes, 1);
    pair_unref(pair);
}

static void move(struct fixture *fix, struct session s, const char *bytes)
{
    fixture_arrive(fix, s.client, bytes);
    fixture_taken(fix, s.upstream);
}

static uint64_t rate(struct fixture *fix, const struct pair *pair, uint64_t later_ms)
{
    struct server_flow_info up;
    flow_get_info(&pair->up, fix->worker->now_ms + later_ms, &up);
    return up.bytes_per_s;
}

static void the_rate_is_that_of_the_last_second_in_which_bytes_moved(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    struct pair *pair = find(fix);
    move(fix, s, "0123456789");
    assert_int_equal(rate(fix, pair, 0), 0); /* no second is over */
    fixture_pass(fix, 500);
    move(fix, s, "0123456789");
    fixture_pass(fix, 500);
    move(fix, s, "01234"); /* the first second is over, another begins */
    assert_int_equal(rate(fix, pair, 0), 20);
    assert_int_equal(rate(fix, pair, 999), 20);
    assert_int_equal(rate(fix, pair, 1250), 4);
    assert_int_equal(rate(fix, pair, 2000), 0);
    pair_unref(pair);
}

static void a_side_that_finished_is_shown(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_fin(fix, s.client);
    struct pair *pair = find(fix);
    struct server_session_info info = info_of(pair);
    assert_int_equal(info.phase, PHASE_HALF_CLOSED);
    assert_true(info.up.finished);
    assert_false(info.down.finished);
    assert_false(info.ending);
    pair_unref(pair);
}

static void a_session_that_is_asked_to_end_shows_it_and_can_not_be_asked_again(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    struct pair *pair = find(fix);
    assert_true(pair_end(pair, REASON_KILLED));
    assert_true(info_of(pair).ending);
    assert_int_equal(info_of(pair).reason, REASON_KILLED);
    assert_false(pair_end(pair, REASON_KILLED));

    fixture_pass(fix, 50); /* it is closing: its READs are asked to come out */
    assert_true(info_of(pair).ending);
    assert_false(pair_end(pair, REASON_STOPPED));
    fixture_cancelled(fix);
    assert_false(pair_end(pair, REASON_STOPPED));
    pair_unref(pair);
}

static void who_found_a_session_keeps_its_memory_and_nothing_else(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    struct pair *pair = find(fix);
    fixture_arrive_fin(fix, s.client);
    fixture_arrive_fin(fix, s.upstream);

    fixture_closed(s.client);
    assert_null(table_find(&fix->relay.table, 1));
    assert_int_equal(atomic_load(&fix->relay.quota.used), 0);
    struct server_session_info info;
    assert_false(pair_get_info(pair, true, &info));
    assert_int_equal(fix->relay.pairs.used, 1);
    pair_unref(pair);
    assert_int_equal(fix->relay.pairs.used, 0);
}

static void all_sessions_are_found_however_many_there_are(void **state)
{
    struct fixture *fix = *state;
    enum { COUNT = 300 };
    fix->relay.quota.limit = COUNT;
    fix->relay.routes[0]->quota.limit = COUNT;
    for (int i = 0; i < COUNT; i++)
        fixture_session(fix);

    struct pair **pairs;
    size_t count;
    bool seen[COUNT + 1] = {false};
    assert_int_equal(table_all(&fix->relay.table, &pairs, &count), ERR_OK);
    assert_int_equal(count, COUNT);
    for (size_t i = 0; i < count; i++) {
        assert_in_range(pairs[i]->id, 1, COUNT);
        assert_false(seen[pairs[i]->id]);
        seen[pairs[i]->id] = true;
        pair_unref(pairs[i]);
    }
    free(pairs);
    struct pair *last = table_find(&fix->relay.table, COUNT);
    assert_non_null(last);
    assert_int_equal(last->id, COUNT);
    pair_unref(last);
    assert_null(table_find(&fix->relay.table, COUNT + 1));
}

static void keepalive_is_asked_for_once(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.keepalive_idle_ms = 60000;
    struct session s = fixture_session(fix);
    fixture_pass(fix, 1000);
    assert_int_equal(fake_sock(s.client)->keepalive_idle_ms, 60000);
    fake_sock(s.client)->keepalive_idle_ms = 0;
    fixture_pass(fix, 30000);
    assert_int_equal(fake_sock(s.client)->keepalive_idle_ms, 0);
}

/* Its worker took it from the wheel, then waited for the lock while the pair ended. */
static void a_timer_that_fires_after_the_end_does_nothing(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    struct pair *pair = find(fix);
    pair->timer.kind->ref(&pair->timer);
    fixture_arrive_fin(fix, s.client);
    fixture_arrive_fin(fix, s.upstream);
    pair->timer.kind->fire(&pair->timer, fix->worker);
    assert_int_equal(fix->relay.pairs.used, 1);
    assert_false(wheel_is_armed(&pair->timer.entry));
    pair_unref(pair);
}

#define INFO_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        INFO_TEST(a_session_that_connects_shows_its_target_and_no_upstream_end),
        INFO_TEST(a_connected_session_shows_both_ends_and_what_tcp_knows),
        INFO_TEST(bytes_that_the_sink_has_not_taken_are_shown_waiting),
        INFO_TEST(the_rate_is_that_of_the_last_second_in_which_bytes_moved),
        INFO_TEST(a_side_that_finished_is_shown),
        INFO_TEST(a_session_that_is_asked_to_end_shows_it_and_can_not_be_asked_again),
        INFO_TEST(who_found_a_session_keeps_its_memory_and_nothing_else),
        INFO_TEST(all_sessions_are_found_however_many_there_are),
        INFO_TEST(keepalive_is_asked_for_once),
        INFO_TEST(a_timer_that_fires_after_the_end_does_nothing),
    };
    return cmocka_run_group_tests_name("relay_info", tests, NULL, NULL);
}
