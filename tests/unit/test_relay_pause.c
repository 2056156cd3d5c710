/* A route that is paused, drained or ramps: who waits, in which order, for how long, and what
 * becomes of those who wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/core/schedule.h"
#include "relay/core/sessions.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"
#include "relay/session/pending.h"
#include "relay_fixture.h"

#define QUEUE_MAX 3

/* Only the first upstream is enabled; a client without one is refused. */
static int pause_setup(void **state)
{
    int result = fixture_setup(state);
    struct fixture *fix = *state;
    struct relay_route *route = fix->relay.routes[0];
    fix->route_conf.queue_max = QUEUE_MAX;
    fix->route_conf.connect_retries = 0;
    fix->route_conf.pause_timeout_ms = 20000;
    assert_true(
        route_set_admin(route->upstreams.route, 1, ROUTE_DISABLED, fix->worker->now_ms));
    pending_tell_throttle(route, fix->worker);
    return result;
}

static struct relay_route *route_of(struct fixture *fix)
{
    return fix->relay.routes[0];
}

static void pause_it(struct fixture *fix)
{
    assert_true(throttle_pause(route_of(fix), "test", fix->worker->now_ms));
}

static void resume_it(struct fixture *fix)
{
    uint64_t lasted_ms;
    assert_true(throttle_resume(route_of(fix), fix->worker->now_ms, &lasted_ms));
    schedule_route(route_of(fix));
    fixture_pass(fix, WHEEL_SLOT_MS);
}

static void set_upstream(struct fixture *fix, enum route_admin admin)
{
    struct relay_route *route = route_of(fix);
    assert_true(route_set_admin(route->upstreams.route, 0, admin, fix->worker->now_ms));
    schedule_route(route);
    fixture_pass(fix, WHEEL_SLOT_MS);
}

static enum phase phase_of(struct fixture *fix, uint64_t id)
{
    struct pair *pair = table_find(&fix->relay.table, id);
    assert_non_null(pair);
    enum phase phase = pair->phase;
    pair_unref(pair);
    return phase;
}

static void expect_phases(struct fixture *fix, uint64_t first_id, const enum phase *phases,
                          size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_string_equal(phase_word(phase_of(fix, first_id + i)), phase_word(phases[i]));
}

static void refuse(struct fixture *fix)
{
    fake_port_finish(fixture_op(SOCK_NONE, OP_CONNECT), ERR_REFUSED, 0);
    fixture_pump(fix);
}

static unsigned connecting(void)
{
    return fake_port_waiting(SOCK_NONE, OP_CONNECT);
}

/* ---- pause ---- */

static void
clients_of_a_paused_route_wait_and_are_served_in_order_when_it_is_resumed(void **state)
{
    struct fixture *fix = *state;
    pause_it(fix);
    for (unsigned i = 0; i < 3; i++)
        fixture_accept(fix);
    fixture_pass(fix, 5000);
    assert_int_equal(connecting(), 0);
    expect_phases(fix, 1, (enum phase[]){PHASE_HELD, PHASE_HELD, PHASE_HELD}, 3);
    assert_true(route_set_max_sessions(route_of(fix)->upstreams.route, 0, 2));
    resume_it(fix);
    expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT, PHASE_CONNECT}, 2);
    fixture_cancelled(fix);
    /* The third one meets a full upstream, and the route refuses. */
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAMS_FULL), 1);
    fixture_connect(fix);
    fixture_connect(fix);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 2);
}

static void sessions_of_a_paused_route_go_on(void **state)
{
    struct fixture *fix = *state;
    struct session session = fixture_session(fix);
    pause_it(fix);
    fake_sock(session.upstream)->room = 100;
    fixture_arrive(fix, session.client, "hello");
    fixture_expect_sent(session.upstream, "hello", 5);
}

static void a_paused_route_holds_so_many_clients_and_refuses_others(void **state)
{
    struct fixture *fix = *state;
    pause_it(fix);
    for (unsigned i = 0; i < QUEUE_MAX; i++)
        fixture_accept(fix);
    sock_t client = fixture_accept(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_QUEUE_FULL), 1);
    resume_it(fix);
    for (unsigned i = 0; i < QUEUE_MAX; i++)
        fixture_connect(fix);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), QUEUE_MAX);
}

static void a_client_waits_for_pause_timeout_and_no_longer(void **state)
{
    struct fixture *fix = *state;
    pause_it(fix);
    sock_t client = fixture_accept(fix);
    fixture_pass(fix, 19900);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, 200);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_PAUSE_TIMEOUT), 1);
    assert_int_equal(queue_count(&route_of(fix)->queue), 0);
}

