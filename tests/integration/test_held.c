/* when_down = hold: clients for whom there is no upstream wait, and lose neither their turn nor
 * what they have said; and every way in which the wait can end. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "game_server.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define CLIENTS_MAX 200
#define HEALTH      "health = tcp interval=200ms fast=100ms fall=2 rise=2\n"

static struct game_server server;

static size_t client_count(void)
{
    return test_on_windows() ? 60 : CLIENTS_MAX;
}

/* ---- what the relay knows ---- */

static unsigned count_held(struct relay_run *relay)
{
    json_t *root = relay_json(relay, "show sessions");
    const json_t *sessions = json_object_get(root, "sessions");
    unsigned held = 0;
    for (size_t i = 0; i < json_array_size(sessions); i++)
        held += strcmp(json_text(json_array_get(sessions, i), "phase"), "held") == 0;
    json_decref(root);
    return held;
}

static void wait_held(struct relay_run *relay, unsigned count)
{
    uint64_t start = os_mono_ms();
    unsigned held;
    while ((held = count_held(relay)) != count) {
        if (os_mono_ms() - start > NET_PATIENCE_MS)
            fail_msg("%u clients are held, not %u", held, count);
        os_sleep_ms(10);
    }
}

/* A relay whose only server is dead, which is known already. */
static struct relay_run *start_without_server(void **state, const char *relay_keys,
                                              const char *route_keys)
{
    char keys[512];
    str_format(keys, sizeof keys, HEALTH "%s", route_keys);
    game_init(&server, 'a');
    const struct relay_setup setup = {.upstreams = &server.addr,
                                      .upstream_count = 1,
                                      .relay_keys = relay_keys,
                                      .route_keys = keys};
    struct relay_run *relay = relay_start(state, &setup);
    expect_log(relay, "is DOWN, was UP");
    return relay;
}

static void end_with_server(struct relay_run *relay)
{
    relay_wait_nothing_left(relay);
    relay_end(relay);
    game_kill(&server);
}

/* ---- a restart ---- */

static void expect_all_answered(sock_t *clients, size_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char letter = 0;
        enum err err = game_receive_answer(clients[i], i, NET_PATIENCE_MS, &letter);
        if (err != ERR_OK)
            fail_msg("client %u of %u got no answer: %s", i, (unsigned)count, err_text(err));
        net_close(clients[i]);
    }
}

/* The server is away for three seconds, in which clients come at a steady pace. */
static void check_restart(void **state, const char *keys)
{
    sock_t clients[CLIENTS_MAX];
    size_t count = client_count();
    game_init(&server, 'a');
    game_start(&server);
    const struct relay_setup setup = {
        .upstreams = &server.addr, .upstream_count = 1, .route_keys = keys};
    struct relay_run *relay = relay_start(state, &setup);

    game_kill(&server);
    uint64_t start = os_mono_ms();
    for (uint32_t i = 0; i < count; i++) {
        clients[i] = connect_client(&relay->addr);
        assert_int_equal(game_send_number(clients[i], i, NET_PATIENCE_MS), ERR_OK);
        while (os_mono_ms() - start < 3000 * (i + 1) / count)
            os_sleep_ms(1);
    }
    game_start(&server);
    expect_all_answered(clients, count);
    relay_wait_nothing_left(relay);
    assert_int_equal(atomic_load(&server.clients), count);
    assert_int_equal(relay_stat(relay, "sessions_total"), count);
    assert_int_equal(relay_stat(relay, "sessions_refused_total"), 0);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.client_fin"), count);
    end_with_server(relay);
}

static void a_restart_of_the_only_server_costs_no_client_its_connection(void **state)
{
    check_restart(state, HEALTH "when_down = hold 30s\n");
}

/* Then the only sign of its death are the connects that fail. */
static void a_restart_costs_no_client_its_connection_without_checks_either(void **state)
{
    check_restart(state, "when_down = hold 30s\nconnect_retries = 0\n");
}

