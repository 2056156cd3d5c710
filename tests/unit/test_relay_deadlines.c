/* The deadlines of a connected session: each at its time, not before, and only when it is set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/queue/pace.h"
#include "relay_fixture.h"

#define PLENTY (SIZE_MAX / 2)

/* A timer may be late by a slot of its wheel, and the clock moves in slots. */
#define LATE_MS (3 * WHEEL_SLOT_MS)

static struct session open_session(struct fixture *fix)
{
    struct session s = fixture_session(fix);
    fake_sock(s.client)->room = PLENTY;
    fake_sock(s.upstream)->room = PLENTY;
    return s;
}

static bool is_open(struct fixture *fix)
{
    struct pair *pair = fixture_latest(fix);
    if (pair == NULL)
        return false;
    bool open = !pair_is_closing(pair);
    pair_unref(pair);
    return open;
}

/* The session that began last is open for `ms` more, and then ends for this reason. */
static void expect_end_in(struct fixture *fix, uint64_t ms, uint64_t late_ms,
                          enum reason reason)
{
    fixture_pass(fix, ms - 1);
    assert_true(is_open(fix));
    fixture_pass(fix, 1 + late_ms);
    assert_false(is_open(fix));
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, reason), 1);
}

static void expect_open_for(struct fixture *fix, uint64_t ms)
{
    fixture_pass(fix, ms);
    assert_true(is_open(fix));
}

/* ---- first_byte_timeout ---- */

static void a_client_that_says_nothing_is_ended_at_first_byte_timeout(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.first_byte_timeout_ms = 7300;
    struct session s = open_session(fix);
    expect_end_in(fix, 7300, LATE_MS, REASON_FIRST_BYTE_TIMEOUT);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
}

static void a_short_first_byte_timeout_holds_within_a_second(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.first_byte_timeout_ms = 100;
    open_session(fix);
    expect_end_in(fix, 100, 1000, REASON_FIRST_BYTE_TIMEOUT);
}

static void what_the_upstream_says_is_not_the_clients_first_byte(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.first_byte_timeout_ms = 5000;
    struct session s = open_session(fix);
    fixture_pass(fix, 4000);
    fixture_arrive(fix, s.upstream, "welcome");
    expect_end_in(fix, 1000, LATE_MS, REASON_FIRST_BYTE_TIMEOUT);
}

static void one_byte_is_enough(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.first_byte_timeout_ms = 5000;
    struct session s = open_session(fix);
    fixture_pass(fix, 4900);
    fixture_arrive(fix, s.client, "x");
    expect_open_for(fix, 60000);
}

static void a_first_byte_that_the_upstream_does_not_take_is_one(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.first_byte_timeout_ms = 5000;
    struct session s = open_session(fix);
    fake_sock(s.upstream)->room = 0;
    fixture_arrive(fix, s.client, "x");
    expect_open_for(fix, 60000);
}

static void a_header_of_the_relays_own_is_not_the_clients_first_byte(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.first_byte_timeout_ms = 5000;
    fix->route_conf.proxy_out = CONF_PROXY_OUT_V1;
    fixture_accept(fix);
    sock_t upstream = fixture_connecting();
    fake_sock(upstream)->room = PLENTY;
    fixture_connect(fix);
    assert_true(fake_sock(upstream)->sent_len > 0);
    expect_end_in(fix, 5000, LATE_MS, REASON_FIRST_BYTE_TIMEOUT);
}

/* ---- min_rate ---- */

static const struct conf_min_rate min_rate = {.bytes_per_s = 10, .over_ms = 5000};

static void trickle(struct fixture *fix, sock_t sock, unsigned seconds, const char *bytes)
{
    for (unsigned i = 0; i < seconds; i++) {
        fixture_arrive(fix, sock, bytes);
        fixture_pass(fix, 1000);
    }
}

static void a_session_below_min_rate_ends_when_the_window_is_over(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.min_rate = min_rate;
    struct session s = open_session(fix);
    trickle(fix, s.client, 4, "nine byte");
    expect_end_in(fix, 1000, LATE_MS, REASON_MIN_RATE);
}

static void a_session_at_min_rate_goes_on(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.min_rate = min_rate;
    struct session s = open_session(fix);
    trickle(fix, s.client, 60, "eleven byte");
    assert_true(is_open(fix));
}

static void both_directions_count_together(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.min_rate = min_rate;
    struct session s = open_session(fix);
    for (unsigned i = 0; i < 60; i++) {
        fixture_arrive(fix, s.client, "6 byte");
        fixture_arrive(fix, s.upstream, "6 byte");
        fixture_pass(fix, 1000);
    }
    assert_true(is_open(fix));
}

