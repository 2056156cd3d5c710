/* Stopping: by signal and by console; in order, in time, and at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/str.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

static struct relay_run *start(void **state, const struct addr *upstream, const char *keys)
{
    const struct relay_setup setup = {
        .upstreams = upstream, .upstream_count = 1, .relay_keys = keys};
    return relay_start(state, &setup);
}

static void send_stop(struct relay_run *relay)
{
    assert_int_equal(process_stop(relay->process), ERR_OK);
}

/* The relay stops: nobody gets in any more, while sessions, at least one, go on. */
static void expect_no_entry(struct relay_run *relay)
{
    expect_log(relay, " notice stopping: ");
    uint64_t start_ms = os_mono_ms();
    for (;;) {
        sock_t client;
        enum err err = net_connect(&relay->addr, NET_PATIENCE_MS, &client);
        if (err == ERR_REFUSED)
            return;
        if (err == ERR_OK) { /* it came before the listener closed, and is turned away */
            expect_end(client, NET_END_RESET, 0);
            net_close(client);
        }
        assert_true(err == ERR_OK || err == ERR_RESET);
        assert_true(os_mono_ms() - start_ms < NET_PATIENCE_MS);
    }
}

/* The relay has stopped, and so many sessions have ended, all of them so. */
static void expect_ended(const struct relay_run *relay, const char *ends, unsigned count)
{
    assert_int_equal(relay_count_log(relay, " notice stopped after "), 1);
    assert_int_equal(relay_count_log(relay, ends), count);
    assert_int_equal(relay_count_log(relay, " ended: route="), count);
}

/* ---- in order ---- */

static void a_stop_signal_closes_the_door_and_lets_sessions_finish(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start(state, &upstream, "stop_timeout = 1h\n");
    struct session first = session_open(&relay->addr, listener);
    struct session second = session_open(&relay->addr, listener);
    send_stop(relay);
    expect_log(relay, "stop signal received");
    expect_no_entry(relay);
    session_check(&first);
    session_end(&first);
    session_check(&second);
    assert_false(process_wait(relay->process, 0, NULL));
    expect_log(relay, "stopping: 2 sessions left, they may go on for ");
    session_end(&second);
    expect_exit(relay);
    expect_ended(relay, "reason=client_fin phase=data bytes_up=", 2);
    net_close(listener);
}

static void a_relay_without_sessions_stops_at_once(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start(state, &upstream, "stop_timeout = 1h\n");
    send_stop(relay);
    expect_exit(relay);
    expect_ended(relay, "reason=", 0);
    assert_int_equal(relay_count_log(relay, "stopping:"), 0);
    net_close(listener);
}

static void a_half_closed_session_may_finish_its_other_half(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start(state, &upstream, "stop_timeout = 1h\n");
    struct session session = session_open(&relay->addr, listener);
    net_finish(session.client);
    expect_end(session.upstream, NET_END_FIN, 0);
    send_stop(relay);
    expect_no_entry(relay);
    send_bytes(session.upstream, 100000);
    net_finish(session.upstream);
    expect_bytes(session.client, 100000);
    expect_end(session.client, NET_END_FIN, 0);
    session_drop(&session);
    expect_exit(relay);
    expect_ended(relay, "reason=client_fin phase=data bytes_up=0 bytes_down=100000 ", 1);
    net_close(listener);
}

/* Connects a client whose upstream does not answer yet. */
static sock_t connect_client_to_deaf(struct relay_run *relay)
{
    sock_t client = connect_client(&relay->addr);
    send_bytes(client, 1000);
    assert_true(relay_wait_stat(relay, "connects_total", 1));
    return client;
}

static void a_session_that_is_still_connecting_may_go_on(void **state)
{
    struct net_deaf deaf;
    upstream_deaf(&deaf);
    const struct relay_setup setup = {.upstreams = &deaf.addr,
                                      .upstream_count = 1,
                                      .relay_keys = "stop_timeout = 1h\n",
                                      .route_keys = "connect_timeout = 2m\n"};
    struct relay_run *relay = relay_start(state, &setup);
    struct session session = {.client = connect_client_to_deaf(relay)};
    send_stop(relay);
    expect_no_entry(relay);
    assert_int_equal(net_deaf_accept(&deaf, NET_PATIENCE_MS, &session.upstream), ERR_OK);
    expect_bytes(session.upstream, 1000);
    session_check(&session);
    session_end(&session);
    expect_exit(relay);
    expect_ended(relay, "reason=client_fin phase=data bytes_up=4000 bytes_down=3000 ", 1);
    net_deaf_close(&deaf);
}

