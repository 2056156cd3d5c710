/* A route that is paused: its server restarts and no client that comes meanwhile notices; how many
 * wait and for how long; and how fast they are let in afterwards. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "game_server.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define CLIENTS     24  /* threads, each with one session at a time */
#define BETWEEN     200 /* clients served between two restarts, at least */
#define WAITING_MAX 100

static struct game_server server;

/* ---- what the relay knows ---- */

/* A member of the route 'test' in `show routes json`. */
static uint64_t route_number(struct relay_run *relay, const char *member)
{
    json_t *root = relay_json(relay, "show routes");
    const json_t *route = json_array_get(json_object_get(root, "routes"), 0);
    uint64_t number = json_number_at(route, member, UINT64_MAX);
    json_decref(root);
    return number;
}

static void wait_held(struct relay_run *relay, uint64_t count)
{
    uint64_t start = os_mono_ms(), held;
    while ((held = route_number(relay, "held")) != count) {
        if (os_mono_ms() - start > NET_PATIENCE_MS)
            fail_msg("%" PRIu64 " clients wait, not %" PRIu64, held, count);
        os_sleep_ms(10);
    }
}

/* All sessions that there are wait: the server has none. */
static void wait_all_held(struct relay_run *relay)
{
    uint64_t start = os_mono_ms();
    for (;;) {
        json_t *root = relay_json(relay, "show routes");
        const json_t *route = json_array_get(json_object_get(root, "routes"), 0);
        bool all = json_number_at(route, "held", 0) ==
                   json_number_at(route, "sessions_open", UINT64_MAX);
        json_decref(root);
        if (all && atomic_load(&server.open) == 0)
            return;
        assert_true(os_mono_ms() - start < NET_PATIENCE_MS);
        os_sleep_ms(5);
    }
}

/* Runs a command that succeeds. */
static void run(struct relay_run *relay, const char *command)
{
    char *errors;
    if (relay_console(relay, command, NULL, &errors) != 0)
        fail_msg("`%s`: %s", command, errors);
    free(errors);
}

/* Nothing but the pause keeps a client: one that meets a dead server is refused at once. */
#define REFUSING "when_down = refuse\nconnect_retries = 0\neject = off\n"

static struct relay_run *start(void **state, const char *route_keys)
{
    char keys[512];
    str_format(keys, sizeof keys, "%s%s", REFUSING, route_keys);
    game_init(&server, 'a');
    game_start(&server);
    const struct relay_setup setup = {
        .upstreams = &server.addr, .upstream_count = 1, .route_keys = keys};
    return relay_start(state, &setup);
}

static void end(struct relay_run *relay)
{
    relay_wait_nothing_left(relay);
    relay_end(relay);
    game_kill(&server);
}

/* ---- restarts under a steady load ---- */

static struct load {
    struct addr relay;
    _Atomic uint32_t begun;
    _Atomic bool over;
    _Atomic uint32_t served, lost;
} load;

static bool visit(uint32_t number)
{
    sock_t sock;
    char letter;
    enum err err = net_connect(&load.relay, NET_PATIENCE_MS, &sock);
    if (err != ERR_OK) {
        fprintf(stderr, "client %" PRIu32 " could not connect: %s\n", number, err_text(err));
        return false;
    }
    err = game_ask(sock, number, NET_PATIENCE_MS, &letter);
    if (err != ERR_OK)
        fprintf(stderr, "client %" PRIu32 " got no answer: %s\n", number, err_text(err));
    net_close(sock);
    return err == ERR_OK;
}

static void be_clients(void *arg)
{
    (void)arg;
    while (!atomic_load(&load.over)) {
        bool served = visit(atomic_fetch_add(&load.begun, 1));
        atomic_fetch_add(served ? &load.served : &load.lost, 1);
        os_sleep_ms(5);
    }
}

static void begin_load(struct relay_run *relay, struct os_thread *threads[CLIENTS])
{
    memset(&load, 0, sizeof load);
    load.relay = relay->addr;
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(os_thread_start(&threads[i], "client", be_clients, NULL), ERR_OK);
}