static void a_good_window_does_not_pay_for_the_next(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.min_rate = min_rate;
    struct session s = open_session(fix);
    trickle(fix, s.client, 4, "much more than is needed, for several windows of that length");
    fixture_pass(fix, 1000 + LATE_MS);
    assert_true(is_open(fix));
    fixture_pass(fix, 4000);
    assert_true(is_open(fix));
    fixture_pass(fix, 1000 + LATE_MS);
    assert_false(is_open(fix));
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_MIN_RATE), 1);
}

static void a_session_that_waits_for_its_pace_is_not_too_slow(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.min_rate = min_rate;
    fix->route_conf.rate_up = (struct conf_pace){.bytes_per_s = 5, .burst_bytes = 1};
    struct session s = open_session(fix);
    char many[300];
    memset(many, 'm', sizeof many);
    fixture_arrive_bytes(fix, s.client, many, sizeof many);
    fixture_pass(fix, 50000);
    assert_true(is_open(fix));
    assert_in_range(fake_sock(s.upstream)->sent_len, 200, 260);
}

static void min_rate_that_is_turned_on_later_begins_then(void **state)
{
    struct fixture *fix = *state;
    open_session(fix);
    fixture_pass(fix, 100000);
    struct conf_route stricter = fix->route_conf;
    stricter.min_rate = min_rate;
    fix->relay.routes[0]->conf = &stricter;
    pace_reconfigured(fix->relay.routes[0], &fix->route_conf);
    expect_end_in(fix, 5000, LATE_MS, REASON_MIN_RATE);
    fix->relay.routes[0]->conf = &fix->route_conf;
}

/* ---- max_backlog_age ---- */

static struct session open_stalled(struct fixture *fix)
{
    struct session s = open_session(fix);
    fixture_pass(fix, 20000); /* looks are rare by now */
    fake_sock(s.client)->room = 0;
    fake_sock(s.client)->unsent_bytes = 50000;
    fixture_arrive(fix, s.upstream, "for a slow reader");
    return s;
}

static void a_reader_that_takes_nothing_is_ended_at_max_backlog_age(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_backlog_age_ms = 5500;
    struct session s = open_stalled(fix);
    /* When it began to take nothing is known to the second. */
    expect_end_in(fix, 5500, 1000 + LATE_MS, REASON_BACKLOG_AGE);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
}

static void what_the_readers_system_acknowledges_is_progress(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_backlog_age_ms = 3000;
    struct session s = open_stalled(fix);
    for (int i = 0; i < 30; i++) {
        fixture_pass(fix, 2000);
        fake_sock(s.client)->unsent_bytes -= 100;
    }
    assert_true(is_open(fix));
    /* Looks fall on whole seconds, so the last progress is seen up to two seconds late. */
    fixture_pass(fix, 3000 + 2000 + LATE_MS);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_BACKLOG_AGE), 1);
}

static void what_the_other_direction_moves_is_no_progress(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_backlog_age_ms = 5000;
    struct session s = open_stalled(fix);
    trickle(fix, s.client, 4, "still talking");
    expect_end_in(fix, 1000, 1000 + LATE_MS, REASON_BACKLOG_AGE);
}

static void a_backlog_that_was_taken_is_none(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_backlog_age_ms = 5000;
    struct session s = open_stalled(fix);
    fixture_pass(fix, 4000);
    fixture_taken(fix, s.client);
    fake_sock(s.client)->unsent_bytes = 0;
    expect_open_for(fix, 60000);
}

static void a_backlog_ages_after_a_fin_too(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_backlog_age_ms = 5000;
    struct session s = open_stalled(fix);
    fixture_arrive_fin(fix, s.client);
    expect_end_in(fix, 5000, 1000 + LATE_MS, REASON_BACKLOG_AGE);
}

/* ---- max_session_time ---- */

static void a_session_ends_at_max_session_time_however_much_it_moves(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_session_time_ms = 33300;
    struct session s = open_session(fix);
    trickle(fix, s.client, 33, "busy");
    expect_end_in(fix, 300, LATE_MS, REASON_SESSION_TIME);
}

static void time_before_the_upstream_stood_does_not_count(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_session_time_ms = 10000;
    sock_t client = fixture_accept(fix);
    fixture_pass(fix, 3000);
    fixture_connect(fix);
    (void)client;
    expect_end_in(fix, 10000, LATE_MS, REASON_SESSION_TIME);
}

