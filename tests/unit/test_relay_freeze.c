/* A frozen route: nobody is read, nothing is lost, and afterwards everything goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/queue/pace.h"
#include "relay/server_info.h"
#include "relay_fixture.h"

#define PLENTY (SIZE_MAX / 2)

static struct relay_route *the_route(struct fixture *fix)
{
    return fix->relay.routes[0];
}

static struct session open_session(struct fixture *fix)
{
    struct session s = fixture_session(fix);
    fake_sock(s.client)->room = PLENTY;
    fake_sock(s.upstream)->room = PLENTY;
    return s;
}

static struct pair *latest(struct fixture *fix)
{
    struct pair *pair = fixture_latest(fix);
    assert_non_null(pair);
    pair_unref(pair); /* open as long as the test has it open */
    return pair;
}

/* Time for a timer that was armed for now. */
static void soon(struct fixture *fix)
{
    fixture_pass(fix, 2 * WHEEL_SLOT_MS);
}

static void what_comes_while_frozen_is_not_received_until_the_thaw(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    pace_freeze(the_route(fix));
    assert_true(pace_is_frozen(the_route(fix)));
    fixture_arrive(fix, s.client, "question");
    fixture_arrive(fix, s.upstream, "answer");
    fixture_pass(fix, 60000);
    assert_int_equal(fake_sock(s.upstream)->sent_len, 0);
    assert_int_equal(fake_sock(s.client)->sent_len, 0);
    assert_int_equal(fake_sock(s.client)->coming_len, 8);
    assert_int_equal(latest(fix)->up.park, FLOW_FROZEN);
    assert_int_equal(latest(fix)->in_flight, 0);

    pace_thaw(the_route(fix));
    assert_false(pace_is_frozen(the_route(fix)));
    soon(fix);
    fixture_expect_sent(s.upstream, "question", 8);
    fixture_expect_sent(s.client, "answer", 6);
    fixture_arrive(fix, s.client, ", more");
    fixture_expect_sent(s.upstream, "question, more", 14);
    assert_int_equal(fixture_counter(fix, STAT_PACED), 0);
}

static void all_sessions_go_on_after_a_thaw(void **state)
{
    struct fixture *fix = *state;
    struct session sessions[20];
    for (size_t i = 0; i < 20; i++)
        sessions[i] = open_session(fix);
    pace_freeze(the_route(fix));
    for (size_t i = 0; i < 20; i++)
        fixture_arrive(fix, sessions[i].client, "here");
    pace_thaw(the_route(fix));
    soon(fix);
    for (size_t i = 0; i < 20; i++)
        fixture_expect_sent(sessions[i].upstream, "here", 4);
}

static void what_waits_for_a_slow_sink_is_delivered_all_the_same(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    fake_sock(s.upstream)->room = 3;
    fixture_arrive(fix, s.client, "patience");
    pace_freeze(the_route(fix));
    fake_sock_arrive(s.client, " is lost", 8);
    fixture_taken(fix, s.upstream);
    fixture_expect_sent(s.upstream, "patience", 8);
    assert_int_equal(latest(fix)->up.park, FLOW_FROZEN);
    fake_sock(s.upstream)->room = PLENTY;
    pace_thaw(the_route(fix));
    soon(fix);
    fixture_expect_sent(s.upstream, "patience is lost", 16);
}

static void a_session_that_begins_while_frozen_waits_from_its_start(void **state)
{
    struct fixture *fix = *state;
    pace_freeze(the_route(fix));
    struct session s = open_session(fix);
    assert_int_equal(latest(fix)->phase, PHASE_DATA);
    assert_int_equal(latest(fix)->in_flight, 0);
    fake_sock_arrive(s.client, "hello", 5);
    fixture_pass(fix, 3000);
    assert_int_equal(fake_sock(s.upstream)->sent_len, 0);
    pace_thaw(the_route(fix));
    soon(fix);
    fixture_expect_sent(s.upstream, "hello", 5);
}

static void only_its_own_route_thaws(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    struct relay_route other = {.relay = &fix->relay};
    pace_freeze(the_route(fix));
    pace_freeze(&other);
    fixture_arrive(fix, s.client, "here");
    pace_thaw(&other);
    fixture_pass(fix, 5000);
    assert_int_equal(fake_sock(s.upstream)->sent_len, 0);
}

