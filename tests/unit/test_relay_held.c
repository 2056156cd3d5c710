/* Clients that are held: their order, the rest after a connect that failed, and how the wait
 * ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay_fixture.h"

#define QUEUE_MAX 3

/* Only the first upstream is enabled, with one place; clients are held for ten seconds. */
static int held_setup(void **state)
{
    int result = fixture_setup(state);
    struct fixture *fix = *state;
    struct route *route = fix->relay.routes[0]->upstreams.route;
    fix->route_conf.when_down = CONF_HOLD;
    fix->route_conf.hold_ms = 10000;
    fix->route_conf.queue_max = QUEUE_MAX;
    assert_true(route_set_admin(route, 1, ROUTE_DISABLED, fix->worker->now_ms));
    assert_true(route_set_max_sessions(route, 0, 1));
    return result;
}

/* ROUTE_READY, or it takes nobody. */
static void set_upstream(struct fixture *fix, enum route_admin admin)
{
    struct relay_route *route = fix->relay.routes[0];
    assert_true(route_set_admin(route->upstreams.route, 0, admin, fix->worker->now_ms));
    upstreams_stir(route);
    fixture_pass(fix, WHEEL_SLOT_MS);
}

/* Of session number `id`, which is open. */
static enum phase phase_of(struct fixture *fix, uint64_t id)
{
    struct pair *pair = table_find(&fix->relay.table, id);
    assert_non_null(pair);
    enum phase phase = pair->phase;
    pair_unhold(pair);
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

/* An operator ends the session with this number. */
static void end_session(struct fixture *fix, uint64_t id)
{
    struct pair *pair = table_find(&fix->relay.table, id);
    assert_non_null(pair);
    assert_true(pair_end(pair, REASON_KILLED));
    pair_unhold(pair);
    fixture_pass(fix, WHEEL_SLOT_MS);
    fixture_cancelled(fix);
    fixture_pass(fix, WHEEL_SLOT_MS); /* what follows for others */
}

/* ---- the order ---- */

static void held_clients_get_their_turn_in_the_order_in_which_they_came(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    for (unsigned i = 0; i < 3; i++)
        fixture_accept(fix);
    expect_phases(fix, 2, (enum phase[]){PHASE_HELD, PHASE_HELD, PHASE_HELD}, 3);
    end_session(fix, 1);
    expect_phases(fix, 2, (enum phase[]){PHASE_CONNECT, PHASE_HELD, PHASE_HELD}, 3);
    fixture_connect(fix);
    end_session(fix, 2);
    expect_phases(fix, 3, (enum phase[]){PHASE_CONNECT, PHASE_HELD}, 2);
    fixture_connect(fix);
}

static void a_client_that_comes_while_others_wait_goes_behind_them(void **state)
{
    struct fixture *fix = *state;
    set_upstream(fix, ROUTE_DISABLED);
    fixture_accept(fix);
    /* There is a place, and nobody has been told yet. */
    struct route *route = fix->relay.routes[0]->upstreams.route;
    assert_true(route_set_admin(route, 0, ROUTE_READY, fix->worker->now_ms));
    fixture_accept(fix);
    upstreams_stir(fix->relay.routes[0]);
    expect_phases(fix, 1, (enum phase[]){PHASE_HELD, PHASE_HELD}, 2);
    fixture_pass(fix, WHEEL_SLOT_MS);
    expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT, PHASE_HELD}, 2);
}

static void a_client_whose_turn_came_to_nothing_keeps_its_place_in_the_order(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.connect_retries = 0;
    fixture_accept(fix);
    fixture_accept(fix);
    fixture_accept(fix);
    expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT, PHASE_HELD, PHASE_HELD}, 3);
    refuse(fix);
    expect_phases(fix, 1, (enum phase[]){PHASE_HELD, PHASE_HELD, PHASE_HELD}, 3);
    fixture_pass(fix, 1100);
    expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT, PHASE_HELD, PHASE_HELD}, 3);
    refuse(fix);
    fixture_pass(fix, 1100);
    expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT, PHASE_HELD, PHASE_HELD}, 3);
    fixture_connect(fix);
    assert_int_equal(atomic_load(&fix->relay.routes[0]->held.total), 3);
}