static void a_half_closed_session_ends_at_max_session_time_too(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_session_time_ms = 10000;
    struct session s = open_session(fix);
    fixture_arrive_fin(fix, s.client);
    trickle(fix, s.upstream, 9, "long answer");
    expect_end_in(fix, 1000, LATE_MS, REASON_SESSION_TIME);
}

/* ---- none, and several ---- */

static void without_deadlines_a_session_lasts(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 0;
    struct session s = open_session(fix);
    fake_sock(s.client)->room = 0;
    fixture_arrive(fix, s.upstream, "nobody takes it");
    expect_open_for(fix, 2000000);
}

static void without_deadlines_a_quiet_session_looks_every_ten_seconds(void **state)
{
    struct fixture *fix = *state;
    open_session(fix);
    fixture_pass(fix, 1000);
    for (int i = 0; i < 5; i++) {
        struct pair *pair = fixture_latest(fix);
        assert_in_range(pair->check_ms + LATE_MS - fix->worker->now_ms, 1, 11000 + LATE_MS);
        uint64_t check_ms = pair->check_ms;
        fixture_pass(fix, 5000);
        if (pair->check_ms != check_ms)
            assert_true(pair->check_ms >= check_ms + 10000);
        pair_unref(pair);
    }
}

static void of_several_deadlines_the_first_one_tells_why(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.max_session_time_ms = 9000;
    fix->route_conf.first_byte_timeout_ms = 8000;
    fix->route_conf.min_rate = (struct conf_min_rate){.bytes_per_s = 1, .over_ms = 7000};
    fix->route_conf.idle_timeout_ms = 6000;
    open_session(fix);
    expect_end_in(fix, 6000, LATE_MS, REASON_IDLE_TIMEOUT);
    fix->route_conf.idle_timeout_ms = 0;
    open_session(fix);
    expect_end_in(fix, 7000, LATE_MS, REASON_MIN_RATE);
    fix->route_conf.min_rate.bytes_per_s = 0;
    open_session(fix);
    expect_end_in(fix, 8000, LATE_MS, REASON_FIRST_BYTE_TIMEOUT);
    fix->route_conf.first_byte_timeout_ms = 0;
    open_session(fix);
    expect_end_in(fix, 9000, LATE_MS, REASON_SESSION_TIME);
}

#define DEADLINE_TEST(name)                                                                    \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DEADLINE_TEST(a_client_that_says_nothing_is_ended_at_first_byte_timeout),
        DEADLINE_TEST(a_short_first_byte_timeout_holds_within_a_second),
        DEADLINE_TEST(what_the_upstream_says_is_not_the_clients_first_byte),
        DEADLINE_TEST(one_byte_is_enough),
        DEADLINE_TEST(a_first_byte_that_the_upstream_does_not_take_is_one),
        DEADLINE_TEST(a_header_of_the_relays_own_is_not_the_clients_first_byte),
        DEADLINE_TEST(a_session_below_min_rate_ends_when_the_window_is_over),
        DEADLINE_TEST(a_session_at_min_rate_goes_on),
        DEADLINE_TEST(both_directions_count_together),
        DEADLINE_TEST(a_good_window_does_not_pay_for_the_next),
        DEADLINE_TEST(a_session_that_waits_for_its_pace_is_not_too_slow),
        DEADLINE_TEST(min_rate_that_is_turned_on_later_begins_then),
        DEADLINE_TEST(a_reader_that_takes_nothing_is_ended_at_max_backlog_age),
        DEADLINE_TEST(what_the_readers_system_acknowledges_is_progress),
        DEADLINE_TEST(what_the_other_direction_moves_is_no_progress),
        DEADLINE_TEST(a_backlog_that_was_taken_is_none),
        DEADLINE_TEST(a_backlog_ages_after_a_fin_too),
        DEADLINE_TEST(a_session_ends_at_max_session_time_however_much_it_moves),
        DEADLINE_TEST(time_before_the_upstream_stood_does_not_count),
        DEADLINE_TEST(a_half_closed_session_ends_at_max_session_time_too),
        DEADLINE_TEST(without_deadlines_a_session_lasts),
        DEADLINE_TEST(without_deadlines_a_quiet_session_looks_every_ten_seconds),
        DEADLINE_TEST(of_several_deadlines_the_first_one_tells_why),
    };
    return cmocka_run_group_tests_name("relay_deadlines", tests, NULL, NULL);
}