static void the_time_of_when_down_does_not_run_while_the_route_is_paused(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.when_down = CONF_HOLD;
    fix->route_conf.hold_ms = 3000;
    set_upstream(fix, ROUTE_DISABLED);
    sock_t client = fixture_accept(fix);
    fixture_pass(fix, 2000);
    pause_it(fix);
    fixture_pass(fix, 15000);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    resume_it(fix);
    fixture_pass(fix, 700);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, 1400); /* up to a second late, as it was not looked at the moment */
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_HOLD_TIMEOUT), 1);
}

static void pauses_one_after_the_other_use_up_one_pause_timeout(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.when_down = CONF_HOLD;
    fix->route_conf.hold_ms = 600000;
    set_upstream(fix, ROUTE_DISABLED);
    sock_t client = fixture_accept(fix);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
        pause_it(fix);
        fixture_pass(fix, 9000);
        if (i < 2)
            resume_it(fix);
    }
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_PAUSE_TIMEOUT), 1);
}

static void a_client_that_finds_no_upstream_after_the_pause_falls_under_when_down(void **state)
{
    struct fixture *fix = *state;
    pause_it(fix);
    sock_t client = fixture_accept(fix);
    set_upstream(fix, ROUTE_DISABLED);
    resume_it(fix);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_NO_UPSTREAM), 1);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 0);
}

static void a_connect_that_fails_during_a_pause_costs_the_client_nothing(void **state)
{
    struct fixture *fix = *state;
    sock_t client = fixture_accept(fix);
    pause_it(fix);
    refuse(fix);
    expect_phases(fix, 1, (enum phase[]){PHASE_HELD}, 1);
    fixture_pass(fix, 3000);
    resume_it(fix);
    fixture_connect(fix);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    expect_phases(fix, 1, (enum phase[]){PHASE_DATA}, 1);
}

static void a_client_between_two_tries_waits_for_the_end_of_the_pause(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.connect_retries = 5;
    fixture_accept(fix);
    refuse(fix);
    expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT}, 1); /* the only server, in a second */
    pause_it(fix);
    fixture_pass(fix, 3000);
    expect_phases(fix, 1, (enum phase[]){PHASE_HELD}, 1);
    assert_int_equal(connecting(), 0);
    resume_it(fix);
    fixture_connect(fix);
    expect_phases(fix, 1, (enum phase[]){PHASE_DATA}, 1);
}

static void who_comes_after_a_pause_goes_behind_those_who_waited(void **state)
{
    struct fixture *fix = *state;
    uint64_t lasted_ms;
    pause_it(fix);
    fixture_accept(fix);
    assert_true(throttle_resume(route_of(fix), fix->worker->now_ms, &lasted_ms));
    fixture_accept(fix); /* nobody has been told yet */
    expect_phases(fix, 1, (enum phase[]){PHASE_HELD, PHASE_HELD}, 2);
    schedule_route(route_of(fix));
    fixture_pass(fix, WHEEL_SLOT_MS);
    expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT, PHASE_CONNECT}, 2);
}

/* ---- drained ---- */

static void a_drained_route_refuses_new_clients_and_sends_away_those_that_wait(void **state)
{
    struct fixture *fix = *state;
    const struct server_drain_plan plan = {.over_ms = 0};
    struct server_drain_info info;
    struct session session = fixture_session(fix);
    pause_it(fix);
    sock_t waits = fixture_accept(fix);
    assert_int_equal(drain_begin_route(route_of(fix), &plan, fix->worker->now_ms, &info),
                     ERR_OK);
    assert_int_equal(info.left, 2);
    schedule_route(route_of(fix));
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(waits), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_DRAINING), 2);
    assert_int_equal(fake_sock(session.client)->state, FAKE_SOCK_IS_OPEN);

    assert_true(drain_end(&route_of(fix)->drain));
    resume_it(fix);
    fixture_session(fix);
}

/* ---- one goes first ---- */

static int hold_setup(void **state)
{
    int result = pause_setup(state);
    struct fixture *fix = *state;
    fix->route_conf.when_down = CONF_HOLD;
    fix->route_conf.hold_ms = 60000;
    return result;
}

/* Three clients whose connects failed. */
static void hold_three(struct fixture *fix)
{
    for (unsigned i = 0; i < 3; i++)
        fixture_accept(fix);
    refuse(fix);
    for (unsigned i = 1; i < 3; i++)
        if (connecting() > 0)
            refuse(fix);
    expect_phases(fix, 1, (enum phase[]){PHASE_HELD, PHASE_HELD, PHASE_HELD}, 3);
}

