/* Upstreams that are down, or fail so often that they are left out; and what becomes of the
 * sessions they have. */
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

#define SERVERS 2
#define PLAYERS 20
#define HEALTH  "health = tcp interval=200ms fast=100ms fall=2 rise=2\n"

static struct game_server servers[SERVERS];

static struct relay_run *start_relay(void **state, const char *keys, size_t living)
{
    struct addr upstreams[SERVERS];
    for (size_t i = 0; i < SERVERS; i++) {
        upstreams[i] = servers[i].addr;
        if (i < living)
            game_start(&servers[i]);
    }
    const struct relay_setup setup = {
        .upstreams = upstreams, .upstream_count = SERVERS, .route_keys = keys};
    return relay_start(state, &setup);
}

static void init_servers(void)
{
    game_init(&servers[0], 'a');
    game_init(&servers[1], 'b');
}

static void end_with_servers(struct relay_run *relay)
{
    relay_wait_nothing_left(relay);
    relay_end(relay);
    for (size_t i = 0; i < SERVERS; i++)
        game_kill(&servers[i]);
}

static unsigned count_state(struct relay_run *relay, size_t server, const char *state)
{
    char text[256], addr[ADDR_TEXT_MAX];
    str_format(text, sizeof text, "upstream '%s' is %s, was ",
               addr_format(&servers[server].addr, addr), state);
    return relay_count_log(relay, text);
}

static void expect_state(struct relay_run *relay, size_t server, const char *state)
{
    char addr[ADDR_TEXT_MAX];
    expect_log(relay, "upstream '%s' is %s, was ", addr_format(&servers[server].addr, addr),
               state);
}

/* ---- on_down ---- */

struct players {
    sock_t socks[PLAYERS];
    char letters[PLAYERS];
};

static void join_players(struct players *players, const struct addr *relay)
{
    for (uint32_t i = 0; i < PLAYERS; i++)
        players->letters[i] = game_join(relay, i, &players->socks[i]);
}

/* The sessions at the servers with these letters go on, all others were reset. */
static void expect_players(struct players *players, const char *alive)
{
    for (uint32_t i = 0; i < PLAYERS; i++) {
        char letter = 0;
        if (strchr(alive, players->letters[i]) == NULL) {
            expect_end(players->socks[i], NET_END_RESET, 0);
            continue;
        }
        assert_int_equal(game_ask(players->socks[i], 1000 + i, NET_PATIENCE_MS, &letter),
                         ERR_OK);
        assert_int_equal(letter, players->letters[i]);
    }
}

static void leave_players(struct players *players)
{
    for (size_t i = 0; i < PLAYERS; i++)
        net_close(players->socks[i]);
}

/* A server takes no more connections; the sessions it has would go on. */
static struct relay_run *close_a_door(void **state, const char *keys, struct players *players)
{
    init_servers();
    struct relay_run *relay = start_relay(state, keys, SERVERS);
    join_players(players, &relay->addr);
    assert_int_equal(atomic_load(&servers[0].open), PLAYERS / 2);
    game_close_door(&servers[0]);
    expect_state(relay, 0, "DOWN");
    return relay;
}

static void on_down_kill_ends_exactly_the_sessions_of_the_server_that_went_down(void **state)
{
    struct players players;
    char addr[ADDR_TEXT_MAX];
    struct relay_run *relay = close_a_door(state, HEALTH "on_down = kill\n", &players);
    expect_log(relay, "upstream '%s' is down, %u of its sessions ended",
               addr_format(&servers[0].addr, addr), PLAYERS / 2);
    expect_players(&players, "b");
    assert_true(
        relay_wait_stat(relay, "sessions_ended_by_reason_total.upstream_down", PLAYERS / 2));
    assert_int_equal(relay_stat(relay, "sessions_open"), PLAYERS / 2);
    leave_players(&players);
    end_with_servers(relay);
}

static void on_down_keep_keeps_the_sessions_of_a_server_that_went_down(void **state)
{
    struct players players;
    struct relay_run *relay = close_a_door(state, HEALTH "on_down = keep\n", &players);
    expect_players(&players, "ab");
    leave_players(&players);
    end_with_servers(relay);
}

/* ---- eject ---- */

/* Client number `i`, from an address of its own; SOCK_NONE: it was reset at once. */
static sock_t come_from(const struct addr *relay, uint32_t i)
{
    struct addr from = net_loopback(ADDR_IPV4, 0);
    from.ip[2] = (uint8_t)(1 + i / 250);
    from.ip[3] = (uint8_t)(1 + i % 250);
    sock_t sock;
    return net_connect_from(&from, relay, NET_PATIENCE_MS, &sock) == ERR_OK ? sock : SOCK_NONE;
}

/* How many of 20 clients in a row the servers answered. */
static unsigned visit(const struct addr *relay)
{
    unsigned answered = 0;
    for (uint32_t i = 0; i < 20; i++) {
        sock_t sock = come_from(relay, i);
        char letter;
        answered += sock != SOCK_NONE && game_ask(sock, i, NET_PATIENCE_MS, &letter) == ERR_OK;
        net_close(sock);
    }
    return answered;
}

