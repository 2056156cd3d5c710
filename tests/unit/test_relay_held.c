/* Clients that are held: their order, the rest after a connect that failed, and how the wait
 * ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/core/schedule.h"
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
    schedule_route(route);
    fixture_pass(fix, WHEEL_SLOT_MS);
}

/* Of session number `id`, which is open. */
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

/* An operator ends the session with this number. */
static void end_session(struct fixture *fix, uint64_t id)
{
    struct pair *pair = table_find(&fix->relay.table, id);
    assert_non_null(pair);
    assert_true(pair_end(pair, REASON_KILLED));
    pair_unref(pair);
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
    schedule_route(fix->relay.routes[0]);
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
    assert_int_equal(atomic_load(&fix->relay.routes[0]->queue.total), 3);
}

static void a_turn_that_finds_no_place_changes_nothing(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    fixture_accept(fix);
    fixture_accept(fix);
    for (unsigned i = 0; i < 10; i++) {
        schedule_route(fix->relay.routes[0]);
        fixture_pass(fix, 100);
    }
    expect_phases(fix, 2, (enum phase[]){PHASE_HELD, PHASE_HELD}, 2);
    assert_int_equal(queue_count(&fix->relay.routes[0]->queue), 2);
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
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_HOLD_TIMEOUT), 1);
    assert_int_equal(queue_count(&fix->relay.routes[0]->queue), 0);
}

static void turns_in_vain_do_not_prolong_the_wait(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    for (unsigned i = 0; i < 102; i++) {
        schedule_route(fix->relay.routes[0]);
        fixture_pass(fix, 100);
    }
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_HOLD_TIMEOUT), 1);
}

static void a_held_client_that_resets_is_noticed_at_once(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    fixture_arrive_error(fix, client, ERR_RESET);
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
    assert_int_equal(queue_count(&fix->relay.routes[0]->queue), 1);
    end_session(fix, 1);
    expect_phases(fix, 3, (enum phase[]){PHASE_CONNECT}, 1);
}

/* ---- clients that leave, and what they have said ---- */

/* A client that waits says something and finishes. */
static sock_t accept_one_that_leaves(struct fixture *fix, const char *bytes)
{
    sock_t client = fixture_accept(fix);
    fixture_arrive(fix, client, bytes);
    fixture_arrive_fin(fix, client);
    return client;
}

static uint32_t left_count(struct fixture *fix)
{
    return atomic_load(&fix->relay.routes[0]->queue.left_count);
}

static void a_client_that_finishes_without_a_word_gives_its_place_up_at_once(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    fixture_accept(fix);
    fixture_arrive_fin(fix, client); /* no time passes */
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ENDED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_FIN), 1);
    assert_int_equal(queue_count(&fix->relay.routes[0]->queue), 1);
    end_session(fix, 1);
    expect_phases(fix, 3, (enum phase[]){PHASE_CONNECT}, 1);
}

static void what_a_client_says_while_it_waits_reaches_the_server_in_order(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    fixture_arrive(fix, client, "hel");
    fixture_arrive(fix, client, "lo ");
    end_session(fix, 1);
    sock_t upstream = fixture_connect(fix);
    fixture_cancelled(fix); /* it listened for the client's end */
    fixture_taken(fix, upstream);
    fake_sock(upstream)->room = 100;
    fixture_arrive(fix, client, "there");
    fixture_expect_sent(upstream, "hello there", 11);
}

/* It spoke, then it resets just when its session begins. */
static void what_a_client_said_while_it_waited_outlives_its_reset(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    fixture_arrive(fix, client, "hello");
    end_session(fix, 1);
    sock_t upstream = fixture_connect(fix);
    fake_sock(client)->send_result = ERR_RESET;
    fixture_arrive(fix, upstream, "welcome");
    fixture_cancelled(fix); /* it listened for the client's end */
    fixture_taken(fix, upstream);
    fixture_expect_sent(upstream, "hello", 5);
}

static void a_client_that_said_nothing_goes_on_with_the_read_that_listened(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    end_session(fix, 1);
    sock_t upstream = fixture_connect(fix);
    fake_sock(upstream)->room = 100;
    fixture_arrive(fix, client, "hello");
    fixture_expect_sent(upstream, "hello", 5);
}

static void bytes_that_come_while_it_connects_after_its_wait_are_passed_on(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    end_session(fix, 1);
    fixture_arrive(fix, client, "hello");
    sock_t upstream = fixture_connect(fix);
    fake_sock(upstream)->room = 100;
    assert_true(fake_port_finish_arrived(fixture_op(client, OP_READ)));
    fixture_pump(fix);
    fixture_expect_sent(upstream, "hello", 5);
}

