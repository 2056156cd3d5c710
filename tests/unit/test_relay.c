/* A session from accept to its good end: connecting, bytes both ways, half-close, deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay_fixture.h"

static void expect_sent(sock_t sock, const char *bytes)
{
    const struct fake_sock *record = fake_sock(sock);
    assert_int_equal(record->sent_len, strlen(bytes));
    assert_memory_equal(record->sent, bytes, strlen(bytes));
}

static void an_accepted_client_gets_an_upstream(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);

    assert_int_equal(fake_sock(s.upstream)->peer.port, 9000);
    assert_true(fake_sock(s.client)->nodelay && fake_sock(s.upstream)->nodelay);
    assert_int_equal(atomic_load(&fix->relay.quota.used), 1);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 1);
}

static void bytes_go_both_ways_unchanged(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "login");
    fixture_taken(fix, s.upstream);
    fixture_arrive(fix, s.upstream, "welcome");
    fixture_taken(fix, s.client);
    fixture_arrive(fix, s.client, " again");
    fixture_taken(fix, s.upstream);

    expect_sent(s.upstream, "login again");
    expect_sent(s.client, "welcome");
    assert_int_equal(fixture_counter(fix, STAT_BYTES_UP), 11);
    assert_int_equal(fixture_counter(fix, STAT_BYTES_DOWN), 7);
    assert_int_equal(fixture_counter(fix, STAT_WRITES_UP), 2);
}

static void an_idle_session_holds_no_buffer(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 0);
    fixture_arrive(fix, s.client, "x");
    assert_int_equal(atomic_load(&fix->worker->cache.used), 1);
    fixture_taken(fix, s.upstream);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 0);
}

static void a_slow_reader_holds_the_writer_back(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "first");

    assert_null(fake_port_op(s.client, OP_READ));
    assert_int_equal(fake_port_waiting(s.upstream, OP_WRITE), 1);
    fixture_taken(fix, s.upstream);
    assert_non_null(fake_port_op(s.client, OP_READ));
}

static void readiness_without_bytes_waits_again_without_a_buffer(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_error(fix, s.client, ERR_AGAIN);

    assert_int_equal(fixture_op(s.client, OP_READ)->len, 0);
    assert_int_equal(atomic_load(&fix->worker->cache.used), 0);
}

static void fin_is_passed_on_and_the_other_way_stays_open(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "last words");
    assert_false(fake_sock(s.upstream)->shut);
    fixture_taken(fix, s.upstream);
    fixture_arrive_fin(fix, s.client);
    assert_true(fake_sock(s.upstream)->shut);

    fixture_arrive(fix, s.upstream, "answer");
    fixture_taken(fix, s.client);
    expect_sent(s.client, "answer");
}

static void two_fins_end_a_session_in_good_order(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_fin(fix, s.client);
    fixture_arrive_fin(fix, s.upstream);

    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ENDED);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ENDED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_FIN), 1);
}

static void the_upstream_may_finish_first(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_fin(fix, s.upstream);
    assert_true(fake_sock(s.client)->shut);
    fixture_arrive_fin(fix, s.client);
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_FIN), 1);
}

static void a_refused_connect_goes_to_the_next_upstream(void **state)
{
    struct fixture *fix = *state;
    sock_t client = fixture_accept(fix);
    struct op *op = fixture_op(SOCK_NONE, OP_CONNECT);
    struct addr first = op->addr;
    sock_t failed = op->sock;
    fake_port_finish(op, ERR_REFUSED, 0);
    fixture_pump(fix);

    assert_int_equal(fixture_closed(failed), FAKE_SOCK_ENDED);
    assert_false(addr_equal(&fixture_op(SOCK_NONE, OP_CONNECT)->addr, &first));
    fixture_connect(fix);
    fixture_arrive(fix, client, "still here");
    assert_int_equal(fixture_counter(fix, STAT_CONNECTS), 2);
    assert_int_equal(fixture_counter(fix, STAT_CONNECT_FAILURES), 1);
    assert_int_equal(fixture_counter(fix, STAT_RETRIES), 1);
}

static void fail_connect(struct fixture *fix, enum err err)
{
    fake_port_finish(fixture_op(SOCK_NONE, OP_CONNECT), err, 0);
    fixture_pump(fix);
}

static void an_upstream_is_tried_again_only_after_a_second(void **state)
{
    struct fixture *fix = *state;
    fixture_accept(fix);
    fail_connect(fix, ERR_REFUSED);
    fail_connect(fix, ERR_REFUSED);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 0);
    fixture_pass(fix, 900);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 0);
    fixture_pass(fix, 200);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 1);
}

static void the_client_is_reset_when_no_retry_is_left(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.connect_retries = 1;
    sock_t client = fixture_accept(fix);
    fail_connect(fix, ERR_REFUSED);
    fail_connect(fix, ERR_UNREACHABLE);

    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CONNECT_UNREACHABLE), 1);
}

static void a_connect_over_its_deadline_is_cancelled_once(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.connect_retries = 0;
    sock_t client = fixture_accept(fix);
    fixture_pass(fix, 4900);
    assert_false(fake_port_cancel_asked(fixture_op(SOCK_NONE, OP_CONNECT)));
    fixture_pass(fix, 200);
    assert_true(fake_port_cancel_asked(fixture_op(SOCK_NONE, OP_CONNECT)));
    fixture_cancelled(fix);

    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CONNECT_TIMEOUT), 1);
    assert_int_equal(fixture_counter(fix, STAT_CONNECT_FAILURES), 1);
}

static void a_connect_that_succeeds_after_its_cancellation_counts(void **state)
{
    struct fixture *fix = *state;
    sock_t client = fixture_accept(fix);
    fixture_pass(fix, 5100);
    assert_true(fake_port_cancel_asked(fixture_op(SOCK_NONE, OP_CONNECT)));
    sock_t upstream = fixture_connect(fix);
    fixture_arrive(fix, client, "just in time");
    fixture_taken(fix, upstream);
    expect_sent(upstream, "just in time");
}

static void a_route_without_an_upstream_that_is_up_turns_the_client_away(void **state)
{
    struct fixture *fix = *state;
    struct route *route = fix->relay.routes[0]->upstreams.route;
    route_set_admin(route, 0, ROUTE_DISABLED, fix->worker->now_ms);
    route_set_admin(route, 1, ROUTE_DRAIN, fix->worker->now_ms);
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_NO_UPSTREAM), 1);
}

static void silence_ends_a_session_after_idle_timeout(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 20000;
    struct session s = fixture_session(fix);
    fixture_pass(fix, 15000);
    fixture_arrive(fix, s.upstream, "tick");
    fixture_taken(fix, s.client);
    fixture_pass(fix, 19000);
    fixture_cancelled(fix);
    assert_int_equal(fake_sock(s.client)->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, 1100);
    fixture_cancelled(fix);

    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_IDLE_TIMEOUT), 1);
}

/* Each worker reads the clock for itself; another one may be a millisecond ahead. */
static void a_worker_whose_clock_lags_behind_ends_no_session(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    struct pair *pair = table_find(&fix->relay.table, 1);
    assert_non_null(pair);
    pair->deadlines.last_byte_ms = fix->worker->now_ms + 1000;
    pair_unref(pair);
    fixture_pass(fix, 900);
    fixture_cancelled(fix);
    assert_int_equal(fake_sock(s.client)->state, FAKE_SOCK_IS_OPEN);
    assert_int_equal(fixture_reasons(fix, REASON_IDLE_TIMEOUT), 0);
}

