/* How sessions end badly, who is told what, and how listeners and the relay survive it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/accept/listener.h"
#include "relay/run.h"
#include "relay_fixture.h"

/* ---- resets ---- */

static void a_client_reset_becomes_a_reset_of_the_upstream(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_error(fix, s.client, ERR_RESET);
    fixture_cancelled(fix);

    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fake_sock(s.upstream)->shut_calls, 0);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void an_upstream_reset_becomes_a_reset_of_the_client(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_error(fix, s.upstream, ERR_RESET);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_RESET), 1);
}

static void a_reset_does_not_overtake_bytes_that_are_still_unsent(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "last words");
    fixture_taken(fix, s.upstream);
    fake_sock(s.upstream)->unsent_bytes = 10;
    fixture_arrive_error(fix, s.client, ERR_RESET);
    fixture_pass(fix, 5000);
    assert_int_equal(fake_sock(s.upstream)->state, FAKE_SOCK_IS_OPEN);

    fake_sock(s.upstream)->unsent_bytes = 0;
    fixture_pass(fix, 300);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
}

static void a_reset_waits_no_longer_than_half_close_timeout(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->unsent_bytes = 10;
    fixture_arrive_error(fix, s.client, ERR_RESET);
    fixture_pass(fix, 29000);
    assert_int_equal(fake_sock(s.upstream)->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, 1500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
}

static void what_a_broken_side_had_sent_is_delivered_before_the_reset(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.upstream, "to the client");
    fake_port_finish(fixture_op(s.client, OP_WRITE), ERR_RESET, 0);
    fixture_pump(fix);

    fixture_arrive(fix, s.client, "sent before");
    fixture_taken(fix, s.upstream);
    assert_memory_equal(fake_sock(s.upstream)->sent, "sent before", 11);
    fixture_arrive_error(fix, s.client, ERR_RESET);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
}

static void the_end_of_a_broken_side_is_not_taken_for_its_fin(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.upstream, "x");
    fake_port_finish(fixture_op(s.client, OP_WRITE), ERR_RESET, 0);
    fixture_pump(fix);
    fixture_arrive_fin(fix, s.client);
    fixture_cancelled(fix);

    assert_int_equal(fake_sock(s.upstream)->shut_calls, 0);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void a_client_that_resets_while_connecting_ends_the_connect(void **state)
{
    struct fixture *fix = *state;
    sock_t client = fixture_accept(fix);
    sock_t upstream = fixture_connecting();
    fake_sock(client)->peer_reset = true;
    fixture_pass(fix, 500);
    fixture_cancelled(fix);

    fixture_closed(upstream);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void a_reset_after_fin_is_noticed(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_fin(fix, s.client);
    fake_sock(s.client)->peer_reset = true;
    fixture_pass(fix, 500);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void a_reset_behind_a_stalled_reader_is_noticed_and_delivered_in_order(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "for a slow reader");
    fake_sock(s.client)->peer_reset = true;
    fixture_pass(fix, 12000);
    assert_int_equal(fake_sock(s.upstream)->state, FAKE_SOCK_IS_OPEN);

    fixture_taken(fix, s.upstream);
    fixture_arrive_error(fix, s.client, ERR_RESET);
    fixture_cancelled(fix);
    assert_memory_equal(fake_sock(s.upstream)->sent, "for a slow reader", 17);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
}

static void a_lost_host_is_told_apart_from_a_reset(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive_error(fix, s.client, ERR_TIMEDOUT);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_LOST), 1);
}

static void a_write_that_succeeds_after_its_cancellation_is_counted(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_arrive(fix, s.client, "moved");
    const struct flow *flow = fixture_op(s.upstream, OP_WRITE)->owner;
    assert_true(pair_end(flow->pair, REASON_KILLED));
    fixture_pass(fix, 50);
    fake_port_finish_write(fixture_op(s.upstream, OP_WRITE));
    fixture_cancelled(fix);
    assert_int_equal(fixture_counter(fix, STAT_BYTES_UP), 5);
    assert_int_equal(fixture_reasons(fix, REASON_KILLED), 1);
}