static void a_turn_that_finds_no_place_changes_nothing(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    fixture_accept(fix);
    fixture_accept(fix);
    for (unsigned i = 0; i < 10; i++) {
        upstreams_stir(fix->relay.routes[0]);
        fixture_pass(fix, 100);
    }
    expect_phases(fix, 2, (enum phase[]){PHASE_HELD, PHASE_HELD}, 2);
    assert_int_equal(held_count(&fix->relay.routes[0]->held), 2);
    end_session(fix, 1);
    expect_phases(fix, 2, (enum phase[]){PHASE_CONNECT, PHASE_HELD}, 2);
}

/* ---- the rest ---- */

static void after_a_connect_that_failed_nobody_has_a_turn_for_a_second(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.connect_retries = 0;
    fixture_accept(fix);
    refuse(fix);
    fixture_accept(fix);
    fixture_pass(fix, 900);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 0);
    fixture_pass(fix, 200);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 1);
    expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT, PHASE_HELD}, 2);
}

static void a_turn_begins_at_once_though_the_server_was_tried_before(void **state)
{
    struct fixture *fix = *state;
    fixture_accept(fix);
    set_upstream(fix, ROUTE_DISABLED);
    refuse(fix);
    expect_phases(fix, 1, (enum phase[]){PHASE_HELD}, 1);
    set_upstream(fix, ROUTE_READY);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 1);
    fixture_connect(fix);
}

/* ---- the wait ends otherwise ---- */

static void a_client_is_held_for_so_long_and_then_reset(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    fixture_pass(fix, 9900);
    assert_int_equal(fake_sock(client)->state, FAKE_SOCK_IS_OPEN);
    fixture_pass(fix, 200);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_HOLD_TIMEOUT), 1);
    assert_int_equal(held_count(&fix->relay.routes[0]->held), 0);
}

static void turns_in_vain_do_not_prolong_the_wait(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    for (unsigned i = 0; i < 102; i++) {
        upstreams_stir(fix->relay.routes[0]);
        fixture_pass(fix, 100);
    }
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_HOLD_TIMEOUT), 1);
}

static void a_held_client_that_resets_is_noticed_between_many_turns_in_vain(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    fake_sock(client)->peer_reset = true;
    for (unsigned i = 0; i < 12; i++) {
        upstreams_stir(fix->relay.routes[0]);
        fixture_pass(fix, 100);
    }
    (void)fixture_closed(client);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_RESET), 1);
}

static void a_client_for_whom_the_queue_has_no_room_is_refused(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    for (unsigned i = 0; i < QUEUE_MAX; i++)
        fixture_accept(fix);
    sock_t client = fixture_accept(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_QUEUE_FULL), 1);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 1 + QUEUE_MAX);
}

static void a_held_session_that_is_ended_leaves_the_queue(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    fixture_accept(fix);
    fixture_accept(fix);
    end_session(fix, 2);
    assert_int_equal(fixture_reasons(fix, REASON_KILLED), 1);
    assert_int_equal(held_count(&fix->relay.routes[0]->held), 1);
    end_session(fix, 1);
    expect_phases(fix, 3, (enum phase[]){PHASE_CONNECT}, 1);
}

#define HELD_TEST(name) cmocka_unit_test_setup_teardown(name, held_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HELD_TEST(held_clients_get_their_turn_in_the_order_in_which_they_came),
        HELD_TEST(a_client_that_comes_while_others_wait_goes_behind_them),
        HELD_TEST(a_client_whose_turn_came_to_nothing_keeps_its_place_in_the_order),
        HELD_TEST(a_turn_that_finds_no_place_changes_nothing),
        HELD_TEST(after_a_connect_that_failed_nobody_has_a_turn_for_a_second),
        HELD_TEST(a_turn_begins_at_once_though_the_server_was_tried_before),
        HELD_TEST(a_client_is_held_for_so_long_and_then_reset),
        HELD_TEST(turns_in_vain_do_not_prolong_the_wait),
        HELD_TEST(a_held_client_that_resets_is_noticed_between_many_turns_in_vain),
        HELD_TEST(a_client_for_whom_the_queue_has_no_room_is_refused),
        HELD_TEST(a_held_session_that_is_ended_leaves_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
