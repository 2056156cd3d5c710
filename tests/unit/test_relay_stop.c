/* How the relay stops, whatever it is doing: at once, at the deadline, twice, too early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/accept/listener.h"
#include "relay/run.h"
#include "relay_fixture.h"

/* Only the EXIT message is left. */
static bool is_over(struct fixture *fix)
{
    return atomic_load(&fix->relay.lifecycle.refs) == 0;
}

static void the_last_worker_knows_it_before_the_others_have_left(void **state)
{
    struct fixture *fix = *state;
    struct lifecycle *life = &fix->relay.lifecycle;
    struct worker second = {.relay = &fix->relay, .number = 1};
    life->workers = 2;

    /* The second one has the message as soon as the first one posts it, long before the first
     * one is through with leaving. */
    assert_false(lifecycle_worker_leaves(fix->worker));
    assert_true(lifecycle_worker_leaves(&second));
    lifecycle_worker_left(&second, true);
    assert_int_equal(fake_port_ready(), 0);
    assert_false(lifecycle_is_stopped(&fix->relay));
    lifecycle_worker_left(fix->worker, false);
    assert_int_equal(fake_port_ready(), 1);
    assert_true(lifecycle_is_stopped(&fix->relay));

    fixture_pump(fix);
    life->workers = 1;
    life->leaving = 0;
    life->left = 0;
}

static void a_worker_that_can_not_begin_is_not_waited_for(void **state)
{
    struct fixture *fix = *state;
    struct lifecycle *life = &fix->relay.lifecycle;
    struct worker second = {.relay = &fix->relay, .number = 1};
    life->workers = 2;

    lifecycle_worker_entered(&second, ERR_NOMEM);
    assert_true(lifecycle_worker_leaves(fix->worker));
    lifecycle_worker_left(fix->worker, true);
    assert_true(lifecycle_is_stopped(&fix->relay));

    life->workers = 1;
    life->leaving = 0;
    life->left = 0;
}

static void stopping_now_does_not_wait_for_the_next_look(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_pass(fix, 1000);
    run_stop(&fix->relay, true);
    /* The worker read its clock a little before the stop was asked for. */
    atomic_store(&fix->relay.lifecycle.stop_at_ms, fix->worker->now_ms + 3);
    fixture_pump(fix);
    timers_arm(&fix->relay.timers, &fix->relay.lifecycle.deadline, 0);
    timers_run(&fix->relay.timers, fix->worker, fix->worker->now_ms);
    assert_false(fake_port_cancel_asked(fixture_op(s.client, OP_READ)));

    fixture_pass(fix, 50);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_true(is_over(fix));
}

/* Asks for the end now, takes what comes of it, and nothing of the relay is left. */
static void expect_stops_now(struct fixture *fix)
{
    run_stop(&fix->relay, true);
    for (int i = 0; i < 10; i++) {
        fixture_pass(fix, 50);
        fixture_cancelled(fix);
    }
    assert_true(is_over(fix));
    assert_int_equal(fixture_closed(fix->listener), FAKE_SOCK_ENDED);
    assert_int_equal(fake_sock_open_count(), 0);
    assert_int_equal(fake_port_in_flight(), 0);
}

static void a_relay_without_sessions_stops_at_once(void **state)
{
    struct fixture *fix = *state;
    run_stop(&fix->relay, false);
    fixture_pump(fix);
    assert_false(is_over(fix)); /* its ACCEPTs come out first */
    fixture_cancelled(fix);
    assert_true(is_over(fix));
    assert_int_equal(fixture_counter(fix, STAT_ACCEPT_FAILURES), 0);
}

static void stopping_now_ends_a_session_that_connects(void **state)
{
    struct fixture *fix = *state;
    sock_t client = fixture_accept(fix);
    sock_t upstream = fixture_connecting();
    expect_stops_now(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_closed(upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_STOPPED), 1);
}

static void stopping_now_ends_a_session_that_waits_for_its_next_try(void **state)
{
    struct fixture *fix = *state;
    sock_t client = fixture_accept(fix);
    for (int i = 0; i < 2; i++) {
        fake_port_finish(fixture_op(SOCK_NONE, OP_CONNECT), ERR_REFUSED, 0);
        fixture_pump(fix);
    }
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 0);
    expect_stops_now(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_STOPPED), 1);
}

