/* The listener: what it asks of its socket, and how it rests when the machine lacks something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/value/listen.h"
#include "os/holder.h"
#include "relay/accept/listener.h"
#include "relay/accept/listener_socket.h"
#include "relay_fixture.h"

/* ---- its socket ---- */

static void a_listener_asks_for_what_its_route_says(void **state)
{
    struct fixture *fix = *state;
    fix->route_conf.nodelay = false;
    fix->route_conf.backlog = 77;
    const struct conf_listen conf = {
        .addr = {.family = ADDR_IPV6, .port = 7001},
        .port_count = 1,
        .dual_stack = true,
    };
    struct listener *listener;
    assert_int_equal(listener_open(&listener, fix->relay.routes[0], &conf, 0), ERR_OK);
    const struct fake_sock *dual = fake_sock(fake_sock_latest());
    assert_true(dual->dual_stack);
    assert_int_equal(dual->backlog, 77);
    assert_false(dual->nodelay);
    assert_int_equal(dual->local.port, 7001);
    listener_free(listener);
    assert_int_equal(dual->state, FAKE_SOCK_ENDED);

    const struct fake_sock *plain = fake_sock(fix->listener);
    assert_false(plain->dual_stack);
    assert_int_equal(plain->backlog, 16);
    assert_true(plain->nodelay);
}

static void a_listener_that_can_not_be_opened_leaves_nothing(void **state)
{
    struct fixture *fix = *state;
    struct listener *listener = NULL;
    uint32_t parts = atomic_load(&fix->relay.lifecycle.refs);
    fake_port_fail(FAKE_SOCK_LISTEN, 0, 1, ERR_IN_USE);
    assert_int_equal(listener_open(&listener, fix->relay.routes[0], &fix->listen_conf, 0),
                     ERR_IN_USE);
    fake_port_fail(FAKE_PORT_ATTACH, 0, 1, ERR_NOMEM);
    assert_int_equal(listener_open(&listener, fix->relay.routes[0], &fix->listen_conf, 0),
                     ERR_NOMEM);
    assert_null(listener);
    assert_int_equal(fake_sock_open_count(), 1);
    assert_int_equal(atomic_load(&fix->relay.lifecycle.refs), parts);
}

struct waiter {
    struct listener *listener;
    _Atomic bool begun;
    bool closed;
};

static void await_closed(void *arg)
{
    struct waiter *waiter = arg;
    atomic_store(&waiter->begun, true);
    waiter->closed = listener_await_closed(waiter->listener, os_mono_ms() + 60000);
}

/* The clock does not move, so a thread that waits already and is not woken waits for ever. The
 * pause lets it get so far in most rounds; in the others the socket is closed when it looks. */
static void who_waits_for_a_socket_to_close_is_woken(void **state)
{
    struct fixture *fix = *state;
    for (int i = 0; i < 20; i++) {
        struct conf_listen conf = {.addr = {.family = ADDR_IPV4, .port = 7001},
                                   .port_count = 1};
        struct waiter waiter = {.closed = false};
        struct os_thread *thread;
        assert_int_equal(listener_open(&waiter.listener, fix->relay.routes[0], &conf, 0),
                         ERR_OK);
        assert_false(listener_await_closed(waiter.listener, os_mono_ms()));
        assert_int_equal(os_thread_start(&thread, "waiter", await_closed, &waiter), ERR_OK);
        while (!atomic_load(&waiter.begun))
            os_sleep_ms(1);
        os_sleep_ms(1);
        listener_stop(waiter.listener, fix->worker);
        os_thread_join(thread);
        assert_true(waiter.closed);
        listener_free(waiter.listener);
    }
    assert_false(listening_await_none(&fix->relay, os_mono_ms()));
    assert_int_equal(fix->relay.listening.open, 1);
}

static void a_port_that_is_denied_says_what_it_wants(void **state)
{
    (void)state;
    const struct conf_listen conf = {.addr = {.family = ADDR_IPV4, .port = 1},
                                     .port_count = 80};
    char wants[HOLDER_PRIVILEGE_MAX], expected[2 * HOLDER_PRIVILEGE_MAX];
    struct str why;
    str_init(&why);
    listener_tell_failure(&why, "web", &conf, 79, ERR_ACCESS);
    str_format(expected, sizeof expected, "route 'web': listen 0.0.0.0:1-80: port 80: %s%s\n",
               err_text(ERR_ACCESS), holder_privilege(80, wants));
    assert_string_equal(why.data, expected);
    str_clear(&why);
    listener_tell_failure(&why, "web", &conf, 79, ERR_NOMEM);
    assert_null(strstr(why.data, ";"));
    str_free(&why);
}

static void a_failure_names_the_address_as_it_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *written, *named;
        uint16_t offset;
    } cases[] = {
        {":4242", ":4242: ", 0},
        {"*:4242", "*:4242: ", 0},
        {"[::]:4242", "[::]:4242: ", 0},
        {"[0::0:1]:4242", "[0::0:1]:4242: ", 0},
        {":4242-4250", ":4242-4250: port 4243: ", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conf_listen conf;
        struct str why;
        char expected[160];
        str_init(&why);
        assert_true(listen_read(cases[i].written, &conf, &why));
        listener_tell_failure(&why, "web", &conf, cases[i].offset, ERR_NO_ADDRESS);
        str_format(expected, sizeof expected, "route 'web': listen %s%s\n", cases[i].named,
                   err_text(ERR_NO_ADDRESS));
        assert_string_equal(why.data, expected);
        str_free(&why);
    }
}