static void end_load(struct os_thread *threads[CLIENTS])
{
    atomic_store(&load.over, true);
    for (size_t i = 0; i < CLIENTS; i++)
        os_thread_join(threads[i]);
}

/* The server restarts while the route is paused. */
static void restart_under_pause(struct relay_run *relay)
{
    uint32_t clients = atomic_load(&server.clients);
    run(relay, "pause test");
    wait_all_held(relay);
    game_kill(&server);
    os_sleep_ms(200);
    game_start(&server);
    run(relay, "resume test");
    uint64_t start_ms = os_mono_ms();
    while (atomic_load(&server.clients) < clients + BETWEEN) {
        assert_true(os_mono_ms() - start_ms < NET_PATIENCE_MS);
        os_sleep_ms(5);
    }
}

static void a_server_that_restarts_under_pause_costs_no_client_anything(void **state)
{
    struct relay_run *relay = start(state, "");
    struct os_thread *threads[CLIENTS];
    begin_load(relay, threads);
    for (unsigned i = 0; i < 5; i++)
        restart_under_pause(relay);
    end_load(threads);
    print_message("5 restarts, %" PRIu32 " clients served\n", atomic_load(&load.served));
    relay_wait_nothing_left(relay);
    assert_int_equal(atomic_load(&load.lost), 0);
    assert_int_equal(relay_stat(relay, "sessions_refused_total"), 0);
    assert_int_equal(relay_stat(relay, "connect_failures_total"), 0);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.client_fin"),
                     atomic_load(&load.begun));
    end(relay);
}

static void a_route_paused_and_resumed_at_any_moment_loses_no_client(void **state)
{
    struct relay_run *relay = start(state, "admission_ramp = 2000/s burst 20\n");
    struct os_thread *threads[CLIENTS];
    begin_load(relay, threads);
    for (unsigned i = 0; i < 20; i++) {
        run(relay, i % 4 == 0 ? "pause all" : "pause test");
        run(relay, "resume all");
    }
    end_load(threads);
    print_message("20 pauses, %" PRIu32 " clients served\n", atomic_load(&load.served));
    relay_wait_nothing_left(relay);
    assert_int_equal(atomic_load(&load.lost), 0);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.client_fin"),
                     atomic_load(&load.begun));
    end(relay);
}

/* ---- who waits ---- */

/* Clients that have said their number and wait for the answer, one after the other. */
static void come(struct relay_run *relay, sock_t *clients, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        clients[i] = connect_client(&relay->addr);
        assert_int_equal(game_send_number(clients[i], i, NET_PATIENCE_MS), ERR_OK);
        wait_held(relay, i + 1);
    }
}

static void expect_answer(sock_t client, uint32_t number)
{
    char letter;
    assert_int_equal(game_receive_answer(client, number, NET_PATIENCE_MS, &letter), ERR_OK);
    net_close(client);
}

static void a_pause_holds_new_clients_and_spares_sessions(void **state)
{
    struct relay_run *relay = start(state, "");
    sock_t inside, clients[5];
    char letter;
    game_join(&relay->addr, 1000, &inside);
    tell(relay, "pause test", 0,
         "route 'test' is paused: new clients wait, at most 1000 of them and each for 5m; its "
         "sessions go on\n");
    expect_log(relay, " notice console: route 'test' is paused: new clients wait\n");
    come(relay, clients, 0, 5);
    assert_int_equal(game_ask(inside, 1001, NET_PATIENCE_MS, &letter), ERR_OK);
    assert_int_equal(atomic_load(&server.clients), 1);

    char *shown;
    assert_int_equal(relay_console(relay, "show routes", &shown, NULL), 0);
    assert_non_null(strstr(shown, " PAUSED "));
    assert_non_null(
        strstr(shown, " by console; 5 of 1000 clients wait, each for 5m at most\n"));
    free(shown);
    run(relay, "resume test");
    expect_log(relay, " clients wait\n");
    for (uint32_t i = 0; i < 5; i++)
        expect_answer(clients[i], i);
    tell(relay, "resume test", 0, "route 'test' was neither paused nor drained\n");
    net_close(inside);
    end(relay);
}