static void expect_order(size_t count)
{
    uint64_t start = os_mono_ms();
    while (atomic_load(&server.clients) < count && os_mono_ms() - start < NET_PATIENCE_MS)
        os_sleep_ms(10);
    assert_int_equal(atomic_load(&server.clients), count);
    for (uint32_t i = 0; i < count; i++)
        if (server.asked[i] != i)
            fail_msg("client %u came to the server as number %u", server.asked[i], i);
    assert_in_range(atomic_load(&server.peak), 0, 1); /* 0: each had finished already */
}

/* With one place at the server the clients come one after the other; one worker, so that the
 * order in which the relay has accepted them is known. */
static void check_order(void **state, const char *keys)
{
    sock_t clients[CLIENTS_MAX];
    size_t count = client_count();
    char all_keys[512], text[ADDR_TEXT_MAX];
    game_init(&server, 'a');
    str_format(all_keys, sizeof all_keys, "upstream = %s max_sessions=1\n%s",
               addr_format(&server.addr, text), keys);
    const struct relay_setup setup = {.relay_keys = "workers = 1\n", .route_keys = all_keys};
    struct relay_run *relay = relay_start(state, &setup);
    for (uint32_t i = 0; i < count; i++) {
        clients[i] = connect_client(&relay->addr);
        assert_int_equal(game_send_number(clients[i], i, NET_PATIENCE_MS), ERR_OK);
        if (i == count / 2)
            os_sleep_ms(2500); /* some turns go by in vain */
    }
    game_start(&server);
    expect_all_answered(clients, count);
    expect_order(count);
    end_with_server(relay);
}

static void held_clients_are_served_in_the_order_in_which_they_came(void **state)
{
    check_order(state, HEALTH "when_down = hold 50s\n");
}

static void connects_that_fail_do_not_change_the_order_of_the_held(void **state)
{
    check_order(state, "when_down = hold 50s\nconnect_retries = 0\n");
}

static void retries_do_not_change_the_order_of_the_held(void **state)
{
    check_order(state, "when_down = hold 50s\nconnect_retries = 1\n");
}

static void what_a_held_client_sent_arrives_whole(void **state)
{
    struct addr upstream;
    sock_t listener = upstream_listen(ADDR_IPV4, &upstream);
    char keys[256];
    game_init(&server, 'a'); /* the checks go there */
    str_format(keys, sizeof keys,
               "health = tcp port=%u interval=200ms fast=100ms\nwhen_down = hold 50s\n",
               (unsigned)server.addr.port);
    const struct relay_setup setup = {
        .upstreams = &upstream, .upstream_count = 1, .route_keys = keys};
    struct relay_run *relay = relay_start(state, &setup);
    expect_log(relay, "is DOWN, was UP");
    struct session session = {.client = connect_client(&relay->addr)};
    send_bytes(session.client, 100000);
    net_finish(session.client);
    wait_held(relay, 1);

    game_start(&server);
    assert_int_equal(net_accept(listener, NET_PATIENCE_MS, &session.upstream), ERR_OK);
    expect_bytes(session.upstream, 100000);
    expect_end(session.upstream, NET_END_FIN, 0);
    send_bytes(session.upstream, 5000);
    net_finish(session.upstream);
    expect_bytes(session.client, 5000);
    expect_end(session.client, NET_END_FIN, 0);
    session_drop(&session);
    net_close(listener);
    expect_log(relay, "reason=client_fin phase=data bytes_up=100000 bytes_down=5000");
    end_with_server(relay);
}

/* ---- the wait ends otherwise ---- */

static void a_client_that_has_waited_for_too_long_is_reset(void **state)
{
    struct relay_run *relay = start_without_server(state, NULL, "when_down = hold 1500ms\n");
    uint64_t start = os_mono_ms();
    sock_t client = connect_client(&relay->addr);
    expect_end(client, NET_END_RESET, 0);
    expect_passed(start, 1500);
    net_close(client);
    expect_log(relay, "reason=hold_timeout phase=held bytes_up=0 bytes_down=0");
    end_with_server(relay);
}