/* ---- the operator ---- */

static void a_killed_session_is_reset_on_both_sides(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    struct pair *pair = table_find(&fix->relay.table, 1);
    assert_non_null(pair);
    assert_true(pair_end(pair, REASON_KILLED));
    assert_false(pair_end(pair, REASON_KILLED));
    pair_unref(pair);
    fixture_pass(fix, 50);
    fixture_cancelled(fix);

    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_null(table_find(&fix->relay.table, 1));
}

static void stopping_lets_sessions_finish_and_ends_the_rest_at_the_deadline(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_pass(fix, 1000);
    run_stop(&fix->relay, false);
    atomic_store(&fix->relay.lifecycle.stop_at_ms, fix->worker->now_ms + 30000);
    fixture_pump(fix);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(fix->listener), FAKE_SOCK_ENDED);

    fixture_arrive(fix, s.client, "one more");
    fixture_taken(fix, s.upstream);
    fixture_pass(fix, 29000);
    assert_int_equal(fake_sock(s.client)->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, 3000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_STOPPED), 1);
}

/* ---- limits ---- */

static void a_client_over_the_limit_of_the_route_is_reset_at_once(void **state)
{
    struct fixture *fix = *state;
    fix->relay.routes[0]->quota.limit = 1;
    fixture_session(fix);
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_ROUTE), 1);
    assert_int_equal(atomic_load(&fix->relay.routes[0]->quota.used), 1);
}

static void a_client_over_the_limit_of_the_relay_is_reset_at_once(void **state)
{
    struct fixture *fix = *state;
    fix->relay.quota.limit = 1;
    fixture_session(fix);
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_SESSIONS), 1);
    assert_int_equal(atomic_load(&fix->relay.routes[0]->quota.used), 1);
}

/* ---- the listener ---- */

static void an_aborted_client_costs_nothing_but_one_more_accept(void **state)
{
    struct fixture *fix = *state;
    fake_port_finish(fixture_op(fix->listener, OP_ACCEPT), ERR_ABORTED, 0);
    fixture_pump(fix);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), LISTENER_ACCEPTS);
    assert_int_equal(fixture_counter(fix, STAT_ACCEPT_FAILURES), 1);
}

static void fail_all_accepts(struct fixture *fix)
{
    struct op *op;
    while ((op = fake_port_op(fix->listener, OP_ACCEPT)) != NULL)
        fake_port_finish(op, ERR_NO_DESCRIPTORS, 0);
    fixture_pump(fix);
}

static bool is_starved(struct fixture *fix)
{
    return atomic_load(&fix->relay.routes[0]->listeners[0]->starved);
}

/* The machine has this many descriptors left, however often somebody looks. */
static void leave_descriptors(unsigned count)
{
    fake_port_fail(FAKE_SOCK_OPEN, count, 1000000, ERR_NO_DESCRIPTORS);
}

static void without_descriptors_a_listener_rests_and_looks_less_and_less_often(void **state)
{
    struct fixture *fix = *state;
    leave_descriptors(0);
    fail_all_accepts(fix);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), 0);
    assert_true(is_starved(fix));

    unsigned before = fake_port_calls(FAKE_SOCK_OPEN);
    fixture_pass(fix, 10000);
    /* 10 s: a few quick ones, then one a second. */
    assert_in_range(fake_port_calls(FAKE_SOCK_OPEN) - before, 9, 15);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), 0);
    leave_descriptors(1000000);
}

static void one_failed_accept_brings_all_to_rest(void **state)
{
    struct fixture *fix = *state;
    leave_descriptors(0);
    fake_port_finish(fixture_op(fix->listener, OP_ACCEPT), ERR_NO_DESCRIPTORS, 0);
    fixture_pump(fix);
    fixture_cancelled(fix);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), 0);
    leave_descriptors(1000000);
}

