/* Resets and what looks like them: who gets one, when, and what the session's end is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/server_info.h"
#include "relay_fixture.h"

static struct pair *pair_of(sock_t sock)
{
    const struct flow *flow = fixture_op(sock, OP_READ)->owner;
    return flow->pair;
}

static bool is_open(sock_t sock)
{
    return fake_sock(sock)->state == FAKE_SOCK_IS_OPEN;
}

/* ---- while connecting ---- */

static void an_upstream_that_answers_too_late_for_a_client_that_reset_is_reset(void **state)
{
    struct fixture *fix = *state;
    sock_t client = fixture_accept(fix);
    fake_sock(client)->peer_reset = true;
    fixture_pass(fix, 300);
    struct op *op = fixture_op(SOCK_NONE, OP_CONNECT);
    assert_true(fake_port_cancel_asked(op));
    sock_t upstream = op->sock;
    fake_port_finish(op, ERR_OK, 0);
    fixture_pump(fix);

    assert_int_equal(fixture_closed(upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fake_sock(upstream)->shut_calls, 0);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void an_upstream_that_is_given_up_at_the_deadline_is_reset(void **state)
{
    struct fixture *fix = *state;
    fixture_accept(fix);
    sock_t upstream = fixture_connecting();
    fixture_pass(fix, 5100);
    /* It may have answered just now, all the same. */
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(upstream), FAKE_SOCK_ABORTED);
}

/* ---- failures that are not the peer's ---- */

static void a_read_that_the_system_has_no_memory_for_resets_both_sides(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_port_finish(fixture_op(s.client, OP_READ), ERR_NOMEM, 0);
    fixture_pump(fix);
    fixture_cancelled(fix);

    /* The client lives, and must not take what it got for everything. */
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_SESSION_NO_MEMORY), 1);
}

static void a_write_that_fails_of_itself_ends_the_session_at_once(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.upstream, "to the client");
    fake_port_finish(fixture_op(s.client, OP_WRITE), ERR_IO, 3);
    fixture_pump(fix);
    fixture_cancelled(fix);

    /* The client would go on sending for ever, and nobody would ever answer it. */
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_ERROR), 1);
    assert_int_equal(fixture_counter(fix, STAT_BYTES_DOWN), 3);
}

/* ---- what no operation reports ---- */

static bool is_ending(sock_t sock, enum op_kind kind)
{
    const struct flow *flow = fixture_op(sock, kind)->owner;
    struct server_session_info info;
    assert_true(pair_get_info(flow->pair, false, &info));
    return info.ending;
}

static void a_reset_of_the_client_behind_a_stalled_upstream_is_noticed(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "not taken");
    fixture_pass(fix, 12000); /* the stall was found */
    fake_sock(s.client)->peer_reset = true;
    fixture_pass(fix, 2100);
    assert_true(is_ending(s.upstream, OP_WRITE));
    fixture_pass(fix, 32000); /* it is never taken */
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void a_reset_of_the_upstream_behind_a_stalled_client_is_noticed(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.upstream, "not taken");
    fixture_pass(fix, 12000);
    fake_sock(s.upstream)->peer_reset = true;
    fixture_pass(fix, 2100);
    assert_true(is_ending(s.client, OP_WRITE));
    fixture_pass(fix, 32000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_RESET), 1);
}

static void a_reset_of_the_upstream_after_its_fin_is_noticed(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_pass(fix, 2000); /* nothing happens: the next look is far away */
    fixture_arrive_fin(fix, s.upstream);
    fake_sock(s.upstream)->peer_reset = true;
    fixture_pass(fix, 500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_RESET), 1);
}

static void half_close_timeout_begins_with_the_fin(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_pass(fix, 100000);
    fixture_arrive_fin(fix, s.client);
    fixture_pass(fix, 29000);
    fixture_cancelled(fix);
    assert_true(is_open(s.client));
    fixture_pass(fix, 1500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_HALF_CLOSE_TIMEOUT), 1);
}

/* ---- slow readers ---- */

static void a_reset_waits_for_a_reader_that_is_slow_but_goes_on(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->unsent_bytes = 4;
    fixture_arrive_error(fix, s.client, ERR_RESET);
    for (int i = 0; i < 3; i++) {
        fixture_pass(fix, 20000);
        fixture_cancelled(fix);
        assert_true(is_open(s.upstream));
        fake_sock(s.upstream)->unsent_bytes--;
    }
    fixture_pass(fix, 29000);
    fixture_cancelled(fix);
    assert_true(is_open(s.upstream));
    fixture_pass(fix, 1500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
}

static void a_reader_whose_system_gets_more_and_more_unsent_makes_no_progress(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->unsent_bytes = 1;
    fixture_arrive_error(fix, s.client, ERR_RESET);
    for (int i = 0; i < 31; i++) {
        assert_false(fake_port_cancel_asked(fixture_op(s.upstream, OP_READ)));
        fake_sock(s.upstream)->unsent_bytes++;
        fixture_pass(fix, 950);
    }
    fixture_pass(fix, 2000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
}

static void a_reset_follows_soon_when_the_last_bytes_are_out(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->unsent_bytes = 10;
    fixture_arrive_error(fix, s.client, ERR_RESET);
    fixture_pass(fix, 100);
    fixture_cancelled(fix);
    assert_true(is_open(s.upstream));
    fake_sock(s.upstream)->unsent_bytes = 0;
    fixture_pass(fix, 60);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
}

static void what_a_lost_host_had_sent_is_delivered_as_before_a_reset(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->unsent_bytes = 10;
    fixture_arrive_error(fix, s.client, ERR_TIMEDOUT);
    fixture_pass(fix, 1000);
    fixture_cancelled(fix);
    assert_true(is_open(s.upstream));
    fake_sock(s.upstream)->unsent_bytes = 0;
    fixture_pass(fix, 300);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_LOST), 1);
}