/* ---- in time ---- */

static void sessions_that_do_not_finish_within_stop_timeout_are_reset(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start(state, &upstream, "stop_timeout = 1500ms\n");
    struct session open = session_open(&relay->addr, listener);
    struct session half = session_open(&relay->addr, listener);
    session_check(&open);
    net_finish(half.upstream);
    expect_end(half.client, NET_END_FIN, 0);

    uint64_t start_ms = os_mono_ms();
    send_stop(relay);
    expect_end(open.client, NET_END_RESET, 0);
    expect_passed(start_ms, 1500);
    expect_end(open.upstream, NET_END_RESET, 0);
    assert_true(net_wait_reset(half.client, NET_PATIENCE_MS));
    assert_true(net_wait_reset(half.upstream, NET_PATIENCE_MS));
    expect_exit(relay);
    assert_int_equal(relay_count_log(relay, "reason=stopped phase=data bytes_up=3000"), 1);
    assert_int_equal(relay_count_log(relay, "reason=stopped phase=half_closed"), 1);
    expect_ended(relay, "reason=stopped", 2);
    session_drop(&open);
    session_drop(&half);
    net_close(listener);
}

static void a_stop_timeout_of_zero_does_not_wait(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start(state, &upstream, "stop_timeout = 0s\n");
    struct session session = session_open(&relay->addr, listener);
    session_check(&session);
    send_stop(relay);
    session_expect_reset(&session);
    expect_exit(relay);
    expect_ended(relay, "reason=stopped phase=data", 1);
    net_close(listener);
}

/* ---- at once ---- */

/* A relay with one session in each state in which it can be, none of which would end by itself. */
struct states {
    struct session open;
    struct session half;
    struct session stalled; /* the upstream does not read */
};

static struct states open_states(struct relay_run *relay, sock_t listener)
{
    struct states states = {.open = session_open(&relay->addr, listener)};
    states.half = session_open(&relay->addr, listener);
    states.stalled = session_open(&relay->addr, listener);
    uint64_t sent;
    session_check(&states.open);
    net_finish(states.half.client);
    expect_end(states.half.upstream, NET_END_FIN, 0);
    assert_int_equal(net_send_until_full(states.stalled.client, 300, &sent), ERR_OK);
    return states;
}

static void expect_states_reset(struct relay_run *relay, struct states *states)
{
    session_expect_reset(&states->open);
    assert_true(net_wait_reset(states->half.client, NET_PATIENCE_MS));
    assert_true(net_wait_reset(states->half.upstream, NET_PATIENCE_MS));
    assert_true(net_wait_reset(states->stalled.client, NET_PATIENCE_MS));
    assert_true(net_wait_reset(states->stalled.upstream, NET_PATIENCE_MS));
    session_drop(&states->half);
    session_drop(&states->stalled);
    expect_exit(relay);
    expect_ended(relay, "reason=stopped", 3);
}

static void a_second_signal_ends_all_sessions_now(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start(state, &upstream, "stop_timeout = 1h\n");
    struct states states = open_states(relay, listener);
    send_stop(relay);
    expect_no_entry(relay);
    session_check(&states.open);
    send_stop(relay);
    expect_states_reset(relay, &states);
    assert_int_equal(relay_count_log(relay, "stop signal received"), 2);
    net_close(listener);
}

static void a_second_signal_ends_a_session_that_is_still_connecting(void **state)
{
    struct net_deaf deaf;
    upstream_deaf(&deaf);
    const struct relay_setup setup = {.upstreams = &deaf.addr,
                                      .upstream_count = 1,
                                      .relay_keys = "stop_timeout = 1h\n",
                                      .route_keys = "connect_timeout = 10m\n"};
    struct relay_run *relay = relay_start(state, &setup);
    sock_t client = connect_client_to_deaf(relay);
    send_stop(relay);
    expect_no_entry(relay);
    assert_false(net_wait_reset(client, 100));
    send_stop(relay);
    expect_end(client, NET_END_RESET, 0);
    net_close(client);
    expect_exit(relay);
    expect_ended(relay, "reason=stopped phase=connect", 1);
    net_deaf_close(&deaf);
}

