/* Sessions that come from the relay itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "relay_fixture.h"
#include "support/fake.h"

#define FIRST_PORT 40001 /* of the connections of the fixture's relay to its upstream */

static struct addr own_addr(uint16_t port)
{
    return (struct addr){.family = ADDR_IPV4, .port = port, .ip = {127, 0, 0, 1}};
}

/* The relay listens where the upstreams of the fixture are. */
static int setup(void **state)
{
    int failed = fixture_setup(state);
    struct fixture *fix = *state;
    for (size_t i = 0; failed == 0 && i < 2; i++)
        loop_listens(&fix->relay.loops, fix->upstream_confs[i].port);
    return failed;
}

/* A client with this address is accepted, and the connection to its upstream has the local
 * address 127.0.0.1:`local_port`. */
static struct session open_from(struct fixture *fix, const struct addr *from,
                                uint16_t local_port)
{
    struct session session;
    session.client = fake_port_finish_accept(fixture_op(fix->listener, OP_ACCEPT), from);
    fixture_pump(fix);
    fake_sock(fixture_connecting())->local = own_addr(local_port);
    session.upstream = fixture_connect(fix);
    return session;
}

static void end(struct fixture *fix, const struct session *session)
{
    fixture_arrive_error(fix, session->client, ERR_RESET);
    fixture_cancelled(fix);
    fixture_pass(fix, 1000);
}

static void the_third_pass_through_the_relay_ends_the_session(void **state)
{
    struct fixture *fix = *state;
    struct addr player = {.family = ADDR_IPV4, .port = 1234, .ip = {10, 0, 0, 1}};
    struct session passes[3];
    passes[0] = open_from(fix, &player, FIRST_PORT);
    for (uint16_t i = 1; i < 3; i++) {
        struct addr from = own_addr((uint16_t)(FIRST_PORT + i - 1));
        passes[i] = open_from(fix, &from, (uint16_t)(FIRST_PORT + i));
        assert_int_equal(fake_sock(passes[i].client)->state, FAKE_SOCK_IS_OPEN);
    }
    fixture_gather_log();
    struct addr from = own_addr(FIRST_PORT + 2);
    sock_t fourth = fake_port_finish_accept(fixture_op(fix->listener, OP_ACCEPT), &from);
    fixture_pump(fix);
    assert_int_equal(fixture_closed(fourth), FAKE_SOCK_ABORTED);
    assert_null(fake_port_op(SOCK_NONE, OP_CONNECT));
    assert_int_equal(fixture_reasons(fix, REASON_LOOP), 1);
    fixture_expect_log("leads back to this relay");
    assert_int_equal(fixture_counter(fix, STAT_CONNECTS), 3); /* the fourth began none */
    for (size_t i = 0; i < 3; i++)
        end(fix, &passes[i]);
}

static void players_are_not_taken_for_the_relay(void **state)
{
    struct fixture *fix = *state;
    struct session sessions[5];
    for (uint16_t i = 0; i < 5; i++) {
        struct addr player = own_addr((uint16_t)(1000 + i));
        sessions[i] = open_from(fix, &player, (uint16_t)(FIRST_PORT + i));
    }
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(fake_sock(sessions[i].client)->state, FAKE_SOCK_IS_OPEN);
        end(fix, &sessions[i]);
    }
    assert_int_equal(fixture_reasons(fix, REASON_LOOP), 0);
}

static void an_address_counts_no_more_when_its_session_is_over(void **state)
{
    struct fixture *fix = *state;
    struct addr from = {.family = ADDR_IPV4, .port = 1234, .ip = {10, 0, 0, 1}};
    for (uint16_t i = 0; i < 10; i++) {
        struct session session = open_from(fix, &from, FIRST_PORT);
        end(fix, &session);
        from = own_addr(FIRST_PORT);
    }
    assert_int_equal(fixture_reasons(fix, REASON_LOOP), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_third_pass_through_the_relay_ends_the_session,
                                        setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(players_are_not_taken_for_the_relay, setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(an_address_counts_no_more_when_its_session_is_over,
                                        setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