static void a_half_closed_session_waits_for_a_reader_that_is_slow_but_goes_on(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_fin(fix, s.client);
    fixture_arrive(fix, s.upstream, "a long answer");
    fake_sock(s.client)->unsent_bytes = 4000000;
    for (int i = 0; i < 5; i++) {
        fixture_pass(fix, 20000);
        fixture_cancelled(fix);
        assert_true(is_open(s.client));
        fake_sock(s.client)->unsent_bytes -= 100000;
    }
    fixture_pass(fix, 29000);
    fixture_cancelled(fix);
    assert_true(is_open(s.client));
    fixture_pass(fix, 1500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_HALF_CLOSE_TIMEOUT), 1);
}

static void a_session_with_a_reader_that_is_slow_but_goes_on_is_not_idle(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 4000;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.upstream, "a long answer");
    fake_sock(s.client)->unsent_bytes = 4000000;
    for (int i = 0; i < 10; i++) {
        fixture_pass(fix, 2500);
        fixture_cancelled(fix);
        assert_true(is_open(s.client));
        fake_sock(s.client)->unsent_bytes -= 100000;
    }
    fixture_pass(fix, 6100);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_IDLE_TIMEOUT), 1);
}

static void a_reset_that_waits_is_over_when_the_other_side_resets_as_well(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->unsent_bytes = 10;
    fixture_arrive_error(fix, s.client, ERR_RESET);
    fixture_pass(fix, 500);
    fake_sock(s.upstream)->peer_reset = true;
    fake_port_finish(fixture_op(s.upstream, OP_READ), ERR_OK, 0);
    fixture_pump(fix);
    fixture_pass(fix, 500);
    fixture_closed(s.client);
    fixture_closed(s.upstream);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

/* ---- the operator ---- */

static void the_first_reason_stands_when_an_operator_comes_later(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    struct pair *pair = pair_of(s.client);
    fake_sock(s.upstream)->unsent_bytes = 10;
    fixture_arrive_error(fix, s.client, ERR_RESET);
    assert_true(pair_end(pair, REASON_KILLED));
    fixture_pass(fix, 50);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
    assert_int_equal(fixture_reasons(fix, REASON_KILLED), 0);
}

static void nothing_that_happens_puts_a_kill_off(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    assert_true(pair_end(pair_of(s.client), REASON_KILLED));
    fixture_arrive_fin(fix, s.client); /* asks to be looked at in a quarter of a second */
    fixture_pass(fix, 50);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_KILLED), 1);
}

/* ---- the log ---- */

static char last_line[LOG_LINE_MAX + 1];

static uint64_t no_time(void)
{
    return 0;
}

static void keep_line(void *ctx, enum log_level level, const char *line, size_t len)
{
    (void)ctx, (void)level;
    memcpy(last_line, line, len);
    last_line[len] = '\0';
}

static void a_connect_that_never_stood_took_no_time(void **state)
{
    struct fixture *fix = *state;
    log_set_output(&(struct log_output){no_time, no_time, keep_line, NULL});
    sock_t client = fixture_accept(fix);
    fake_sock(client)->peer_reset = true;
    fixture_pass(fix, 300);
    fixture_cancelled(fix);
    assert_non_null(strstr(last_line, " phase=connect "));
    assert_non_null(strstr(last_line, " connect_us=0 "));
}

#define RESET_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESET_TEST(an_upstream_that_answers_too_late_for_a_client_that_reset_is_reset),
        RESET_TEST(an_upstream_that_is_given_up_at_the_deadline_is_reset),
        RESET_TEST(a_read_that_the_system_has_no_memory_for_resets_both_sides),
        RESET_TEST(a_write_that_fails_of_itself_ends_the_session_at_once),
        RESET_TEST(a_reset_of_the_client_behind_a_stalled_upstream_is_noticed),
        RESET_TEST(a_reset_of_the_upstream_behind_a_stalled_client_is_noticed),
        RESET_TEST(a_reset_of_the_upstream_after_its_fin_is_noticed),
        RESET_TEST(half_close_timeout_begins_with_the_fin),
        RESET_TEST(a_reset_waits_for_a_reader_that_is_slow_but_goes_on),
        RESET_TEST(a_reader_whose_system_gets_more_and_more_unsent_makes_no_progress),
        RESET_TEST(a_reset_follows_soon_when_the_last_bytes_are_out),
        RESET_TEST(what_a_lost_host_had_sent_is_delivered_as_before_a_reset),
        RESET_TEST(a_half_closed_session_waits_for_a_reader_that_is_slow_but_goes_on),
        RESET_TEST(a_session_with_a_reader_that_is_slow_but_goes_on_is_not_idle),
        RESET_TEST(a_reset_that_waits_is_over_when_the_other_side_resets_as_well),
        RESET_TEST(the_first_reason_stands_when_an_operator_comes_later),
        RESET_TEST(nothing_that_happens_puts_a_kill_off),
        RESET_TEST(a_connect_that_never_stood_took_no_time),
    };
    return cmocka_run_group_tests_name("relay_resets", tests, NULL, NULL);
}
