/* What the relay counts when it lacks something; that the sums are right each teardown of the
 * fixture checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/accept/listener.h"
#include "relay/run.h"
#include "relay_fixture.h"

static void *no_pages(size_t size)
{
    (void)size;
    return NULL;
}

static void without_descriptors_the_first_try_refuses_and_a_further_one_fails(void **state)
{
    struct fixture *fix = *state;
    fake_port_fail(FAKE_SOCK_OPEN, 0, 1, ERR_NO_DESCRIPTORS);
    fixture_accept(fix);
    assert_int_equal(fixture_reasons(fix, REASON_NO_DESCRIPTORS), 1);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 0);

    fixture_pass(fix, 100);
    sock_t client = fixture_accept(fix);
    fake_port_fail(FAKE_SOCK_OPEN, 0, 1, ERR_NO_DESCRIPTORS);
    fake_port_finish(fixture_op(SOCK_NONE, OP_CONNECT), ERR_REFUSED, 0);
    fixture_pump(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_NO_DESCRIPTORS), 1);
    assert_int_equal(fixture_reasons(fix, REASON_CONNECT_ERROR), 1);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 1);
}

static void without_memory_for_the_upstreams_socket_the_listener_rests(void **state)
{
    struct fixture *fix = *state;
    fake_port_fail(FAKE_SOCK_OPEN, 0, 1, ERR_NOMEM);
    fixture_accept(fix);
    assert_int_equal(fixture_reasons(fix, REASON_NO_MEMORY), 1);
    assert_true(atomic_load(&fix->relay.routes[0]->listeners[0]->starved));
}

static void a_socket_that_can_not_be_attached_is_closed_again(void **state)
{
    struct fixture *fix = *state;
    fake_port_fail(FAKE_PORT_ATTACH, 1, 1, ERR_NOMEM); /* the client's can */
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_NO_MEMORY), 1);
    assert_int_equal(fake_sock_open_count(), 1); /* the listener's */
}

static void a_connect_that_ends_for_lack_of_memory_is_a_session_that_failed(void **state)
{
    struct fixture *fix = *state;
    sock_t client = fixture_accept(fix);
    fake_port_finish(fixture_op(SOCK_NONE, OP_CONNECT), ERR_NOMEM, 0);
    fixture_pump(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_SESSION_NO_MEMORY), 1);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 1);
}

static void without_local_ports_a_session_fails_after_its_tries(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.connect_retries = 1;
    fixture_accept(fix);
    fake_port_finish(fixture_op(SOCK_NONE, OP_CONNECT), ERR_NO_PORTS, 0);
    fixture_pump(fix);
    fake_port_finish(fixture_op(SOCK_NONE, OP_CONNECT), ERR_NO_PORTS, 0);
    fixture_pump(fix);
    assert_int_equal(fixture_reasons(fix, REASON_NO_PORTS), 1);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 1);
}

/* Counted as an end, not as a refusal: the sums of the teardown show it. */
static void a_session_whose_connection_lacks_memory_ends_and_says_so(void **state)
{
    struct fixture *fix = *state;
    fixture_gather_log();
    struct session s = fixture_session(fix);
    fixture_arrive_error(fix, s.client, ERR_NOMEM);
    fixture_cancelled(fix);
    assert_int_equal(fixture_closed(s.client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_closed(s.upstream), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_SESSION_NO_MEMORY), 1);
    fixture_expect_log("error route 'game': session 1 ended: the system had no memory left");

    s = fixture_session(fix);
    fixture_arrive(fix, s.upstream, "down");
    fake_port_finish(fixture_op(s.client, OP_WRITE), ERR_NOMEM, 0);
    fixture_pump(fix);
    fixture_cancelled(fix);
    assert_int_equal(fixture_reasons(fix, REASON_SESSION_NO_MEMORY), 2);
    assert_int_equal(fixture_reasons(fix, REASON_NO_MEMORY), 0);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 2);
    fixture_expect_log("reason=no_memory phase=data");
}

static void without_memory_for_a_pair_the_client_is_refused_and_the_listener_rests(void **state)
{
    struct fixture *fix = *state;
    fix->relay.pairs.pages.alloc = no_pages;
    assert_int_equal(fixture_closed(fixture_accept(fix)), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_reasons(fix, REASON_NO_MEMORY), 1);
    assert_true(atomic_load(&fix->relay.routes[0]->listeners[0]->starved));
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 0);
}

static void a_client_that_comes_while_the_relay_stops_is_reset_and_no_session(void **state)
{
    struct fixture *fix = *state;
    struct op *accept = fixture_op(fix->listener, OP_ACCEPT);
    run_stop(&fix->relay, false);
    struct addr from = {.family = ADDR_IPV4, .port = 40000, .ip = {1, 2, 3, 4}};
    sock_t client = fake_port_finish_accept(accept, &from);
    fixture_pump(fix);
    assert_int_equal(fixture_closed(client), FAKE_SOCK_ABORTED);
    assert_int_equal(fixture_counter(fix, STAT_SESSIONS), 0);
}

static void a_client_over_the_limit_of_the_relay_leaves_the_peak_of_the_route(void **state)
{
    struct fixture *fix = *state;
    fix->relay.quota.limit = 1;
    fixture_session(fix);
    fixture_accept(fix);
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_SESSIONS), 1);
    assert_int_equal(atomic_load(&fix->relay.routes[0]->quota.peak), 1);
    assert_int_equal(atomic_load(&fix->relay.quota.peak), 1);
}

static void a_client_over_the_limit_of_the_route_leaves_the_peak_of_the_relay(void **state)
{
    struct fixture *fix = *state;
    fix->relay.routes[0]->quota.limit = 1;
    fixture_session(fix);
    fixture_accept(fix);
    assert_int_equal(fixture_reasons(fix, REASON_LIMIT_ROUTE), 1);
    assert_int_equal(atomic_load(&fix->relay.routes[0]->quota.peak), 1);
    assert_int_equal(atomic_load(&fix->relay.quota.peak), 1);
}

#define COUNT_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        COUNT_TEST(without_descriptors_the_first_try_refuses_and_a_further_one_fails),
        COUNT_TEST(without_memory_for_the_upstreams_socket_the_listener_rests),
        COUNT_TEST(a_socket_that_can_not_be_attached_is_closed_again),
        COUNT_TEST(a_connect_that_ends_for_lack_of_memory_is_a_session_that_failed),
        COUNT_TEST(without_local_ports_a_session_fails_after_its_tries),
        COUNT_TEST(a_session_whose_connection_lacks_memory_ends_and_says_so),
        COUNT_TEST(without_memory_for_a_pair_the_client_is_refused_and_the_listener_rests),
        COUNT_TEST(a_client_that_comes_while_the_relay_stops_is_reset_and_no_session),
        COUNT_TEST(a_client_over_the_limit_of_the_relay_leaves_the_peak_of_the_route),
        COUNT_TEST(a_client_over_the_limit_of_the_route_leaves_the_peak_of_the_relay),
    };
    return cmocka_run_group_tests_name("relay_counts", tests, NULL, NULL);
}