static void a_thaw_without_a_freeze_is_nothing(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    pace_thaw(the_route(fix));
    fixture_arrive(fix, s.client, "here");
    fixture_expect_sent(s.upstream, "here", 4);
}

/* ---- deadlines ---- */

static void idle_timeout_does_not_run_while_frozen_and_begins_anew_after(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 20000;
    open_session(fix);
    fixture_pass(fix, 15000);
    pace_freeze(the_route(fix));
    fixture_pass(fix, 100000);
    pace_thaw(the_route(fix));
    fixture_pass(fix, 19000);
    assert_false(pair_is_closing(latest(fix)));
    fixture_pass(fix, 2100);
    assert_true(pair_is_closing(latest(fix)));
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_IDLE_TIMEOUT), 1);
}

static void half_close_timeout_does_not_run_while_frozen(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    fixture_arrive_fin(fix, s.client);
    pace_freeze(the_route(fix));
    fixture_arrive(fix, s.upstream, "last words");
    fixture_pass(fix, 100000);
    pace_thaw(the_route(fix));
    soon(fix);
    fixture_expect_sent(s.client, "last words", 10);
    fixture_pass(fix, 29000);
    assert_false(pair_is_closing(latest(fix)));
    fixture_pass(fix, 1500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_HALF_CLOSE_TIMEOUT), 1);
}

static void other_deadlines_of_the_client_do_not_run_while_frozen(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.first_byte_timeout_ms = 5000;
    fix->route_conf.min_rate = (struct conf_min_rate){.bytes_per_s = 100, .over_ms = 10000};
    pace_freeze(the_route(fix));
    struct session s = open_session(fix);
    fixture_pass(fix, 60000);
    pace_thaw(the_route(fix));
    fixture_pass(fix, 4000);
    assert_false(pair_is_closing(latest(fix)));
    fixture_arrive(fix, s.client, "hello");
    fixture_pass(fix, 5000);
    assert_false(pair_is_closing(latest(fix)));
    fixture_pass(fix, 2100);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_MIN_RATE), 1);
}

static void a_window_of_min_rate_begins_anew_after_a_thaw(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.min_rate = (struct conf_min_rate){.bytes_per_s = 10, .over_ms = 5000};
    open_session(fix);
    fixture_pass(fix, 2000);
    pace_freeze(the_route(fix));
    fixture_pass(fix, 20000);
    pace_thaw(the_route(fix));
    fixture_pass(fix, 4900);
    assert_false(pair_is_closing(latest(fix)));
    fixture_pass(fix, 200);
    assert_true(pair_is_closing(latest(fix)));
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_MIN_RATE), 1);
}

static void max_session_time_runs_while_frozen(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_session_time_ms = 30000;
    struct session s = open_session(fix);
    pace_freeze(the_route(fix));
    fixture_arrive(fix, s.client, "x");
    fixture_pass(fix, 29000);
    assert_false(pair_is_closing(latest(fix)));
    fixture_pass(fix, 1500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_SESSION_TIME), 1);
}

/* ---- ends ---- */