static void a_session_between_two_tries_to_connect_is_ended_at_once(void **state)
{
    const struct addr nobody = net_loopback(ADDR_IPV4, net_free_port());
    const struct relay_setup setup = {.upstreams = &nobody,
                                      .upstream_count = 1,
                                      .relay_keys = "stop_timeout = 0s\n",
                                      .route_keys = "connect_retries = 100\n"};
    struct relay_run *relay = relay_start(state, &setup);
    sock_t client = connect_client(&relay->addr);
    expect_log(relay, "another try follows");
    send_stop(relay);
    expect_end(client, NET_END_RESET, 0);
    net_close(client);
    expect_exit(relay);
    expect_ended(relay, "reason=stopped phase=connect", 1);
}

/* ---- by the console ---- */

static void shutdown_lets_sessions_finish_and_can_be_watched(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start(state, &upstream, "stop_timeout = 1h\n");
    struct session session = session_open(&relay->addr, listener);
    tell(relay, "shutdown", 0,
         "stopping: 1 session may go on for 1h; `shutdown now` ends them at once\n");
    expect_log(relay, " notice console: shutdown\n");
    expect_no_entry(relay);
    session_check(&session);

    json_t *info = relay_json(relay, "show info");
    assert_string_equal(json_text(info, "state"), "stopping");
    uint64_t left = json_number_at(info, "stop_left_ms", 0);
    assert_in_range(left, 1, 3600 * 1000);
    assert_int_equal(json_number_at(info, "sessions_open", 0), 1);
    json_decref(info);

    session_end(&session);
    expect_exit(relay);
    expect_ended(relay, "reason=client_fin phase=data bytes_up=3000 bytes_down=3000 ", 1);
    net_close(listener);
}

static void shutdown_now_ends_all_sessions_now(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start(state, &upstream, "stop_timeout = 1h\n");
    struct states states = open_states(relay, listener);
    tell(relay, "shutdown now", 0, "stopping now\n");
    expect_states_reset(relay, &states);
    expect_log(relay, " notice console: shutdown now\n");
    net_close(listener);
}

static void a_second_shutdown_ends_all_sessions_now(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start(state, &upstream, "stop_timeout = 1h\n");
    struct session first = session_open(&relay->addr, listener);
    struct session second = session_open(&relay->addr, listener);
    tell(relay, "shutdown", 0,
         "stopping: 2 sessions may go on for 1h; `shutdown now` ends them at once\n");
    session_check(&first);
    tell(relay, "shutdown", 0, "stopping now\n");
    session_expect_reset(&first);
    session_expect_reset(&second);
    expect_exit(relay);
    expect_ended(relay, "reason=stopped phase=data", 2);
    net_close(listener);
}

static void shutdown_without_sessions_stops_at_once(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    struct relay_run *relay = start(state, &upstream, "stop_timeout = 1h\n");
    tell(relay, "shutdown", 0, "stopping now\n");
    expect_exit(relay);
    expect_ended(relay, "reason=", 0);
    net_close(listener);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_stop_signal_closes_the_door_and_lets_sessions_finish,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_relay_without_sessions_stops_at_once, relay_teardown),
        cmocka_unit_test_teardown(a_half_closed_session_may_finish_its_other_half,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_session_that_is_still_connecting_may_go_on, relay_teardown),
        cmocka_unit_test_teardown(sessions_that_do_not_finish_within_stop_timeout_are_reset,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_stop_timeout_of_zero_does_not_wait, relay_teardown),
        cmocka_unit_test_teardown(a_second_signal_ends_all_sessions_now, relay_teardown),
        cmocka_unit_test_teardown(a_second_signal_ends_a_session_that_is_still_connecting,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_session_between_two_tries_to_connect_is_ended_at_once,
                                  relay_teardown),
        cmocka_unit_test_teardown(shutdown_lets_sessions_finish_and_can_be_watched,
                                  relay_teardown),
        cmocka_unit_test_teardown(shutdown_now_ends_all_sessions_now, relay_teardown),
        cmocka_unit_test_teardown(a_second_shutdown_ends_all_sessions_now, relay_teardown),
        cmocka_unit_test_teardown(shutdown_without_sessions_stops_at_once, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
