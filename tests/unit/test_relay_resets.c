/* Resets and what looks like them: who gets one, when, and what the session's end is called. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay_fixture.h"

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
    assert_int_equal(fixture_reasons(fix, REASON_NO_MEMORY), 1);
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

#define RESET_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RESET_TEST(an_upstream_that_answers_too_late_for_a_client_that_reset_is_reset),
        RESET_TEST(an_upstream_that_is_given_up_at_the_deadline_is_reset),
        RESET_TEST(a_read_that_the_system_has_no_memory_for_resets_both_sides),
        RESET_TEST(a_write_that_fails_of_itself_ends_the_session_at_once),
    };
    return cmocka_run_group_tests_name("relay_resets", tests, NULL, NULL);
}