static void frozen_sessions_stand_still_until_the_route_is_resumed(void **state)
{
    struct relay_run *relay = start(state, "");
    sock_t inside, waits;
    char letter;
    game_join(&relay->addr, 1, &inside);
    tell(relay, "pause test frozen", 0,
         "route 'test' is paused and frozen: new clients wait, at most 1000 of them and each "
         "for 5m; its sessions are not read from\n");
    os_sleep_ms(100); /* what is on its way comes through */
    assert_int_equal(game_send_number(inside, 2, NET_PATIENCE_MS), ERR_OK);
    assert_int_equal(game_receive_answer(inside, 2, 500, &letter), ERR_TIMEDOUT);
    come(relay, &waits, 0, 1);
    run(relay, "resume test");
    assert_int_equal(game_receive_answer(inside, 2, NET_PATIENCE_MS, &letter), ERR_OK);
    expect_answer(waits, 0);
    assert_int_equal(game_ask(inside, 3, NET_PATIENCE_MS, &letter), ERR_OK);
    net_close(inside);
    end(relay);
}

static void a_paused_route_has_room_for_queue_max_clients(void **state)
{
    struct relay_run *relay = start(state, "queue_max = 3\n");
    sock_t clients[3];
    run(relay, "pause all");
    come(relay, clients, 0, 3);
    expect_refused_client(&relay->addr, NULL);
    assert_true(relay_wait_stat(relay, "sessions_refused_by_reason_total.queue_full", 1));
    run(relay, "resume all");
    for (uint32_t i = 0; i < 3; i++)
        expect_answer(clients[i], i);
    end(relay);
}

static void wait_left(struct relay_run *relay, uint64_t count)
{
    uint64_t start_ms = os_mono_ms();
    while (route_number(relay, "held_left") != count) {
        assert_true(os_mono_ms() - start_ms < NET_PATIENCE_MS);
        os_sleep_ms(10);
    }
}

static void clients_that_leave_while_they_wait_make_room_for_those_that_stay(void **state)
{
    struct relay_run *relay = start(state, "queue_max = 2\n");
    sock_t stay[2];
    run(relay, "pause test");

    sock_t silent = connect_client(&relay->addr);
    wait_held(relay, 1);
    net_finish(silent);
    expect_end(silent, NET_END_FIN, 0);
    net_close(silent);
    expect_log(relay, "reason=client_fin phase=held");
    wait_held(relay, 0);

    sock_t gone = connect_client(&relay->addr);
    assert_int_equal(game_send_number(gone, 1000, NET_PATIENCE_MS), ERR_OK);
    net_finish(gone);
    wait_left(relay, 1);
    for (uint32_t i = 0; i < 2; i++) {
        stay[i] = connect_client(&relay->addr);
        assert_int_equal(game_send_number(stay[i], i, NET_PATIENCE_MS), ERR_OK);
        wait_held(relay, 2);
    }
    expect_end(gone, NET_END_RESET, 0);
    net_close(gone);
    expect_log(relay, "reason=queue_displaced phase=held");
    wait_left(relay, 0);
    run(relay, "resume test");
    for (uint32_t i = 0; i < 2; i++)
        expect_answer(stay[i], i);
    end(relay);
}

static void one_that_spoke_and_left_still_reaches_the_server(void **state)
{
    struct relay_run *relay = start(state, "");
    run(relay, "pause test");
    sock_t gone = connect_client(&relay->addr);
    assert_int_equal(game_send_number(gone, 1000, NET_PATIENCE_MS), ERR_OK);
    net_finish(gone);
    wait_left(relay, 1);
    run(relay, "resume test");
    expect_answer(gone, 1000);
    end(relay);
}

