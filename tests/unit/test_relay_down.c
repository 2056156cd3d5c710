/* A server that goes down: whose sessions end, and what checks that are cut short say of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/core/schedule.h"
#include "relay/run.h"
#include "relay_fixture.h"

static const struct addr checked = {.family = ADDR_IPV4, .port = 9000, .ip = {10, 0, 0, 7}};

/* The first upstream has another address, which is checked; its check is in flight. */
static struct op *begin_check(struct fixture *fix)
{
    struct relay_route *route = fix->relay.routes[0];
    fix->route_conf.health = (struct conf_health){.on = true,
                                                  .interval_ms = 2000,
                                                  .timeout_ms = 1000,
                                                  .rise = 1,
                                                  .fall = 1,
                                                  .fast_ms = 1000};
    assert_int_equal(
        route_set_addrs(route->upstreams.route, 0, &checked, 1, fix->worker->now_ms, NULL),
        ERR_OK);
    schedule_route(route);
    fixture_pass(fix, WHEEL_SLOT_MS);
    struct op *check = fixture_op(SOCK_NONE, OP_CONNECT);
    assert_true(addr_equal(&check->addr, &checked));
    return check;
}

static enum route_state state_of_first(struct fixture *fix)
{
    struct route_upstream_info info;
    route_get_upstream(fix->relay.routes[0]->upstreams.route, 0, fix->worker->now_ms, &info);
    return info.servers[0].state;
}

static void finish(struct fixture *fix, struct op *op, enum err err)
{
    fake_port_finish(op, err, 0);
    fixture_pump(fix);
    fixture_pass(fix, WHEEL_SLOT_MS);
}

static void on_down_kill_ends_the_sessions_that_are_connected_there(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.on_down = CONF_KILL;
    struct op *check = begin_check(fix);
    struct op *connects[4];
    sock_t clients[4];
    for (size_t i = 0; i < 4; i++) { /* 2 for each server */
        clients[i] = fixture_accept(fix);
        struct pair *pair = table_find(&fix->relay.table, i + 1);
        connects[i] = &pair->down.op;
        pair_unref(pair);
    }
    bool was_killed[4];
    for (size_t i = 0; i < 4; i++) { /* of each server's sessions the first one stands */
        was_killed[i] = i < 2 && addr_equal(&connects[i]->addr, &checked);
        if (i < 2)
            finish(fix, connects[i], ERR_OK);
    }
    finish(fix, check, ERR_REFUSED);
    assert_int_equal(state_of_first(fix), ROUTE_DOWN);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_DOWN), 1);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fake_sock(clients[i])->state,
                         was_killed[i] ? FAKE_SOCK_ABORTED : FAKE_SOCK_IS_OPEN);
}

static void a_client_that_connects_to_a_server_that_went_down_tries_the_next_one(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.on_down = CONF_KILL;
    struct op *check = begin_check(fix);
    fixture_accept(fix);
    fixture_accept(fix);
    finish(fix, check, ERR_REFUSED);
    assert_int_equal(fake_port_waiting(SOCK_NONE, OP_CONNECT), 2);
    for (size_t i = 0; i < 2; i++) {
        struct op *connect = fixture_op(SOCK_NONE, OP_CONNECT);
        finish(fix, connect, addr_equal(&connect->addr, &checked) ? ERR_REFUSED : ERR_OK);
    }
    struct op *connect = fixture_op(SOCK_NONE, OP_CONNECT);
    assert_false(addr_equal(&connect->addr, &checked));
    finish(fix, connect, ERR_OK);
    assert_int_equal(fixture_reasons(fix, REASON_UPSTREAM_DOWN), 0);
}

static void a_check_that_a_stop_cuts_short_says_nothing_of_the_server(void **state)
{
    struct fixture *fix = *state;
    fixture_session(fix); /* keeps the relay for a while */
    struct op *check = begin_check(fix);
    run_stop(&fix->relay, false);
    fixture_pump(fix);
    fixture_pass(fix, WHEEL_SLOT_MS);
    assert_true(fake_port_cancel_asked(check));
    fixture_cancelled(fix);
    fixture_pass(fix, WHEEL_SLOT_MS);
    assert_int_equal(state_of_first(fix), ROUTE_UP);
}

static void a_check_is_given_up_at_its_timeout(void **state)
{
    struct fixture *fix = *state;
    struct op *check = begin_check(fix);
    fixture_pass(fix, 900);
    assert_false(fake_port_cancel_asked(check));
    fixture_pass(fix, 200);
    assert_true(fake_port_cancel_asked(check));
    fixture_cancelled(fix);
    assert_int_equal(state_of_first(fix), ROUTE_DOWN);
}

/* ---- how a check ends ---- */