static void idle_timeout_0_never_ends_a_session(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 0;
    struct session s = fixture_session(fix);
    fixture_pass(fix, 3600000);
    fixture_cancelled(fix);
    assert_int_equal(fake_sock(s.client)->state, FAKE_SOCK_IS_OPEN);
}

static void a_half_closed_session_ends_when_the_other_side_stays_silent(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_fin(fix, s.client);
    fixture_pass(fix, 20000);
    fixture_arrive(fix, s.upstream, "still sending");
    fixture_taken(fix, s.client);
    fixture_pass(fix, 29000);
    fixture_cancelled(fix);
    assert_int_equal(fake_sock(s.client)->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, 1500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_HALF_CLOSE_TIMEOUT), 1);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ENDED); /* its stream is whole */
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
}

#define SESSION_TEST(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(an_accepted_client_gets_an_upstream),
        SESSION_TEST(bytes_go_both_ways_unchanged),
        SESSION_TEST(an_idle_session_holds_no_buffer),
        SESSION_TEST(a_slow_reader_holds_the_writer_back),
        SESSION_TEST(readiness_without_bytes_waits_again_without_a_buffer),
        SESSION_TEST(fin_is_passed_on_and_the_other_way_stays_open),
        SESSION_TEST(two_fins_end_a_session_in_good_order),
        SESSION_TEST(the_upstream_may_finish_first),
        SESSION_TEST(a_refused_connect_goes_to_the_next_upstream),
        SESSION_TEST(an_upstream_is_tried_again_only_after_a_second),
        SESSION_TEST(the_client_is_reset_when_no_retry_is_left),
        SESSION_TEST(a_connect_over_its_deadline_is_cancelled_once),
        SESSION_TEST(a_connect_that_succeeds_after_its_cancellation_counts),
        SESSION_TEST(a_route_without_an_upstream_that_is_up_turns_the_client_away),
        SESSION_TEST(silence_ends_a_session_after_idle_timeout),
        SESSION_TEST(a_worker_whose_clock_lags_behind_ends_no_session),
        SESSION_TEST(idle_timeout_0_never_ends_a_session),
        SESSION_TEST(a_half_closed_session_ends_when_the_other_side_stays_silent),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