static void a_full_queue_takes_no_client_before_one_has_left(void **state)
{
    struct relay_run *relay =
        start_without_server(state, NULL, "when_down = hold 50s\nqueue_max = 3\n");
    sock_t clients[3];
    for (size_t i = 0; i < 3; i++)
        clients[i] = connect_client(&relay->addr);
    wait_held(relay, 3);
    expect_refused_client(&relay->addr, NULL);
    assert_true(relay_wait_stat(relay, "sessions_refused_by_reason_total.queue_full", 1));
    assert_int_equal(relay_stat(relay, "sessions_total"), 3);

    net_reset(clients[0]);
    expect_log(relay, "reason=client_reset phase=held");
    clients[0] = connect_client(&relay->addr);
    wait_held(relay, 3);
    game_start(&server);
    for (uint32_t i = 0; i < 3; i++) {
        char letter;
        assert_int_equal(game_ask(clients[i], i, NET_PATIENCE_MS, &letter), ERR_OK);
        net_close(clients[i]);
    }
    end_with_server(relay);
}

/* Also when unread bytes stand before the reset. */
static void a_held_client_that_resets_is_noticed(void **state)
{
    struct relay_run *relay = start_without_server(state, NULL, "when_down = hold 50s\n");
    for (unsigned i = 0; i < 2; i++) {
        sock_t client = connect_client(&relay->addr);
        if (i == 1)
            send_bytes(client, 5000);
        wait_held(relay, 1);
        net_reset(client);
        assert_true(
            relay_wait_stat(relay, "sessions_ended_by_reason_total.client_reset", i + 1));
    }
    expect_log(relay, "reason=client_reset phase=held");
    end_with_server(relay);
}

static void a_held_session_can_be_killed(void **state)
{
    struct relay_run *relay = start_without_server(state, NULL, "when_down = hold 50s\n");
    sock_t client = connect_client(&relay->addr);
    wait_held(relay, 1);
    json_t *root = relay_json(relay, "show sessions");
    char command[64];
    str_format(command, sizeof command, "kill %" PRIu64,
               json_number_at(find_session(root, client), "id", 0));
    json_decref(root);
    assert_int_equal(relay_console(relay, command, NULL, NULL), 0);
    expect_end(client, NET_END_RESET, 0);
    net_close(client);
    expect_log(relay, "reason=killed phase=held");
    end_with_server(relay);
}

static void a_stop_ends_held_clients_after_stop_timeout(void **state)
{
    struct relay_run *relay =
        start_without_server(state, "stop_timeout = 1s\n", "when_down = hold 50s\n");
    sock_t clients[5];
    for (size_t i = 0; i < 5; i++)
        clients[i] = connect_client(&relay->addr);
    wait_held(relay, 5);
    assert_int_equal(process_stop(relay->process), ERR_OK);
    for (size_t i = 0; i < 5; i++) {
        expect_end(clients[i], NET_END_RESET, 0);
        net_close(clients[i]);
    }
    expect_exit(relay);
    assert_int_equal(relay_count_log(relay, "reason=stopped phase=held"), 5);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_restart_of_the_only_server_costs_no_client_its_connection,
                                  relay_teardown),
        cmocka_unit_test_teardown(
            a_restart_costs_no_client_its_connection_without_checks_either, relay_teardown),
        cmocka_unit_test_teardown(held_clients_are_served_in_the_order_in_which_they_came,
                                  relay_teardown),
        cmocka_unit_test_teardown(connects_that_fail_do_not_change_the_order_of_the_held,
                                  relay_teardown),
        cmocka_unit_test_teardown(retries_do_not_change_the_order_of_the_held, relay_teardown),
        cmocka_unit_test_teardown(what_a_held_client_sent_arrives_whole, relay_teardown),
        cmocka_unit_test_teardown(a_client_that_has_waited_for_too_long_is_reset,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_full_queue_takes_no_client_before_one_has_left,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_held_client_that_resets_is_noticed, relay_teardown),
        cmocka_unit_test_teardown(a_held_session_can_be_killed, relay_teardown),
        cmocka_unit_test_teardown(a_stop_ends_held_clients_after_stop_timeout, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