static struct op *begin_question(struct fixture *fix, enum conf_check_end end)
{
    /* Its health is set by begin_check(); what it asks is read when the check begins. */
    fix->route_conf.health.expect = (struct conf_bytes){2, "OK"};
    fix->route_conf.health.end = end;
    struct route_check check = {.addr = checked};
    probe_begin(fix->worker, fix->relay.routes[0], &check);
    return fixture_op(SOCK_NONE, OP_CONNECT);
}

static void a_check_that_only_connects_is_reset_before_the_server_can_accept_it(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.proxy_out = CONF_PROXY_OUT_V1;
    struct op *check = begin_check(fix);
    sock_t sock = check->sock;
    assert_true(fake_sock(sock)->delays_ack);
    finish(fix, check, ERR_OK);
    assert_int_equal(fixture_closed(sock), FAKE_SOCK_ABORTED);
    fixture_expect_sent(sock, "", 0);
    assert_int_equal(state_of_first(fix), ROUTE_UP);
}

static void a_check_that_expects_something_ends_as_it_is_told(void **state)
{
    struct fixture *fix = *state;
    finish(fix, begin_check(fix), ERR_REFUSED); /* has set the health of the route */
    static const enum conf_check_end ends[] = {CONF_CHECK_FIN, CONF_CHECK_RESET};
    for (size_t i = 0; i < 2; i++) {
        struct op *check = begin_question(fix, ends[i]);
        sock_t sock = check->sock;
        assert_false(fake_sock(sock)->delays_ack);
        finish(fix, check, ERR_OK);
        fake_port_finish_read(fixture_op(sock, OP_READ), "OK", 2);
        fixture_pump(fix);
        assert_int_equal(fixture_closed(sock),
                         ends[i] == CONF_CHECK_RESET ? FAKE_SOCK_ABORTED : FAKE_SOCK_ENDED);
    }
}

/* Its worker was about to begin it while the last part of the relay ended in another one: the exit
 * message is on its way, and it may not be sent twice. */
static void a_check_that_comes_too_late_for_a_stop_is_none(void **state)
{
    struct fixture *fix = *state;
    run_stop(&fix->relay, true);
    fixture_pump(fix);
    fake_port_finish_cancelled(SOCK_NONE);
    fixture_pump(fix);
    assert_int_equal(atomic_load(&fix->relay.lifecycle.refs), 0);
    unsigned open = fake_sock_open_count();

    const struct route_check check = {.addr = checked};
    probe_begin(fix->worker, fix->relay.routes[0], &check);
    assert_null(fake_port_op(SOCK_NONE, OP_CONNECT));
    assert_int_equal(atomic_load(&fix->relay.lifecycle.refs), 0);
    assert_int_equal(fake_sock_open_count(), open);
}

/* ---- what is known of a server that nobody checks ---- */

static struct route_server_info first_server(struct fixture *fix)
{
    struct route_upstream_info info;
    route_get_upstream(fix->relay.routes[0]->upstreams.route, 0, fix->worker->now_ms, &info);
    return info.servers[0];
}

static void failed_connects_in_a_row_are_known_until_one_succeeds(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.balance = CONF_FIRST;
    fix->route_conf.connect_retries = 0;
    assert_int_equal(first_server(fix).connect_failures, 0);
    assert_int_equal(first_server(fix).tried_ms, 0);
    for (uint32_t i = 1; i <= 3; i++) {
        fixture_accept(fix);
        finish(fix, fixture_op(SOCK_NONE, OP_CONNECT), i == 3 ? ERR_TIMEDOUT : ERR_REFUSED);
        assert_int_equal(first_server(fix).connect_failures, i);
    }
    uint64_t failed_ms = first_server(fix).connect_failed_ms;
    fixture_pass(fix, 3000);
    assert_int_equal(first_server(fix).connect_err, ERR_TIMEDOUT);
    assert_int_equal(first_server(fix).connect_failed_ms, failed_ms);
    assert_true(fix->worker->now_ms - failed_ms >= 3000);
    fixture_session(fix);
    assert_int_equal(first_server(fix).connect_failures, 0);
    assert_true(first_server(fix).tried_ms > failed_ms);
}

/* ---- what ejects ---- */

static int set_up_with_eject(void **state)
{
    fixture_setup_unresolved(state);
    struct fixture *fix = *state;
    fix->route_conf.eject =
        (struct conf_eject){.count = 3, .within_ms = 10000, .for_ms = 30000};
    fix->route_conf.eject_max_percent = 50;
    fix->route_conf.balance = CONF_FIRST;
    fix->route_conf.connect_retries = 0;
    fixture_know_addresses(fix);
    return 0;
}

/* A client with a number of its own is connected to the first server. */
static struct session come(struct fixture *fix, uint8_t number)
{
    const struct addr client = {.family = ADDR_IPV4, .port = 40000, .ip = {1, 2, 3, number}};
    struct session session;
    session.client = fixture_accept_from(fix, &client);
    session.upstream = fixture_connect(fix);
    return session;
}