static void after_a_failure_one_goes_first_and_the_others_follow_when_he_stands(void **state)
{
    struct fixture *fix = *state;
    hold_three(fix);
    fixture_pass(fix, 1100);
    expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT, PHASE_HELD, PHASE_HELD}, 3);
    fixture_connect(fix);
    fixture_pass(fix, WHEEL_SLOT_MS);
    expect_phases(fix, 1, (enum phase[]){PHASE_DATA, PHASE_CONNECT, PHASE_CONNECT}, 3);
}

static void one_that_fails_first_keeps_the_others_waiting(void **state)
{
    struct fixture *fix = *state;
    hold_three(fix);
    for (unsigned i = 0; i < 5; i++) {
        fixture_pass(fix, 1100);
        assert_int_equal(connecting(), 1);
        expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT, PHASE_HELD, PHASE_HELD}, 3);
        refuse(fix);
    }
}

static void while_the_first_one_gets_no_answer_another_goes_each_second(void **state)
{
    struct fixture *fix = *state;
    hold_three(fix);
    fixture_pass(fix, 1100);
    assert_int_equal(connecting(), 1);
    fixture_pass(fix, 1100);
    assert_int_equal(connecting(), 2);
    fixture_pass(fix, 1100);
    assert_int_equal(connecting(), 3);
}

static void a_first_one_without_a_place_does_not_use_up_the_turn(void **state)
{
    struct fixture *fix = *state;
    hold_three(fix);
    set_upstream(fix, ROUTE_DISABLED);
    fixture_pass(fix, 5000);
    assert_int_equal(connecting(), 0);
    set_upstream(fix, ROUTE_READY);
    fixture_pass(fix, 2 * WHEEL_SLOT_MS);
    assert_int_equal(connecting(), 1);
}

/* ---- the ramp ---- */

static int ramp_setup(void **state)
{
    int result = fixture_setup(state);
    struct fixture *fix = *state;
    fix->route_conf.queue_max = 50;
    fix->route_conf.pause_timeout_ms = 60000;
    fix->route_conf.admission_ramp = (struct conf_rate){.count = 5, .per_ms = 1000, .burst = 1};
    pending_tell_throttle(route_of(fix), fix->worker); /* the start */
    return result;
}

/* How many have been let in since: each is connected at once. */
static unsigned let_in(struct fixture *fix)
{
    unsigned count = 0;
    for (; connecting() > 0; count++)
        fixture_connect(fix);
    return count;
}

static unsigned let_in_over(struct fixture *fix, uint64_t ms)
{
    unsigned count = let_in(fix);
    for (uint64_t at = 0; at < ms; at += 50) {
        fixture_pass(fix, 50);
        count += let_in(fix);
    }
    return count;
}

static void after_a_start_clients_are_let_in_at_the_ramps_rate(void **state)
{
    struct fixture *fix = *state;
    for (unsigned i = 0; i < 30; i++)
        fixture_accept(fix);
    assert_int_equal(let_in(fix), 1);
    assert_in_range(let_in_over(fix, 2000), 9, 11);
    assert_in_range(let_in_over(fix, 2000), 9, 11);
    expect_phases(fix, 30, (enum phase[]){PHASE_HELD}, 1);
    (void)let_in_over(fix, 3000);
    expect_phases(fix, 30, (enum phase[]){PHASE_DATA}, 1);
}

static void a_ramp_ends_when_nobody_waits_but_lasts_ten_seconds_at_least(void **state)
{
    struct fixture *fix = *state;
    fixture_pass(fix, 9000);
    fixture_accept(fix);
    fixture_accept(fix);
    assert_int_equal(let_in(fix), 1);
    assert_int_equal(let_in_over(fix, 2000), 1);
    for (unsigned i = 0; i < 20; i++)
        fixture_accept(fix);
    assert_int_equal(let_in(fix), 20);
    assert_false(throttle_is_on(&route_of(fix)->throttle));
}

static void after_a_pause_those_who_waited_are_let_in_at_the_ramps_rate(void **state)
{
    struct fixture *fix = *state;
    fixture_pass(fix, 12000);
    pause_it(fix);
    for (unsigned i = 0; i < 20; i++)
        fixture_accept(fix);
    fixture_pass(fix, 1000);
    resume_it(fix);
    assert_int_equal(let_in(fix), 1);
    assert_in_range(let_in_over(fix, 2000), 9, 11);
    assert_in_range(let_in_over(fix, 4000), 8, 10); /* the rest */
    expect_phases(fix, 20, (enum phase[]){PHASE_DATA}, 1);
}