static void with_a_descriptor_for_one_side_only_no_client_is_taken(void **state)
{
    struct fixture *fix = *state;
    leave_descriptors(0);
    fail_all_accepts(fix);
    leave_descriptors(1);
    fixture_pass(fix, 100);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), 0);
    assert_true(is_starved(fix));
    leave_descriptors(1000000);
}

static void with_few_descriptors_one_client_is_taken_after_the_other(void **state)
{
    struct fixture *fix = *state;
    leave_descriptors(0);
    fail_all_accepts(fix);
    leave_descriptors(4);
    fixture_pass(fix, 100);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), 1);
    leave_descriptors(5); /* one for this client's upstream, then as before */
    fixture_session(fix);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), 1);
    assert_true(is_starved(fix));
    leave_descriptors(1000000);
}

static void when_descriptors_come_free_a_starved_listener_is_as_before(void **state)
{
    struct fixture *fix = *state;
    leave_descriptors(0);
    fail_all_accepts(fix);
    leave_descriptors(1000000);
    fixture_pass(fix, 100);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), LISTENER_ACCEPTS);
    assert_false(is_starved(fix));
    fixture_session(fix);
}

static void without_a_descriptor_for_the_upstream_the_client_is_reset(void **state)
{
    struct fixture *fix = *state;
    fake_port_fail(FAKE_SOCK_OPEN, 0, 1, ERR_NO_DESCRIPTORS);
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_NO_DESCRIPTORS), 1);
    assert_true(atomic_load(&fix->relay.routes[0]->listeners[0]->starved));
}

static void a_client_that_can_not_be_attached_is_reset(void **state)
{
    struct fixture *fix = *state;
    fake_port_fail(FAKE_PORT_ATTACH, 0, 1, ERR_NOMEM);
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_NO_MEMORY), 1);
    assert_int_equal(atomic_load(&fix->relay.quota.used), 0);
}

#define SESSION_TEST(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(a_client_reset_becomes_a_reset_of_the_upstream),
        SESSION_TEST(an_upstream_reset_becomes_a_reset_of_the_client),
        SESSION_TEST(a_reset_does_not_overtake_bytes_that_are_still_unsent),
        SESSION_TEST(a_reset_waits_no_longer_than_half_close_timeout),
        SESSION_TEST(what_a_broken_side_had_sent_is_delivered_before_the_reset),
        SESSION_TEST(the_end_of_a_broken_side_is_not_taken_for_its_fin),
        SESSION_TEST(a_client_that_resets_while_connecting_ends_the_connect),
        SESSION_TEST(a_reset_after_fin_is_noticed),
        SESSION_TEST(a_reset_behind_a_stalled_reader_is_noticed_and_delivered_in_order),
        SESSION_TEST(a_lost_host_is_told_apart_from_a_reset),
        SESSION_TEST(a_write_that_succeeds_after_its_cancellation_is_counted),
        SESSION_TEST(a_killed_session_is_reset_on_both_sides),
        SESSION_TEST(stopping_lets_sessions_finish_and_ends_the_rest_at_the_deadline),
        SESSION_TEST(a_client_over_the_limit_of_the_route_is_reset_at_once),
        SESSION_TEST(a_client_over_the_limit_of_the_relay_is_reset_at_once),
        SESSION_TEST(an_aborted_client_costs_nothing_but_one_more_accept),
        SESSION_TEST(without_descriptors_a_listener_rests_and_looks_less_and_less_often),
        SESSION_TEST(one_failed_accept_brings_all_to_rest),
        SESSION_TEST(with_a_descriptor_for_one_side_only_no_client_is_taken),
        SESSION_TEST(with_few_descriptors_one_client_is_taken_after_the_other),
        SESSION_TEST(when_descriptors_come_free_a_starved_listener_is_as_before),
        SESSION_TEST(without_a_descriptor_for_the_upstream_the_client_is_reset),
        SESSION_TEST(a_client_that_can_not_be_attached_is_reset),
    };
    return cmocka_run_group_tests_name("relay_ends", tests, NULL, NULL);
}
