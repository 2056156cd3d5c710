/* Servers that die and come back, again and again, while clients come all the time: none of them
 * notices as long as another server lives. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "footprint.h"
#include "game_server.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define SERVERS_MAX 3
#define CLIENTS     8 /* threads, each with one session at a time */
#define PAUSE_MS    5 /* between its sessions, or in one */

static struct game_server servers[SERVERS_MAX];

/* ---- the load ---- */

static struct load {
    struct addr relay;
    bool stays;             /* a session lasts for PAUSE_MS, else for as short as can be */
    _Atomic uint32_t begun; /* sessions */
    _Atomic bool over;      /* nobody comes any more */
    _Atomic uint64_t served;
    _Atomic uint64_t lost;
    _Atomic uint32_t inside; /* clients that have a session */
    _Atomic bool gate_closed;
} load;

static void enter(void)
{
    for (;;) {
        atomic_fetch_add(&load.inside, 1);
        if (!atomic_load(&load.gate_closed))
            return;
        atomic_fetch_sub(&load.inside, 1);
        os_sleep_ms(1);
    }
}

static bool visit(uint32_t number)
{
    sock_t sock;
    char letter;
    if (net_connect(&load.relay, NET_PATIENCE_MS, &sock) != ERR_OK)
        return false;
    bool served = game_ask(sock, number, NET_PATIENCE_MS, &letter) == ERR_OK;
    if (load.stays && served) {
        os_sleep_ms(PAUSE_MS);
        served = game_ask(sock, number + 1, NET_PATIENCE_MS, &letter) == ERR_OK;
    }
    net_close(sock);
    return served;
}

static void be_clients(void *arg)
{
    (void)arg;
    while (!atomic_load(&load.over)) {
        enter();
        bool served = visit(atomic_fetch_add(&load.begun, 1));
        atomic_fetch_sub(&load.inside, 1);
        atomic_fetch_add(served ? &load.served : &load.lost, 1);
        if (!load.stays)
            os_sleep_ms(PAUSE_MS);
    }
}

/* ---- what the relay knows ---- */

/* Waits until the log says for the time number `times` that the server has this state. */
static void expect_state(struct relay_run *relay, const struct game_server *server,
                         const char *state, unsigned times)
{
    char text[256], addr[ADDR_TEXT_MAX];
    str_format(text, sizeof text, "upstream '%s' is %s, was ", addr_format(&server->addr, addr),
               state);
    uint64_t start = os_mono_ms();
    while (relay_count_log(relay, text) < times) {
        if (os_mono_ms() - start > NET_PATIENCE_MS)
            fail_msg("the log does not say \"%s\" %u times", text, times);
        os_sleep_ms(10);
    }
}

static uint64_t connects_to(struct relay_run *relay, size_t index)
{
    json_t *root = relay_json(relay, "show upstreams");
    const json_t *upstream = json_array_get(json_object_get(root, "upstreams"), index);
    uint64_t connects = json_number_at(upstream, "connects_total", UINT64_MAX);
    assert_int_not_equal(connects, UINT64_MAX);
    json_decref(root);
    return connects;
}

/* ---- the test ---- */

static void kill_server(struct game_server *server, bool between_sessions)
{
    if (between_sessions) {
        atomic_store(&load.gate_closed, true);
        while (atomic_load(&load.inside) > 0 || atomic_load(&server->open) > 0)
            os_sleep_ms(1);
    }
    game_kill(server);
    atomic_store(&load.gate_closed, false);
}

/* A server dies, is found dead, comes back, is found alive and serves again. */
static void live_through(struct relay_run *relay, size_t index, unsigned times,
                         bool between_sessions)
{
    struct game_server *server = &servers[index];
    kill_server(server, between_sessions);
    expect_state(relay, server, "DOWN", times);
    uint64_t connects = connects_to(relay, index);
    os_sleep_ms(300);
    assert_int_equal(connects_to(relay, index), connects);

    uint32_t clients = atomic_load(&server->clients);
    game_start(server);
    expect_state(relay, server, "UP", times);
    uint64_t start = os_mono_ms();
    while (atomic_load(&server->clients) == clients) {
        if (os_mono_ms() - start > NET_PATIENCE_MS)
            fail_msg("server '%c' serves nobody after its return", server->letter);
        os_sleep_ms(10);
    }
}