static void when_all_upstreams_were_down_a_ramp_begins(void **state)
{
    struct fixture *fix = *state;
    struct relay_route *route = route_of(fix);
    fix->route_conf.when_down = CONF_HOLD;
    fix->route_conf.hold_ms = 5000;
    fixture_pass(fix, 12000);
    for (size_t i = 0; i < 2; i++)
        route_set_admin(route->upstreams.route, i, ROUTE_DISABLED, fix->worker->now_ms);
    schedule_route(route);
    fixture_pass(fix, WHEEL_SLOT_MS);
    for (unsigned i = 0; i < 30; i++)
        fixture_accept(fix);
    fixture_pass(fix, 3000);
    for (size_t i = 0; i < 2; i++)
        route_set_admin(route->upstreams.route, i, ROUTE_READY, fix->worker->now_ms);
    schedule_route(route);
    fixture_pass(fix, WHEEL_SLOT_MS);
    assert_in_range(let_in_over(fix, 5900), 28, 30); /* longer than hold_ms: nobody is lost */
    assert_int_equal(fixture_reasons(fix, REASON_HOLD_TIMEOUT), 0);
}

static void a_client_waits_for_his_turn_at_the_ramp_for_pause_timeout_at_most(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.pause_timeout_ms = 2000;
    for (unsigned i = 0; i < 30; i++)
        fixture_accept(fix);
    unsigned served = let_in_over(fix, 4000);
    assert_in_range(served, 9, 17);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_PAUSE_TIMEOUT), 30 - served);
}

static void without_a_ramp_all_are_let_in_at_once(void **state)
{
    struct fixture *fix = *state;
    pause_it(fix);
    for (unsigned i = 0; i < 20; i++)
        fixture_accept(fix);
    fix->route_conf.admission_ramp = (struct conf_rate){.count = 0};
    resume_it(fix);
    assert_int_equal(connecting(), 20);
    let_in(fix);
}

static void a_ramp_that_is_switched_off_lets_all_in(void **state)
{
    struct fixture *fix = *state;
    for (unsigned i = 0; i < 20; i++)
        fixture_accept(fix);
    assert_int_equal(let_in(fix), 1);
    fix->route_conf.admission_ramp = (struct conf_rate){.count = 0};
    schedule_route(route_of(fix));
    fixture_pass(fix, WHEEL_SLOT_MS);
    assert_int_equal(let_in(fix), 19);
}

#define PAUSE_TEST(name) cmocka_unit_test_setup_teardown(name, pause_setup, fixture_teardown)
#define HOLD_TEST(name)  cmocka_unit_test_setup_teardown(name, hold_setup, fixture_teardown)
#define RAMP_TEST(name)  cmocka_unit_test_setup_teardown(name, ramp_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAUSE_TEST(clients_of_a_paused_route_wait_and_are_served_in_order_when_it_is_resumed),
        PAUSE_TEST(sessions_of_a_paused_route_go_on),
        PAUSE_TEST(a_paused_route_holds_so_many_clients_and_refuses_others),
        PAUSE_TEST(a_client_waits_for_pause_timeout_and_no_longer),
        PAUSE_TEST(the_time_of_when_down_does_not_run_while_the_route_is_paused),
        PAUSE_TEST(pauses_one_after_the_other_use_up_one_pause_timeout),
        PAUSE_TEST(a_client_that_finds_no_upstream_after_the_pause_falls_under_when_down),
        PAUSE_TEST(a_connect_that_fails_during_a_pause_costs_the_client_nothing),
        PAUSE_TEST(a_client_between_two_tries_waits_for_the_end_of_the_pause),
        PAUSE_TEST(who_comes_after_a_pause_goes_behind_those_who_waited),
        PAUSE_TEST(a_drained_route_refuses_new_clients_and_sends_away_those_that_wait),
        HOLD_TEST(after_a_failure_one_goes_first_and_the_others_follow_when_he_stands),
        HOLD_TEST(one_that_fails_first_keeps_the_others_waiting),
        HOLD_TEST(while_the_first_one_gets_no_answer_another_goes_each_second),
        HOLD_TEST(a_first_one_without_a_place_does_not_use_up_the_turn),
        RAMP_TEST(after_a_start_clients_are_let_in_at_the_ramps_rate),
        RAMP_TEST(a_ramp_ends_when_nobody_waits_but_lasts_ten_seconds_at_least),
        RAMP_TEST(after_a_pause_those_who_waited_are_let_in_at_the_ramps_rate),
        RAMP_TEST(when_all_upstreams_were_down_a_ramp_begins),
        RAMP_TEST(a_client_waits_for_his_turn_at_the_ramp_for_pause_timeout_at_most),
        RAMP_TEST(without_a_ramp_all_are_let_in_at_once),
        RAMP_TEST(a_ramp_that_is_switched_off_lets_all_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