static void without_ipv6_a_listener_for_all_addresses_is_one_for_ipv4(void **state)
{
    struct fixture *fix = *state;
    static const enum err errs[] = {ERR_NO_FAMILY, ERR_NO_ADDRESS};
    struct conf_listen conf = {
        .addr = {.family = ADDR_IPV6, .port = 7001}, .port_count = 1, .dual_stack = true};
    struct listener *listener = NULL;
    for (size_t i = 0; i < 2; i++) {
        fake_port_fail(FAKE_SOCK_LISTEN, 0, 1, errs[i]);
        assert_int_equal(listener_open(&listener, fix->relay.routes[0], &conf, 0), ERR_OK);
        const struct fake_sock *sock = fake_sock(fake_sock_latest());
        assert_int_equal(sock->local.family, ADDR_IPV4);
        assert_true(addr_is_any(&sock->local));
        assert_int_equal(sock->local.port, 7001);
        assert_true(addr_equal(&listener->bound, &sock->local));
        assert_true(addr_equal(&listener->addr, &conf.addr)); /* a reload finds it there */
        listener_free(listener);
        listener = NULL;
    }

    conf.dual_stack = false; /* asks for IPv6 alone */
    fake_port_fail(FAKE_SOCK_LISTEN, 0, 1, ERR_NO_FAMILY);
    assert_int_equal(listener_open(&listener, fix->relay.routes[0], &conf, 0), ERR_NO_FAMILY);
    conf.dual_stack = true; /* the fault is another one */
    fake_port_fail(FAKE_SOCK_LISTEN, 0, 1, ERR_IN_USE);
    assert_int_equal(listener_open(&listener, fix->relay.routes[0], &conf, 0), ERR_IN_USE);
    assert_null(listener);
    assert_int_equal(fake_sock_open_count(), 1);
}

/* ---- what it lacks ---- */

static void leave_descriptors(unsigned count)
{
    fake_port_fail(FAKE_SOCK_OPEN, count, 1000000, ERR_NO_DESCRIPTORS);
}

static void fail_one_accept(struct fixture *fix)
{
    fake_port_finish(fixture_op(fix->listener, OP_ACCEPT), ERR_NO_DESCRIPTORS, 0);
    fixture_pump(fix);
    fixture_cancelled(fix);
}

static unsigned accepts(const struct fixture *fix)
{
    return fake_port_waiting(fix->listener, OP_ACCEPT);
}

static void a_lack_that_is_over_at_once_is_waited_out_all_the_same(void **state)
{
    struct fixture *fix = *state;
    fail_one_accept(fix); /* others are cancelled, which is no reason to go on */
    assert_int_equal(accepts(fix), 0);
    fixture_pass(fix, 30);
    assert_int_equal(accepts(fix), 0);
    fixture_pass(fix, 70);
    assert_int_equal(accepts(fix), LISTENER_ACCEPTS);
}

static void a_client_taken_in_between_makes_the_next_lack_a_new_one(void **state)
{
    struct fixture *fix = *state;
    for (int i = 0; i < 6; i++) { /* it looks less and less often */
        fail_one_accept(fix);
        fixture_pass(fix, 2000);
    }
    fixture_session(fix);
    fail_one_accept(fix);
    fixture_pass(fix, 100);
    assert_int_equal(accepts(fix), LISTENER_ACCEPTS);
}

static void while_one_client_is_waited_for_no_further_one_is_asked_for(void **state)
{
    struct fixture *fix = *state;
    fail_one_accept(fix);
    for (int i = 0; i < 20; i++) {
        leave_descriptors(4);
        fixture_pass(fix, 500);
        assert_true(accepts(fix) <= 1);
    }
    assert_int_equal(accepts(fix), 1);
    leave_descriptors(1000000);
}

#define LISTENER_TEST(name)                                                                    \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LISTENER_TEST(a_listener_asks_for_what_its_route_says),
        LISTENER_TEST(a_listener_that_can_not_be_opened_leaves_nothing),
        LISTENER_TEST(who_waits_for_a_socket_to_close_is_woken),
        cmocka_unit_test(a_port_that_is_denied_says_what_it_wants),
        cmocka_unit_test(a_failure_names_the_address_as_it_is_written),
        LISTENER_TEST(without_ipv6_a_listener_for_all_addresses_is_one_for_ipv4),
        LISTENER_TEST(a_lack_that_is_over_at_once_is_waited_out_all_the_same),
        LISTENER_TEST(a_client_taken_in_between_makes_the_next_lack_a_new_one),
        LISTENER_TEST(while_one_client_is_waited_for_no_further_one_is_asked_for),
    };
    return cmocka_run_group_tests_name("relay_listener", tests, NULL, NULL);
}