static void one_client_fills_no_more_of_the_queue_than_its_share(void **state)
{
    struct relay_run *relay = start(state, "queue_max = 20\nguard_exempt =\n");
    sock_t clients[2];
    run(relay, "pause test");
    come(relay, clients, 0, 2); /* a tenth */
    expect_refused_client(&relay->addr, NULL);
    assert_true(
        relay_wait_stat(relay, "sessions_refused_by_reason_total.queue_full_client", 1));
    run(relay, "resume test");
    for (uint32_t i = 0; i < 2; i++)
        expect_answer(clients[i], i);
    end(relay);
}

static void a_client_of_a_paused_route_waits_for_pause_timeout_at_most(void **state)
{
    struct relay_run *relay = start(state, "pause_timeout = 1500ms\n");
    run(relay, "pause test");
    uint64_t start_ms = os_mono_ms();
    sock_t client = connect_client(&relay->addr);
    expect_end(client, NET_END_RESET, 0);
    expect_passed(start_ms, 1500);
    net_close(client);
    expect_log(relay, "reason=pause_timeout phase=held bytes_up=0 bytes_down=0");
    run(relay, "resume test");
    game_join(&relay->addr, 1, &client);
    net_close(client);
    end(relay);
}

/* ---- the ramp ---- */

static void after_a_pause_clients_are_let_in_at_the_admission_ramp(void **state)
{
    enum { WAITING = 40 };
    struct relay_run *relay = start(state, "admission_ramp = 20/s burst 1\n");
    sock_t clients[WAITING_MAX];
    run(relay, "pause test");
    come(relay, clients, 0, WAITING);
    uint64_t start_ms = os_mono_ms();
    run(relay, "resume test");
    for (uint32_t i = 0; i < WAITING; i++) {
        expect_answer(clients[i], i); /* in the order in which they came */
        if (i > 0)
            expect_passed(start_ms, (i - 1) * 1000 / 20);
    }
    end(relay);
}

/* ---- one goes first ---- */

static void a_dead_server_is_tried_by_one_held_client_a_second(void **state)
{
    enum { WAITING = 40 };
    sock_t clients[WAITING_MAX];
    game_init(&server, 'a');
    const struct relay_setup setup = {
        .upstreams = &server.addr,
        .upstream_count = 1,
        .route_keys = "when_down = hold 50s\nconnect_retries = 0\neject = off\n"};
    struct relay_run *relay = relay_start(state, &setup);
    uint64_t start_ms = os_mono_ms();
    come(relay, clients, 0, 1);
    come(relay, clients, 1, WAITING - 1);
    os_sleep_ms(3000);
    uint64_t failures = relay_stat(relay, "connect_failures_total");
    uint64_t seconds = (os_mono_ms() - start_ms) / 1000;
    assert_in_range(failures, 2, 2 + seconds);
    game_start(&server);
    for (uint32_t i = 0; i < WAITING; i++)
        expect_answer(clients[i], i);
    end(relay);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_server_that_restarts_under_pause_costs_no_client_anything,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_route_paused_and_resumed_at_any_moment_loses_no_client,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_pause_holds_new_clients_and_spares_sessions,
                                  relay_teardown),
        cmocka_unit_test_teardown(frozen_sessions_stand_still_until_the_route_is_resumed,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_paused_route_has_room_for_queue_max_clients,
                                  relay_teardown),
        cmocka_unit_test_teardown(
            clients_that_leave_while_they_wait_make_room_for_those_that_stay, relay_teardown),
        cmocka_unit_test_teardown(one_that_spoke_and_left_still_reaches_the_server,
                                  relay_teardown),
        cmocka_unit_test_teardown(one_client_fills_no_more_of_the_queue_than_its_share,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_client_of_a_paused_route_waits_for_pause_timeout_at_most,
                                  relay_teardown),
        cmocka_unit_test_teardown(after_a_pause_clients_are_let_in_at_the_admission_ramp,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_dead_server_is_tried_by_one_held_client_a_second,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
