/* How the relay stops, whatever it is doing: at once, at the deadline, twice, too early. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/listener.h"
#include "relay_fixture.h"

/* Only the EXIT message is left. */
static bool is_over(struct fixture *fix)
{
    return atomic_load(&fix->relay.lifecycle.parts) == 0;
}

static void the_last_worker_knows_it_before_the_others_have_left(void **state)
{
    struct fixture *fix = *state;
    struct lifecycle *life = &fix->relay.lifecycle;
    struct worker second = {.relay = &fix->relay, .number = 1};
    fix->relay.worker_count = 2;

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
    fix->relay.worker_count = 1;
    life->leaving = 0;
    life->left = 0;
}

static void a_worker_that_can_not_begin_is_not_waited_for(void **state)
{
    struct fixture *fix = *state;
    struct lifecycle *life = &fix->relay.lifecycle;
    struct worker second = {.relay = &fix->relay, .number = 1};
    fix->relay.worker_count = 2;

    lifecycle_worker_entered(&second, ERR_NOMEM);
    assert_true(lifecycle_worker_leaves(fix->worker));
    lifecycle_worker_left(fix->worker, true);
    assert_true(lifecycle_is_stopped(&fix->relay));

    fix->relay.worker_count = 1;
    life->leaving = 0;
    life->left = 0;
}

static void stopping_now_does_not_wait_for_the_next_look(void **state)
{
    struct fixture *fix = *state;
    struct session s = fixture_session(fix);
    fixture_pass(fix, 1000);
    lifecycle_stop(&fix->relay, true);
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

#define STOP_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STOP_TEST(the_last_worker_knows_it_before_the_others_have_left),
        STOP_TEST(a_worker_that_can_not_begin_is_not_waited_for),
        STOP_TEST(stopping_now_does_not_wait_for_the_next_look),
    };
    return cmocka_run_group_tests_name("relay_stop", tests, NULL, NULL);
}