static void reset_by_server(struct fixture *fix, const struct session *session)
{
    fixture_arrive_error(fix, session->upstream, ERR_RESET);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(session->client), FAKE_SOCK_ABORTED);
}

static void resets_before_anything_was_passed_on_eject(void **state)
{
    struct fixture *fix = *state;
    for (uint8_t i = 0; i < 3; i++) {
        assert_int_equal(state_of_first(fix), ROUTE_UP);
        struct session session = come(fix, i);
        reset_by_server(fix, &session);
    }
    assert_int_equal(state_of_first(fix), ROUTE_EJECTED);
}

static void resets_of_one_client_count_once(void **state)
{
    struct fixture *fix = *state;
    for (unsigned i = 0; i < 20; i++) {
        struct session session = come(fix, 7);
        reset_by_server(fix, &session);
    }
    assert_int_equal(state_of_first(fix), ROUTE_UP);
}

static void client_prefix_tells_what_one_client_is(void **state)
{
    struct fixture *fix = *state;
    fix->conf.client_bits_ipv4 = 31;
    for (uint8_t i = 0; i < 4; i++) { /* two networks of two */
        struct session session = come(fix, i);
        reset_by_server(fix, &session);
    }
    assert_int_equal(state_of_first(fix), ROUTE_UP);
    struct session session = come(fix, 4);
    reset_by_server(fix, &session);
    assert_int_equal(state_of_first(fix), ROUTE_EJECTED);
}

static void resets_after_bytes_of_the_client_eject_nobody(void **state)
{
    struct fixture *fix = *state;
    for (uint8_t i = 0; i < 20; i++) {
        struct session session = come(fix, i);
        fixture_arrive(fix, session.client, "no packet of this game");
        if (i % 2 == 0) /* else the reset comes while they are sent */
            fixture_taken(fix, session.upstream);
        reset_by_server(fix, &session);
    }
    assert_int_equal(state_of_first(fix), ROUTE_UP);
}

static void resets_after_the_fin_of_the_client_eject_nobody(void **state)
{
    struct fixture *fix = *state;
    for (uint8_t i = 0; i < 20; i++) {
        struct session session = come(fix, i);
        fixture_arrive_fin(fix, session.client);
        reset_by_server(fix, &session);
    }
    assert_int_equal(state_of_first(fix), ROUTE_UP);
}

static void resets_of_silent_clients_after_a_while_eject_nobody(void **state)
{
    struct fixture *fix = *state;
    for (uint8_t i = 0; i < 5; i++) {
        struct session session = come(fix, i);
        fixture_pass(fix, 1100);
        reset_by_server(fix, &session);
    }
    assert_int_equal(state_of_first(fix), ROUTE_UP);
}

static void clients_that_leave_while_they_connect_eject_nobody(void **state)
{
    struct fixture *fix = *state;
    for (uint8_t i = 0; i < 5; i++) {
        const struct addr addr = {.family = ADDR_IPV4, .port = 40000, .ip = {1, 2, 3, i}};
        sock_t client = fixture_accept_from(fix, &addr);
        fake_sock(client)->peer_reset = true;
        fixture_pass(fix, 500);
        fixture_cancelled(fix);
        fixture_closed(client);
    }
    assert_int_equal(state_of_first(fix), ROUTE_UP);
}

#define EJECT_TEST(name)                                                                       \
    cmocka_unit_test_setup_teardown(name, set_up_with_eject, fixture_teardown)
#define DOWN_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DOWN_TEST(on_down_kill_ends_the_sessions_that_are_connected_there),
        DOWN_TEST(a_client_that_connects_to_a_server_that_went_down_tries_the_next_one),
        DOWN_TEST(a_check_that_a_stop_cuts_short_says_nothing_of_the_server),
        DOWN_TEST(a_check_is_given_up_at_its_timeout),
        DOWN_TEST(a_check_that_comes_too_late_for_a_stop_is_none),
        DOWN_TEST(a_check_that_only_connects_is_reset_before_the_server_can_accept_it),
        DOWN_TEST(a_check_that_expects_something_ends_as_it_is_told),
        DOWN_TEST(failed_connects_in_a_row_are_known_until_one_succeeds),
        EJECT_TEST(resets_before_anything_was_passed_on_eject),
        EJECT_TEST(resets_of_one_client_count_once),
        EJECT_TEST(client_prefix_tells_what_one_client_is),
        EJECT_TEST(resets_after_bytes_of_the_client_eject_nobody),
        EJECT_TEST(resets_after_the_fin_of_the_client_eject_nobody),
        EJECT_TEST(resets_of_silent_clients_after_a_while_eject_nobody),
        EJECT_TEST(clients_that_leave_while_they_connect_eject_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
