/* Drains: a route, an upstream and the whole relay get no new sessions, and those they have end
 * evenly over a time, the oldest first. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "game_server.h"
#include "os/os.h"
#include "relay_run.h"
#include "session.h"
#include "support/net.h"

#define SESSIONS 20
#define OVER_MS  4000

static struct game_server servers[2];

static struct relay_run *start(void **state, size_t count, const char *relay_keys)
{
    struct addr upstreams[2];
    for (size_t i = 0; i < count; i++) {
        game_init(&servers[i], (char)('a' + i));
        game_start(&servers[i]);
        upstreams[i] = servers[i].addr;
    }
    const struct relay_setup setup = {
        .upstreams = upstreams, .upstream_count = count, .relay_keys = relay_keys};
    return relay_start(state, &setup);
}

static void end(struct relay_run *relay, size_t count)
{
    relay_wait_nothing_left(relay);
    relay_end(relay);
    for (size_t i = 0; i < count; i++)
        game_kill(&servers[i]);
}

/* Sessions one after the other; gives the letters of their servers. */
static void join(struct relay_run *relay, sock_t *clients, char *letters, size_t count)
{
    for (size_t i = 0; i < count; i++)
        letters[i] = game_join(&relay->addr, (uint32_t)i, &clients[i]);
}

static void expect_works(sock_t client)
{
    char letter;
    assert_int_equal(game_ask(client, 7, NET_PATIENCE_MS, &letter), ERR_OK);
}

/* Begins with the command, which says `answer`. Then client number i is over when i/count of the
 * time has passed, not before, and those behind it, but a few that are due by then on a slow
 * machine, work. */
static void expect_evenly(struct relay_run *relay, const char *command, const char *answer,
                          const sock_t *clients, size_t count)
{
    uint64_t start_ms = os_mono_ms();
    tell(relay, command, 0, answer);
    for (size_t i = 0; i < count; i++) {
        assert_true(net_wait_reset(clients[i], NET_PATIENCE_MS));
        expect_passed(start_ms, (i + 1) * OVER_MS / count);
        uint64_t passed_ms = os_mono_ms() - start_ms;
        size_t due = (size_t)(passed_ms * count / OVER_MS) + 2;
        if (due < count && os_mono_ms() - start_ms == passed_ms)
            expect_works(clients[count - 1]);
    }
}

/* The route's drain in `show routes json`; UINT64_MAX: there is none. */
static uint64_t drain_number(struct relay_run *relay, const char *member)
{
    json_t *root = relay_json(relay, "show routes");
    const json_t *route = json_array_get(json_object_get(root, "routes"), 0);
    uint64_t number = json_number_at(json_object_get(route, "drain"), member, UINT64_MAX);
    json_decref(root);
    return number;
}

static void a_drained_route_refuses_new_clients_until_it_is_resumed(void **state)
{
    struct relay_run *relay = start(state, 1, NULL);
    sock_t clients[3], late;
    char letters[3];
    join(relay, clients, letters, 3);
    assert_int_equal(drain_number(relay, "sessions_left"), UINT64_MAX);
    tell(relay, "drain route test", 0, "route 'test' takes no new clients; 3 are open\n");
    expect_log(relay, " notice console: route 'test' is drained: 3 sessions left\n");
    expect_refused_client(&relay->addr, NULL);
    assert_true(relay_wait_stat(relay, "sessions_refused_by_reason_total.draining", 1));
    assert_int_equal(drain_number(relay, "sessions_left"), 3);
    net_close(clients[0]);
    assert_true(relay_wait_info(relay, "sessions_open", 2));
    assert_int_equal(drain_number(relay, "sessions_left"), 2);
    assert_int_equal(drain_number(relay, "sessions_first"), 3);
    expect_works(clients[1]);
    expect_works(clients[2]);

    tell(relay, "resume test", 0, "route 'test' takes new clients again\n");
    game_join(&relay->addr, 9, &late);
    tell(relay, "drain route test kill", 0, "route 'test' takes no new clients; 3 are ended\n");
    assert_true(net_wait_reset(clients[1], NET_PATIENCE_MS));
    assert_true(net_wait_reset(clients[2], NET_PATIENCE_MS));
    assert_true(net_wait_reset(late, NET_PATIENCE_MS));
    net_close(clients[1]);
    net_close(clients[2]);
    net_close(late);
    expect_log(relay, "reason=drained phase=data");
    expect_log(relay, "route 'test': drained in ");
    end(relay, 1);
}

