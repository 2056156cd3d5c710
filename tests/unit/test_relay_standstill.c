/* The relay as a whole stands still: who notices, and what it costs the sessions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/run.h"
#include "relay_fixture.h"

/* The clock, which only the test moves. */
static uint64_t now_ms = 1000000, left_out_ms;

uint64_t __wrap_os_mono_ms(void);
void __wrap_os_mono_leave_out(uint64_t ms);

uint64_t __wrap_os_mono_ms(void)
{
    return now_ms - left_out_ms;
}

void __wrap_os_mono_leave_out(uint64_t ms)
{
    left_out_ms += ms;
}

static uint64_t standstills(const struct fixture *fix)
{
    return atomic_load(&fix->relay.standstill.total);
}

/* The worker waits for its timers and comes back after so much time. */
static void turn_after(struct fixture *fix, uint64_t ms)
{
    (void)timers_wait_ms(&fix->relay.timers, fix->worker->number);
    now_ms += ms;
    (void)worker_turn(fix->worker, 0);
}

/* As fixture_pass(), by turns of the worker. */
static void pass(struct fixture *fix, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += 100)
        turn_after(fix, 100);
}

/* Like the relay's own, so that there is always a next timer. */
static struct timer second;

static void on_second(struct timer *timer, struct worker *worker)
{
    timers_arm(&worker->relay->timers, timer, worker->now_ms + 1000);
}

static const struct timer_kind second_kind = {.fire = on_second};

static int set_up(void **state)
{
    left_out_ms = 0;
    int result = fixture_setup(state);
    struct fixture *fix = *state;
    timer_init(&second, &second_kind);
    timers_arm(&fix->relay.timers, &second, fix->worker->now_ms + 1000);
    fixture_gather_log();
    return result;
}

static int tear_down(void **state)
{
    struct fixture *fix = *state;
    timers_disarm(&fix->relay.timers, &second);
    return fixture_teardown(state);
}

static void a_worker_in_time_notices_nothing(void **state)
{
    struct fixture *fix = *state;
    pass(fix, 5000);
    turn_after(fix, 1000); /* no more than a second too late */
    assert_int_equal(standstills(fix), 0);
    assert_int_equal(left_out_ms, 0);
}

static void a_standstill_is_left_out_of_the_time_of_sessions(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 10000;
    struct session session = fixture_session(fix);
    pass(fix, 3000);
    turn_after(fix, 60000);
    assert_int_equal(standstills(fix), 1);
    assert_in_range(left_out_ms, 59000, 60000);
    fixture_expect_log("the relay stood still for 59.");
    pass(fix, 5000);
    assert_int_equal(fake_sock(session.client)->state, FAKE_SOCK_IS_OPEN);
    pass(fix, 5000);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_IDLE_TIMEOUT), 1);
    assert_int_equal(standstills(fix), 1);
}

static void what_came_meanwhile_is_taken_before_a_deadline_counts(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 10000;
    struct session session = fixture_session(fix);
    fake_sock(session.upstream)->room = 100;
    pass(fix, 9900);
    fake_sock_arrive(session.client, "hello", 5);
    assert_true(fake_port_finish_arrived(fixture_op(session.client, OP_READ)));
    turn_after(fix, 60000);
    fixture_expect_sent(session.upstream, "hello", 5);
    pass(fix, 5000);
    assert_int_equal(fake_sock(session.client)->state, FAKE_SOCK_IS_OPEN);
}

static void several_workers_that_come_late_count_it_once(void **state)
{
    struct fixture *fix = *state;
    struct worker other = *fix->worker;
    pass(fix, 1000);
    now_ms += 10000;
    other.now_ms = fix->worker->now_ms = now_ms - left_out_ms; /* both have read the clock */
    assert_true(standstill_check(fix->worker));
    assert_false(standstill_check(&other));
    standstill_caught_up(&fix->relay.standstill);
    assert_int_equal(other.now_ms, fix->worker->now_ms);
    assert_int_equal(standstills(fix), 1);
}