static void a_reset_while_frozen_is_passed_on_within_half_close_timeout(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    pace_freeze(the_route(fix));
    fixture_arrive(fix, s.client, "unheard");
    fake_sock(s.client)->peer_reset = true;
    fixture_pass(fix, 3000);
    assert_true(latest(fix)->client.reset);
    assert_false(pair_is_closing(latest(fix)));
    fixture_pass(fix, 30500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void a_reset_while_frozen_follows_its_bytes_when_the_thaw_comes_in_time(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    pace_freeze(the_route(fix));
    fixture_arrive(fix, s.client, "heard late");
    fake_sock(s.client)->peer_reset = true;
    fake_sock(s.client)->coming_end = ERR_RESET;
    fixture_pass(fix, 3000);
    pace_thaw(the_route(fix));
    soon(fix);
    fixture_expect_sent(s.upstream, "heard late", 10);
    assert_true(fake_port_finish_arrived(fixture_op(s.client, OP_READ)));
    fixture_pass(fix, 1000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void a_kill_while_frozen_ends_the_session_at_once(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    pace_freeze(the_route(fix));
    fixture_arrive(fix, s.client, "x");
    fixture_arrive(fix, s.upstream, "y");
    fixture_kill_latest(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    pace_thaw(the_route(fix));
    soon(fix);
    assert_int_equal(fixture_reasons(fix, REASON_KILLED), 1);
}

static void a_fin_while_frozen_is_passed_on_after_the_thaw(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_session(fix);
    pace_freeze(the_route(fix));
    fixture_arrive(fix, s.client, "bye");
    fake_sock(s.client)->coming_end = ERR_OK;
    fixture_pass(fix, 5000);
    assert_false(fake_sock(s.upstream)->shut);
    pace_thaw(the_route(fix));
    soon(fix);
    fixture_expect_sent(s.upstream, "bye", 3);
    assert_true(fake_port_finish_arrived(fixture_op(s.client, OP_READ)));
    fixture_pump(fix);
    assert_true(fake_sock(s.upstream)->shut);
}

/* ---- where the port reads into buffers ---- */

/* A hot session: its READ waits with a buffer. */
static struct session open_hot(struct fixture *fix)
{
    struct session s = open_session(fix);
    for (int i = 0; i < 3; i++)
        fixture_arrive(fix, s.client, "tick");
    assert_true(fixture_op(s.client, OP_READ)->len > 0);
    return s;
}

static void a_message_that_comes_into_the_buffer_is_kept_until_the_thaw(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_hot(fix);
    pace_freeze(the_route(fix));
    fixture_arrive(fix, s.client, "tock");
    fake_sock_arrive(s.client, "tack", 4);
    fixture_expect_sent(s.upstream, "tickticktick", 12);
    assert_int_equal(latest(fix)->up.park, FLOW_FROZEN);
    fixture_pass(fix, 5000);
    fixture_expect_sent(s.upstream, "tickticktick", 12);
    pace_thaw(the_route(fix));
    soon(fix);
    fixture_expect_sent(s.upstream, "ticktickticktock", 16);
    assert_true(fake_port_finish_arrived(fixture_op(s.client, OP_READ)));
    fixture_pump(fix);
    fixture_expect_sent(s.upstream, "ticktickticktocktack", 20);
}

static void a_kept_message_of_a_killed_session_leaves_no_buffer(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_hot(fix);
    pace_freeze(the_route(fix));
    fixture_arrive(fix, s.client, "tock");
    assert_int_equal(atomic_load(&fix->worker->cache.used), 1);
    fixture_kill_latest(fix);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 0);
}

static void a_fin_into_the_buffer_is_a_fin_all_the_same(void **state)
{
    struct fixture *fix = *state;
    struct session s = open_hot(fix);
    pace_freeze(the_route(fix));
    fixture_arrive_fin(fix, s.client);
    assert_true(fake_sock(s.upstream)->shut);
}

#define FREEZE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define BUFFER_TEST(name)                                                                      \
    cmocka_unit_test_setup_teardown(name, fixture_setup_reading_into_buffers, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FREEZE_TEST(what_comes_while_frozen_is_not_received_until_the_thaw),
        FREEZE_TEST(all_sessions_go_on_after_a_thaw),
        FREEZE_TEST(what_waits_for_a_slow_sink_is_delivered_all_the_same),
        FREEZE_TEST(a_session_that_begins_while_frozen_waits_from_its_start),
        FREEZE_TEST(only_its_own_route_thaws),
        FREEZE_TEST(a_thaw_without_a_freeze_is_nothing),
        FREEZE_TEST(idle_timeout_does_not_run_while_frozen_and_begins_anew_after),
        FREEZE_TEST(half_close_timeout_does_not_run_while_frozen),
        FREEZE_TEST(other_deadlines_of_the_client_do_not_run_while_frozen),
        FREEZE_TEST(a_window_of_min_rate_begins_anew_after_a_thaw),
        FREEZE_TEST(max_session_time_runs_while_frozen),
        FREEZE_TEST(a_reset_while_frozen_is_passed_on_within_half_close_timeout),
        FREEZE_TEST(a_reset_while_frozen_follows_its_bytes_when_the_thaw_comes_in_time),
        FREEZE_TEST(a_kill_while_frozen_ends_the_session_at_once),
        FREEZE_TEST(a_fin_while_frozen_is_passed_on_after_the_thaw),
        BUFFER_TEST(a_message_that_comes_into_the_buffer_is_kept_until_the_thaw),
        BUFFER_TEST(a_kept_message_of_a_killed_session_leaves_no_buffer),
        BUFFER_TEST(a_fin_into_the_buffer_is_a_fin_all_the_same),
    };
    return cmocka_run_group_tests_name("relay_freeze", tests, NULL, NULL);
}