static void a_drain_over_a_time_ends_sessions_evenly_the_oldest_first(void **state)
{
    struct relay_run *relay = start(state, 1, NULL);
    sock_t clients[SESSIONS];
    char letters[SESSIONS];
    join(relay, clients, letters, SESSIONS);
    expect_evenly(relay, "drain route test over 4s",
                  "route 'test' takes no new clients; 20 are open, ended evenly over 4s\n",
                  clients, SESSIONS);
    for (size_t i = 0; i < SESSIONS; i++)
        net_close(clients[i]);
    relay_wait_nothing_left(relay);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.drained"), SESSIONS);
    assert_int_equal(drain_number(relay, "sessions_left"), 0);
    assert_int_equal(drain_number(relay, "sessions_ended_total"), SESSIONS);
    expect_log(relay, "no session is left, 20 were ended\n");
    end(relay, 1);
}

static void a_drain_of_an_upstream_moves_its_clients_to_the_other_one(void **state)
{
    struct relay_run *relay = start(state, 2, NULL);
    sock_t clients[SESSIONS], first[SESSIONS];
    char letters[SESSIONS], command[128], answer[256], addr[ADDR_TEXT_MAX];
    join(relay, clients, letters, SESSIONS);
    size_t count = 0;
    for (size_t i = 0; i < SESSIONS; i++)
        if (letters[i] == 'a')
            first[count++] = clients[i];
    assert_int_equal(count, SESSIONS / 2);
    addr_format(&servers[0].addr, addr);
    str_format(command, sizeof command, "drain upstream test/%s over 4s", addr);
    str_format(answer, sizeof answer,
               "upstream %s of route 'test' takes no new sessions; 10 are open, ended evenly "
               "over 4s\n",
               addr);
    expect_evenly(relay, command, answer, first, count);
    for (size_t i = 0; i < SESSIONS; i++)
        if (letters[i] == 'b')
            expect_works(clients[i]);
    for (size_t i = 0; i < SESSIONS; i++)
        net_close(clients[i]);
    for (unsigned i = 0; i < 4; i++) {
        sock_t late;
        assert_int_equal(game_join(&relay->addr, 100 + i, &late), 'b');
        net_close(late);
    }
    str_format(command, sizeof command, "enable upstream test/%s", addr);
    assert_int_equal(relay_console(relay, command, NULL, NULL), 0);
    relay_wait_nothing_left(relay);
    join(relay, clients, letters, 2);
    assert_int_not_equal(letters[0], letters[1]);
    net_close(clients[0]);
    net_close(clients[1]);
    assert_int_equal(relay_stat(relay, "sessions_ended_by_reason_total.drained"), count);
    end(relay, 2);
}

static void a_shutdown_that_drains_ends_sessions_evenly_and_then_the_relay(void **state)
{
    struct relay_run *relay = start(state, 1, "stop_timeout = 0s\n");
    sock_t clients[SESSIONS];
    char letters[SESSIONS];
    join(relay, clients, letters, SESSIONS);
    expect_evenly(relay, "shutdown drain 4s",
                  "stopping: 20 sessions are ended evenly over 4s, which `show info` shows; a "
                  "second `shutdown` ends the rest at once\n",
                  clients, SESSIONS);
    for (size_t i = 0; i < SESSIONS; i++)
        net_close(clients[i]);
    expect_exit(relay);
    assert_int_equal(relay_count_log(relay, " notice console: shutdown drain 4s\n"), 1);
    assert_true(relay_count_log(relay, "sessions left, ended evenly within ") >= 1);
    assert_int_equal(relay_count_log(relay, "reason=stopped phase=data"), SESSIONS);
    game_kill(&servers[0]);
}

static void a_second_shutdown_ends_one_that_drains_at_once(void **state)
{
    struct relay_run *relay = start(state, 1, NULL);
    sock_t clients[2];
    char letters[2];
    join(relay, clients, letters, 2);
    tell(relay, "shutdown drain 1h", 0,
         "stopping: 2 sessions are ended evenly over 1h, which `show info` shows; a second "
         "`shutdown` ends the rest at once\n");
    json_t *info = relay_json(relay, "show info");
    assert_true(json_is_true(json_object_get(info, "stop_drains")));
    assert_in_range(json_number_at(info, "stop_left_ms", 0), 1, 3600000);
    json_decref(info);
    expect_works(clients[0]);
    tell(relay, "shutdown", 0, "stopping now\n");
    for (size_t i = 0; i < 2; i++) {
        assert_true(net_wait_reset(clients[i], NET_PATIENCE_MS));
        net_close(clients[i]);
    }
    expect_exit(relay);
    game_kill(&servers[0]);
}

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_drained_route_refuses_new_clients_until_it_is_resumed,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_drain_over_a_time_ends_sessions_evenly_the_oldest_first,
                                  relay_teardown),
        cmocka_unit_test_teardown(a_drain_of_an_upstream_moves_its_clients_to_the_other_one,
                                  relay_teardown),
        cmocka_unit_test_teardown(
            a_shutdown_that_drains_ends_sessions_evenly_and_then_the_relay, relay_teardown),
        cmocka_unit_test_teardown(a_second_shutdown_ends_one_that_drains_at_once,
                                  relay_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