static struct relay_run *start_relay(void **state, size_t count)
{
    struct addr upstreams[SERVERS_MAX];
    for (size_t i = 0; i < count; i++) {
        game_init(&servers[i], (char)('a' + i));
        game_start(&servers[i]);
        upstreams[i] = servers[i].addr;
    }
    const struct relay_setup setup = {
        .upstreams = upstreams,
        .upstream_count = count,
        .relay_keys = "log_level = notice\n",
        .route_keys = "health = tcp interval=200ms fast=100ms fall=2 rise=2\neject = off\n"};
    return relay_start(state, &setup);
}

/* Until there were `sessions` of them and every server has died. */
static void run_load(struct relay_run *relay, size_t count, uint64_t sessions,
                     bool between_sessions)
{
    struct os_thread *clients[CLIENTS];
    for (size_t i = 0; i < CLIENTS; i++)
        assert_int_equal(os_thread_start(&clients[i], "client", be_clients, NULL), ERR_OK);
    unsigned deaths = 0;
    for (; deaths < count || atomic_load(&load.begun) < sessions; deaths++)
        live_through(relay, deaths % count, deaths / (unsigned)count + 1, between_sessions);
    atomic_store(&load.over, true);
    for (size_t i = 0; i < CLIENTS; i++)
        os_thread_join(clients[i]);
    print_message("%u deaths, %" PRIu64 " clients served, %" PRIu64 " reset with a server\n",
                  deaths, atomic_load(&load.served), atomic_load(&load.lost));
}

/* Runs at least so many sessions past `count` servers that die in turn. */
static void check_deaths(void **state, size_t count, uint64_t sessions, bool between_sessions)
{
    struct relay_run *relay = start_relay(state, count);
    memset(&load, 0, sizeof load);
    load.relay = relay->addr;
    load.stays = !between_sessions;
    test_wait_for_ports((unsigned)(2 * sessions));
    struct footprint before = footprint_take(relay);
    run_load(relay, count, sessions, between_sessions);

    sessions = atomic_load(&load.begun);
    relay_wait_nothing_left(relay);
    assert_int_equal(relay_stat(relay, "sessions_total"), sessions);
    assert_int_equal(relay_stat(relay, "sessions_refused_total"), 0);
    uint64_t reset = relay_stat(relay, "sessions_ended_by_reason_total.upstream_reset");
    uint64_t finished = relay_stat(relay, "sessions_ended_by_reason_total.client_fin");
    assert_int_equal(finished + reset, sessions);
    assert_int_equal(atomic_load(&load.served) + atomic_load(&load.lost), sessions);
    assert_in_range(atomic_load(&load.lost), 0, reset);
    if (between_sessions)
        assert_int_equal(reset, 0);
    else
        assert_int_not_equal(atomic_load(&load.lost), 0); /* it would show nothing */
    footprint_assert_same(relay, before);
    relay_end(relay);
    for (size_t i = 0; i < count; i++)
        game_kill(&servers[i]);
}

static void no_client_is_lost_while_one_of_three_servers_dies(void **state)
{
    check_deaths(state, 3, test_scaled(10000), true);
}

static void no_client_is_lost_while_one_of_two_servers_dies(void **state)
{
    check_deaths(state, 2, test_scaled(4000), true);
}

static void only_clients_of_the_server_that_dies_are_lost(void **state)
{
    check_deaths(state, 3, test_scaled(10000), false);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(no_client_is_lost_while_one_of_three_servers_dies,
                                  relay_teardown),
        cmocka_unit_test_teardown(no_client_is_lost_while_one_of_two_servers_dies,
                                  relay_teardown),
        cmocka_unit_test_teardown(only_clients_of_the_server_that_dies_are_lost,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