static void a_client_that_says_much_is_read_no_further_than_a_small_buffer(void **state)
{
    struct fixture *fix = *state;
    static const unsigned char much[2 * BUFFER_SMALLEST];
    fixture_session(fix);
    sock_t client = fixture_accept(fix);
    fixture_arrive_bytes(fix, client, much, sizeof much);
    assert_int_equal(fake_port_waiting(client, OP_READ), 0);
    assert_int_equal(fake_sock(client)->coming_len, BUFFER_SMALLEST);
    end_session(fix, 1);
    sock_t upstream = fixture_connect(fix);
    fake_sock(upstream)->room = sizeof much;
    fixture_taken(fix, upstream);
    fixture_expect_sent(upstream, much, sizeof much);
}

static void one_that_spoke_and_left_is_served_after_those_that_still_wait(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    sock_t gone = accept_one_that_leaves(fix, "bye");
    assert_int_equal(left_count(fix), 1);
    fixture_accept(fix);
    end_session(fix, 1);
    expect_phases(fix, 2, (enum phase[]){PHASE_HELD, PHASE_CONNECT}, 2);
    fixture_connect(fix);
    end_session(fix, 3);
    assert_int_equal(left_count(fix), 0);
    sock_t upstream = fixture_connect(fix);
    fixture_taken(fix, upstream);
    assert_int_equal(fake_sock(gone)->state, FAKE_SOCK_IS_OPEN);
    assert_true(fake_sock(upstream)->shut);
    fixture_expect_sent(upstream, "bye", 3);
}

static void a_full_queue_takes_a_new_client_in_the_place_of_one_that_has_left(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    fixture_accept(fix);
    sock_t first = accept_one_that_leaves(fix, "a");
    sock_t second = accept_one_that_leaves(fix, "b");
    fixture_accept(fix);
    fixture_pass(fix, WHEEL_SLOT_MS);
    assert_int_equal(fixture_closed(second), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_QUEUE_DISPLACED), 1);
    fixture_accept(fix);
    fixture_pass(fix, WHEEL_SLOT_MS);
    assert_int_equal(fixture_closed(first), FAKE_SOCK_ABORTED);
    assert_int_equal(queue_count(&fix->relay.routes[0]->queue), QUEUE_MAX);
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_QUEUE_FULL), 1);
}

static void a_client_that_loses_its_place_in_the_very_turn_that_it_has_is_served(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix);
    fixture_accept(fix);
    fixture_accept(fix);
    accept_one_that_leaves(fix, "a");
    struct pair *pair = table_find(&fix->relay.table, 4);
    assert_non_null(pair);
    fixture_accept(fix); /* takes the place of 4, which has not been told yet */
    route_set_max_sessions(fix->relay.routes[0]->upstreams.route, 0, 2);
    assert_true(pair_serve(pair, fix->worker));
    pair_unref(pair);
    fixture_pass(fix, 2 * WHEEL_SLOT_MS);
    expect_phases(fix, 4, (enum phase[]){PHASE_CONNECT, PHASE_HELD}, 2);
    assert_int_equal(fixture_reasons(fix, REASON_QUEUE_DISPLACED), 0);
    assert_int_equal(queue_count(&fix->relay.routes[0]->queue), QUEUE_MAX);
}

static void
a_client_that_finishes_without_a_word_between_two_tries_is_tried_no_more(void **state)
{
    struct fixture *fix = *state;
    sock_t client = fixture_accept(fix);
    refuse(fix);
    expect_phases(fix, 1, (enum phase[]){PHASE_CONNECT}, 1);
    fixture_arrive_fin(fix, client);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ENDED);
    assert_int_equal(fixture_reasons(fix, REASON_CLIENT_FIN), 1);
}

static void one_that_left_before_it_came_into_the_queue_takes_nobodys_place(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.queue_max = 1;
    fix->route_conf.connect_retries = 1;
    assert_true(route_set_max_sessions(fix->relay.routes[0]->upstreams.route, 0, 2));
    fixture_accept(fix);
    sock_t gone = fixture_accept(fix);
    refuse(fix);
    refuse(fix);
    fixture_arrive(fix, gone, "a");
    fixture_arrive_fin(fix, gone);
    fixture_pass(fix, 1100);
    refuse(fix);
    refuse(fix);
    expect_phases(fix, 1, (enum phase[]){PHASE_HELD}, 1);
    assert_int_equal(fixture_closed(gone), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_QUEUE_DISPLACED), 0);
}