static void stopping_now_ends_half_closed_and_stalled_sessions(void **state)
{
    struct fixture *fix = *state;
    struct session half = fixture_session(fix);
    struct session stalled = fixture_session(fix);
    fixture_arrive_fin(fix, half.client);
    fixture_arrive(fix, stalled.client, "nobody takes this");
    expect_stops_now(fix);
    assert_int_equal(fixture_closed(half.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_closed(stalled.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_STOPPED), 2);
}

static void stopping_now_ends_a_reset_that_waits_for_its_bytes(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fake_sock(s.upstream)->unsent_bytes = 10;
    fixture_arrive_error(fix, s.client, ERR_RESET);
    expect_stops_now(fix);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void starve(struct fixture *fix)
{
    struct op *op;
    while ((op = fake_port_op(fix->listener, OP_ACCEPT)) != NULL)
        fake_port_finish(op, ERR_NO_DESCRIPTORS, 0);
    fixture_pump(fix);
}

static void a_starved_listener_that_rests_stops(void **state)
{
    struct fixture *fix = *state;
    starve(fix);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), 0);
    expect_stops_now(fix);
}

static void a_starved_listener_that_tries_stops(void **state)
{
    struct fixture *fix = *state;
    starve(fix);
    fake_port_fail(FAKE_SOCK_OPEN, 2, 1, ERR_NO_DESCRIPTORS); /* enough for one client */
    fixture_pass(fix, 100);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), 1);
    expect_stops_now(fix);
}

/* A worker may arm its timer just when another one stops it. */
static void the_timer_of_a_listener_that_was_stopped_does_nothing(void **state)
{
    struct fixture *fix = *state;
    starve(fix);
    expect_stops_now(fix);
    timers_arm(&fix->relay.timers, &fix->relay.routes[0]->listeners[0]->retry, 0);
    fixture_pass(fix, 50);
    assert_int_equal(fake_port_in_flight(), 0);
}

static void a_start_has_something_looked_at_every_second(void **state)
{
    struct fixture *fix = *state;
    run_on_wake(fix->worker, &fix->relay.lifecycle.start);
    for (int i = 0; i < 3; i++) {
        assert_true(wheel_is_armed(&fix->relay.lifecycle.second.entry));
        fixture_pass(fix, 1100);
    }
}

/* The thread of a worker, on the fake port: nobody else touches that meanwhile. */
static void the_last_worker_leaves_neither_messages_nor_buffers_behind(void **state)
{
    struct fixture *fix = *state;
    struct relay *relay = &fix->relay;
    struct buffer buffer = buffers_take(&relay->buffers, &fix->worker->cache, 100);
    buffers_give(&relay->buffers, &fix->worker->cache, &buffer);
    port_leave(relay->port);

    /* In its last turn a timer fires that arms itself again and posts a message for that. */
    timers_arm(&relay->timers, &relay->lifecycle.second, 0);
    port_post(relay->port, &relay->lifecycle.exit);
    assert_int_equal(worker_start(fix->worker), ERR_OK);
    worker_join(fix->worker);
    assert_int_equal(fake_port_ready(), 0);
    assert_int_equal(fix->worker->cache.classes[0].count, 0);
    assert_true(lifecycle_is_stopped(relay));

    assert_int_equal(port_enter(relay->port), ERR_OK);
    relay->lifecycle.leaving = 0;
    relay->lifecycle.left = 0;
}

static void an_accept_that_fails_while_the_relay_stops_is_not_tried_again(void **state)
{
    struct fixture *fix = *state;
    run_stop(&fix->relay, false);
    fixture_pump(fix);
    fake_port_finish(fixture_op(fix->listener, OP_ACCEPT), ERR_NO_DESCRIPTORS, 0);
    fake_port_finish(fixture_op(fix->listener, OP_ACCEPT), ERR_ABORTED, 0);
    fixture_pump(fix);
    assert_int_equal(fake_port_waiting(fix->listener, OP_ACCEPT), LISTENER_ACCEPTS - 2);
    fixture_cancelled(fix);
    fixture_pass(fix, 2000);
    assert_true(is_over(fix));
}