/* Clients from all over that say nothing for a moment, until the server is ejected. */
static void visit_silently(struct relay_run *relay, size_t server)
{
    for (uint32_t i = 0; count_state(relay, server, "EJECTED") == 0; i++) {
        assert_true(i < 500);
        sock_t sock = come_from(&relay->addr, i);
        if (sock != SOCK_NONE)
            (void)net_wait_reset(sock, 200);
        net_close(sock);
    }
}

static void a_server_that_resets_its_sessions_at_once_is_ejected_for_a_while(void **state)
{
    init_servers();
    servers[1].resets = true;
    struct relay_run *relay =
        start_relay(state, "eject = 3 in 1m for 2s\nconnect_retries = 0\n", SERVERS);
    visit_silently(relay, 1);
    uint64_t ejected = os_mono_ms();
    uint32_t accepted = atomic_load(&servers[1].accepted);
    assert_int_equal(visit(&relay->addr), 20);
    assert_int_equal(atomic_load(&servers[1].accepted), accepted);

    expect_state(relay, 1, "UP");
    expect_passed(ejected, 1000); /* of the two seconds; the rest went by before we looked */
    game_kill(&servers[1]);
    servers[1].resets = false;
    game_start(&servers[1]);
    assert_int_equal(visit(&relay->addr), 20);
    assert_true(atomic_load(&servers[1].clients) >= 9);
    end_with_servers(relay);
}

static void a_server_that_refuses_is_ejected_and_no_client_notices(void **state)
{
    init_servers();
    struct relay_run *relay = start_relay(state, "eject = 3 in 1m for 2s\n", 1);
    assert_int_equal(visit(&relay->addr), 20);
    expect_state(relay, 1, "EJECTED");
    assert_true(relay_wait_stat(relay, "connect_failures_total", 3));
    expect_state(relay, 1, "UP");
    game_start(&servers[1]);
    assert_int_equal(visit(&relay->addr), 20);
    assert_true(atomic_load(&servers[1].clients) >= 9);
    end_with_servers(relay);
}

static void the_last_server_is_never_ejected(void **state)
{
    init_servers();
    struct relay_run *relay =
        start_relay(state, "eject = 3 in 1m for 1h\nconnect_retries = 0\n", 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(visit(&relay->addr), 0);
    assert_int_equal(count_state(relay, 0, "EJECTED") + count_state(relay, 1, "EJECTED"), 1);
    assert_true(relay_wait_stat(relay, "connect_failures_total", 60));
    end_with_servers(relay);
}

static void clients_whose_packets_a_server_resets_eject_nobody(void **state)
{
    init_servers();
    servers[0].chokes = true;
    servers[1].chokes = true;
    struct relay_run *relay = start_relay(state, "eject = 2 in 1m for 1h\n", SERVERS);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(visit(&relay->addr), 0);
    assert_true(relay_wait_stat(relay, "sessions_total", 60));
    relay_wait_nothing_left(relay);
    assert_int_equal(count_state(relay, 0, "EJECTED") + count_state(relay, 1, "EJECTED"), 0);
    end_with_servers(relay);
}

static void one_client_alone_ejects_nobody(void **state)
{
    init_servers();
    struct relay_run *relay = start_relay(state, "eject = 2 in 1m for 1h\n", 1);
    for (unsigned i = 0; i < 20; i++) {
        char letter;
        sock_t sock = come_from(&relay->addr, 7);
        assert_int_equal(game_ask(sock, i, NET_PATIENCE_MS, &letter), ERR_OK);
        net_close(sock);
    }
    relay_wait_nothing_left(relay);
    assert_int_equal(count_state(relay, 1, "EJECTED"), 0);
    end_with_servers(relay);
}

static void a_check_that_passes_ends_an_ejection(void **state)
{
    init_servers();
    servers[1].resets = true;
    struct relay_run *relay = start_relay(
        state, "health = tcp interval=500ms fall=100\neject = 2 in 1m for 1h\n", SERVERS);
    visit_silently(relay, 1);
    expect_log(relay, " is UP, was EJECTED for ");
    expect_log(relay, ": L4OK ");
    end_with_servers(relay);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(
            on_down_kill_ends_exactly_the_sessions_of_the_server_that_went_down,
            relay_teardown),
        cmocka_unit_test_teardown(on_down_keep_keeps_the_sessions_of_a_server_that_went_down,
                                  relay_teardown),
        cmocka_unit_test_teardown(
            a_server_that_resets_its_sessions_at_once_is_ejected_for_a_while, relay_teardown),
        cmocka_unit_test_teardown(a_server_that_refuses_is_ejected_and_no_client_notices,
                                  relay_teardown),
        cmocka_unit_test_teardown(the_last_server_is_never_ejected, relay_teardown),
        cmocka_unit_test_teardown(clients_whose_packets_a_server_resets_eject_nobody,
                                  relay_teardown),
        cmocka_unit_test_teardown(one_client_alone_ejects_nobody, relay_teardown),
        cmocka_unit_test_teardown(a_check_that_passes_ends_an_ejection, relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