/* A signal, a command or an answer may wake another thread before the workers. */
/* It has read the clock when another one finds the standstill. Nobody is waited for then. */
static void a_worker_that_has_read_the_clock_before_reads_it_again(void **state)
{
    struct fixture *fix = *state;
    struct worker other = {.relay = &fix->relay, .number = 1};
    pass(fix, 3000);
    now_ms += 60000;
    other.now_ms = __wrap_os_mono_ms();
    turn_after(fix, 0);
    assert_int_equal(standstills(fix), 1);
    standstill_expect(&fix->relay.standstill, UINT64_MAX);
    assert_false(standstill_check(&other));
    assert_int_equal(other.now_ms, __wrap_os_mono_ms());
    assert_int_equal(standstills(fix), 1);
}

static void a_thread_from_outside_that_comes_first_moves_the_clock(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 10000;
    struct session session = fixture_session(fix);
    pass(fix, 3000);
    (void)timers_wait_ms(&fix->relay.timers, fix->worker->number);
    now_ms += 60000;
    quiesce_enter(&fix->relay);
    uint64_t noted_ms = os_mono_ms();
    quiesce_leave(&fix->relay);
    fixture_expect_log("the relay stood still for 59.");
    (void)worker_turn(fix->worker, 0);
    assert_true(noted_ms <= fix->worker->now_ms);
    assert_false(standstill_is_catching_up(&fix->relay.standstill));
    assert_int_equal(standstills(fix), 1);
    pass(fix, 5000);
    assert_int_equal(fake_sock(session.client)->state, FAKE_SOCK_IS_OPEN);
}

static void the_time_to_stop_begins_behind_a_standstill(void **state)
{
    struct fixture *fix = *state;
    pass(fix, 3000);
    (void)timers_wait_ms(&fix->relay.timers, fix->worker->number);
    now_ms += 3600000;
    run_stop(&fix->relay, false);
    (void)worker_turn(fix->worker, 0);
    uint64_t stop_at_ms = atomic_load(&fix->relay.lifecycle.stop_at_ms);
    assert_in_range(stop_at_ms, fix->worker->now_ms,
                    fix->worker->now_ms + fix->relay.conf->stop_timeout_ms);
}

static void no_timer_fires_until_what_came_is_taken(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.idle_timeout_ms = 10000;
    struct session session = fixture_session(fix);
    pass(fix, 9500);
    atomic_store(&fix->relay.standstill.catching_up, true); /* by another worker */
    pass(fix, 900);
    assert_int_equal(fake_sock(session.client)->state, FAKE_SOCK_IS_OPEN);
    standstill_caught_up(&fix->relay.standstill);
    pass(fix, 900);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_IDLE_TIMEOUT), 1);
}

static void a_worker_that_hangs_while_another_one_serves_is_no_standstill(void **state)
{
    struct fixture *fix = *state;
    (void)timers_wait_ms(&fix->relay.timers, fix->worker->number);
    struct worker other = *fix->worker;
    for (unsigned i = 0; i < 50; i++) {
        now_ms += 100;
        other.now_ms = now_ms - left_out_ms;
        assert_false(standstill_check(&other));
    }
    assert_int_equal(standstills(fix), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_in_time_notices_nothing),
        TEST(a_standstill_is_left_out_of_the_time_of_sessions),
        TEST(what_came_meanwhile_is_taken_before_a_deadline_counts),
        TEST(several_workers_that_come_late_count_it_once),
        TEST(a_worker_that_has_read_the_clock_before_reads_it_again),
        TEST(a_thread_from_outside_that_comes_first_moves_the_clock),
        TEST(the_time_to_stop_begins_behind_a_standstill),
        TEST(no_timer_fires_until_what_came_is_taken),
        TEST(a_worker_that_hangs_while_another_one_serves_is_no_standstill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