static void a_second_stop_does_not_wait_for_the_sessions(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    run_stop(&fix->relay, false);
    fixture_pump(fix);
    fixture_cancelled(fix);
    fixture_pass(fix, 5000);
    assert_int_equal(fake_sock(s.client)->state, FAKE_SOCK_IS_OPEN);
    run_stop(&fix->relay, false);
    assert_true(atomic_load(&fix->relay.lifecycle.stop_at_ms) <= os_mono_ms());
    atomic_store(&fix->relay.lifecycle.stop_at_ms, fix->worker->now_ms);
    fixture_pass(fix, 50);
    fixture_cancelled(fix);
    assert_true(is_over(fix));
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
}

static void two_stops_before_the_first_was_handled_are_as_good(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    run_stop(&fix->relay, false);
    run_stop(&fix->relay, false);
    atomic_store(&fix->relay.lifecycle.stop_at_ms, fix->worker->now_ms);
    fixture_pass(fix, 50);
    fixture_cancelled(fix);
    assert_true(is_over(fix));
    assert_int_equal(fixture_reasons(fix, REASON_STOPPED), 1);
}

static void a_stop_of_what_has_stopped_does_nothing(void **state)
{
    struct fixture *fix = *state;
    expect_stops_now(fix);
    run_stop(&fix->relay, false);
    assert_int_equal(fake_port_in_flight(), 0);
}

static void a_start_that_is_handled_after_the_stop_takes_no_clients(void **state)
{
    struct fixture *fix = *state;
    expect_stops_now(fix);
    run_on_wake(fix->worker, &fix->relay.lifecycle.start);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_ACCEPT), 0);
    fixture_pump(fix);
}

/* ---- without memory ---- */

static bool memory_is_short;

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);

void *__wrap_realloc(void *memory, size_t size)
{
    return memory_is_short ? NULL : __real_realloc(memory, size);
}

static void without_memory_the_sessions_end_a_second_later(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    run_stop(&fix->relay, true);
    memory_is_short = true;
    atomic_store(&fix->relay.lifecycle.stop_at_ms, fix->worker->now_ms);
    fixture_pass(fix, 500);
    memory_is_short = false;
    assert_int_equal(fake_sock(s.client)->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, 1000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
}

#define STOP_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STOP_TEST(the_last_worker_knows_it_before_the_others_have_left),
        STOP_TEST(a_worker_that_can_not_begin_is_not_waited_for),
        STOP_TEST(stopping_now_does_not_wait_for_the_next_look),
        STOP_TEST(a_relay_without_sessions_stops_at_once),
        STOP_TEST(stopping_now_ends_a_session_that_connects),
        STOP_TEST(stopping_now_ends_a_session_that_waits_for_its_next_try),
        STOP_TEST(stopping_now_ends_half_closed_and_stalled_sessions),
        STOP_TEST(stopping_now_ends_a_reset_that_waits_for_its_bytes),
        STOP_TEST(a_starved_listener_that_rests_stops),
        STOP_TEST(a_starved_listener_that_tries_stops),
        STOP_TEST(the_timer_of_a_listener_that_was_stopped_does_nothing),
        STOP_TEST(a_start_has_something_looked_at_every_second),
        STOP_TEST(the_last_worker_leaves_neither_messages_nor_buffers_behind),
        STOP_TEST(an_accept_that_fails_while_the_relay_stops_is_not_tried_again),
        STOP_TEST(a_second_stop_does_not_wait_for_the_sessions),
        STOP_TEST(two_stops_before_the_first_was_handled_are_as_good),
        STOP_TEST(a_stop_of_what_has_stopped_does_nothing),
        STOP_TEST(a_start_that_is_handled_after_the_stop_takes_no_clients),
        STOP_TEST(without_memory_the_sessions_end_a_second_later),
    };
    return cmocka_run_group_tests_name("relay_stop", tests, NULL, NULL);
}