/* ---- the share of one client ---- */

static void one_client_has_no_more_places_than_its_share(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.queue_max_per_client = 2;
    fixture_session(fix);
    sock_t first = fixture_accept(fix);
    fixture_accept(fix);
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_QUEUE_FULL_CLIENT), 1);
    assert_int_equal(queue_count(&fix->relay.routes[0]->queue), 2);
    fixture_arrive_fin(fix, first); /* and its place is free again */
    fixture_accept(fix);
    assert_int_equal(queue_count(&fix->relay.routes[0]->queue), 2);
    assert_int_equal(fixture_reasons(fix, REASON_QUEUE_FULL_CLIENT), 1);
}

static void a_client_that_comes_back_takes_the_place_of_its_session_that_left(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.queue_max_per_client = 1;
    fixture_session(fix);
    sock_t before = accept_one_that_leaves(fix, "a");
    fixture_accept(fix);
    fixture_pass(fix, WHEEL_SLOT_MS);
    assert_int_equal(fixture_closed(before), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_QUEUE_DISPLACED), 1);
    assert_int_equal(queue_count(&fix->relay.routes[0]->queue), 1);
}

static void the_share_of_a_client_does_not_bind_those_that_are_exempt(void **state)
{
    struct fixture *fix = *state;
    struct addr_net all = {.addr = {.family = ADDR_IPV4}};
    fix->route_conf.queue_max_per_client = 1;
    fix->route_conf.exempts = &all;
    fix->route_conf.exempt_count = 1;
    fixture_session(fix);
    for (unsigned i = 0; i < QUEUE_MAX; i++)
        fixture_accept(fix);
    assert_int_equal(queue_count(&fix->relay.routes[0]->queue), QUEUE_MAX);
}

static void *no_pages(size_t size)
{
    (void)size;
    return NULL;
}

/* The bytes stay with the system meanwhile. */
static void a_held_client_is_listened_to_again_when_memory_is_back(void **state)
{
    struct fixture *fix = *state;
    set_upstream(fix, ROUTE_DISABLED);
    sock_t client = fixture_accept(fix);
    struct slab *slab = &fix->relay.buffers.classes[0].slab;
    slab->pages.alloc = no_pages;
    fixture_arrive(fix, client, "hello");
    assert_int_equal(fake_sock(client)->coming_len, 5);
    assert_int_equal(fake_port_waiting(client, OP_READ), 0);
    slab->pages = os_slab_pages();
    fixture_pass(fix, 1100);
    fake_port_finish(fixture_op(client, OP_READ), ERR_OK, 0);
    fixture_pump(fix);
    assert_int_equal(fake_sock(client)->coming_len, 0);
    fixture_kill_latest(fix);
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
        HELD_TEST(a_held_client_that_resets_is_noticed_at_once),
        HELD_TEST(a_client_for_whom_the_queue_has_no_room_is_refused),
        HELD_TEST(a_held_session_that_is_ended_leaves_the_queue),
        HELD_TEST(a_held_client_is_listened_to_again_when_memory_is_back),
        HELD_TEST(a_client_that_finishes_without_a_word_gives_its_place_up_at_once),
        HELD_TEST(what_a_client_says_while_it_waits_reaches_the_server_in_order),
        HELD_TEST(what_a_client_said_while_it_waited_outlives_its_reset),
        HELD_TEST(a_client_that_said_nothing_goes_on_with_the_read_that_listened),
        HELD_TEST(bytes_that_come_while_it_connects_after_its_wait_are_passed_on),
        HELD_TEST(a_client_that_says_much_is_read_no_further_than_a_small_buffer),
        HELD_TEST(one_that_spoke_and_left_is_served_after_those_that_still_wait),
        HELD_TEST(a_full_queue_takes_a_new_client_in_the_place_of_one_that_has_left),
        HELD_TEST(a_client_that_loses_its_place_in_the_very_turn_that_it_has_is_served),
        HELD_TEST(a_client_that_finishes_without_a_word_between_two_tries_is_tried_no_more),
        HELD_TEST(one_that_left_before_it_came_into_the_queue_takes_nobodys_place),
        HELD_TEST(one_client_has_no_more_places_than_its_share),
        HELD_TEST(a_client_that_comes_back_takes_the_place_of_its_session_that_left),
        HELD_TEST(the_share_of_a_client_does_not_bind_those_that_are_exempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
