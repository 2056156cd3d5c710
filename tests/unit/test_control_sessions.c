/* test_control_sessions.c - what `show sessions` and `show session` print, in the width of the
 * console. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "control/command/command.h"
#include "fake_server.h"
#include "shown.h"

/* One slow upstream, one slow client after a half-close, one session that is just ended. */
static void add_sessions(void)
{
    fake_server_add(server, 7, 0)->up.waiting = 4000;
    struct server_session_info *info = fake_server_add(server, 12, 1);
    info->phase = PHASE_HALF_CLOSED;
    info->up.finished = true;
    info->down.waiting = 70000;
    info->down.waiting_ms = 2500;
    info->down.bytes_per_s = 9000;
    info->age_ms = 400000;
    info->has_client_tcp = info->has_upstream_tcp = true;
    info->client_tcp =
        (struct sock_tcp_info){.rtt_us = 45000, .rtt_var_us = 3000, .retransmits_total = 12};
    info->upstream_tcp = (struct sock_tcp_info){
        .rtt_us = 210, .retransmits_total = 2048, .retransmits_in_bytes = true};
    info = fake_server_add(server, 13, 0);
    info->phase = PHASE_CONNECT;
    info->ending = true;
    info->reason = REASON_KILLED;
    info->up = info->down = (struct server_flow_info){.bytes = 0};
    info->upstream_local = (struct addr){.family = ADDR_NONE};
    info->connect_us = 0;
    info->tries = 2;
    info->age_ms = 900;
    info->idle_ms = 900;
}

static int set_up(void **state)
{
    open_console(state);
    add_sessions();
    return 0;
}

/* ---- tables ---- */

static void a_table_keeps_to_80_columns_and_says_what_it_left_out(void **state)
{
    (void)state;
    assert_shows(80, "show sessions",
                 "ID  ROUTE  CLIENT                AGE       RATE       WAITING  STATE\n"
                 "12  world  192.168.1.20:50012  6m40s  8.84 KB/s  down 68.4 KB  half_closed\n"
                 " 7  lobby  192.168.1.20:50007  3m12s  3.96 KB/s    up 3.91 KB  data\n"
                 "13  lobby  192.168.1.20:50013  900ms      0 B/s             -  ending\n"
                 "left out at 80 columns: UPSTREAM, IDLE, UP, DOWN, BYTES\n"
                 "3 sessions, sorted by rate\n");
}

static void a_wide_table_has_every_column(void **state)
{
    (void)state;
    assert_shows(0, "show sessions",
                 "ID  ROUTE  CLIENT              UPSTREAM         AGE   IDLE       UP    DOWN  "
                 " BYTES       RATE       WAITING  STATE\n"
                 "12  world  192.168.1.20:50012  10.0.0.5:7000  6m40s   1.2s  0.98 KB  244 KB  "
                 "245 KB  8.84 KB/s  down 68.4 KB  half_closed\n"
                 " 7  lobby  192.168.1.20:50007  10.0.0.5:7000  3m12s   1.2s  0.98 KB  244 KB  "
                 "245 KB  3.96 KB/s    up 3.91 KB  data\n"
                 "13  lobby  192.168.1.20:50013  10.0.0.5:7000  900ms  900ms      0 B     0 B  "
                 "   0 B      0 B/s             -  ending\n"
                 "3 sessions, sorted by rate\n");
}

static void a_narrow_table_keeps_what_matters(void **state)
{
    (void)state;
    assert_shows(40, "show sessions",
                 "ID  CLIENT                   RATE\n"
                 "12  192.168.1.20:50012  8.84 KB/s\n"
                 " 7  192.168.1.20:50007  3.96 KB/s\n"
                 "13  192.168.1.20:50013      0 B/s\n"
                 "left out at 40 columns: ROUTE, UPSTREAM,\n"
                 "AGE, IDLE, UP, DOWN, BYTES, WAITING,\n"
                 "STATE\n"
                 "3 sessions, sorted by rate\n");
}

static void sessions_are_those_of_a_route_when_one_is_named(void **state)
{
    (void)state;
    assert_shows(80, "show sessions route lobby sort id",
                 "ID  ROUTE  CLIENT                AGE   BYTES       RATE     WAITING  STATE\n"
                 " 7  lobby  192.168.1.20:50007  3m12s  245 KB  3.96 KB/s  up 3.91 KB  data\n"
                 "13  lobby  192.168.1.20:50013  900ms     0 B      0 B/s           -  ending\n"
                 "left out at 80 columns: UPSTREAM, IDLE, UP, DOWN\n"
                 "2 sessions of route 'lobby', sorted by id\n");
}

static void a_session_shows_all_addresses_and_both_directions(void **state)
{
    (void)state;
    assert_shows(80, "show session 12",
                 "session 12\n"
                 "  route    world, upstream [fd00::2]:7100\n"
                 "  phase    half_closed\n"
                 "  age      6m40s\n"
                 "  idle     1.2s\n"
                 "  connect  took 850us, 1 try\n"
                 "\n"
                 "            THEIR END           OUR END         RTT    VARIES  SENT AGAIN\n"
                 "  client    192.168.1.20:50012  10.0.0.1:7777   45ms   3.0ms   12\n"
                 "  upstream  10.0.0.5:7000       10.0.0.1:41232  210us  -       2.00 KB\n"
                 "\n"
                 "          BYTES  WRITES       RATE  WAITING   FOR  SOURCE\n"
                 "  up    0.98 KB      10     50 B/s        -     -  finished\n"
                 "  down   244 KB      90  8.79 KB/s  68.4 KB  2.5s  open\n");
}

static void a_session_that_connects_shows_what_is_known(void **state)
{
    (void)state;
    assert_shows(80, "show session 13",
                 "session 13\n"
                 "  route    lobby, upstream 10.0.0.5:7000\n"
                 "  phase    connect, ending: killed (an operator ended the session)\n"
                 "  age      900ms\n"
                 "  idle     900ms\n"
                 "  connect  not yet, 2 tries begun\n"
                 "\n"
                 "            THEIR END           OUR END        RTT\n"
                 "  client    192.168.1.20:50013  10.0.0.1:7777  not told by this system\n"
                 "  upstream  10.0.0.5:7000       -              not connected\n"
                 "\n"
                 "        BYTES  WRITES   RATE  WAITING  FOR  SOURCE\n"
                 "  up      0 B       0  0 B/s        -    -  open\n"
                 "  down    0 B       0  0 B/s        -    -  open\n");
}
static void an_upstream_that_was_never_chosen_is_a_dash(void **state)
{
    (void)state;
    server->sessions[0].upstream = SIZE_MAX;
    assert_has("show session 7", "route    lobby, upstream -\n");
}

/* ---- sessions before their data ---- */

static void a_session_whose_header_is_awaited_has_no_upstream_yet(void **state)
{
    (void)state;
    server->session_count = 0;
    struct server_session_info *info = fake_server_add(server, 1, 0);
    info->phase = PHASE_ACCEPT;
    info->upstream = SIZE_MAX;
    info->upstream_local = info->upstream_addr = (struct addr){.family = ADDR_NONE};
    info->tries = 0;
    assert_has("show sessions", "192.168.1.20:50001  -         3m12s");
    assert_has("show sessions", "  accept\n");
    assert_has("show session 1", "  route    lobby, upstream -\n"
                                 "  phase    accept, its PROXY header is awaited\n");
    assert_has("show session 1", "  connect  not yet, 0 tries begun\n");
}

static void a_held_session_says_what_it_waits_for(void **state)
{
    (void)state;
    server->sessions[0].phase = PHASE_HELD;
    assert_has("show sessions", "  held\n");
    assert_has("show session 7", "route    lobby, upstream -\n");
    assert_has("show session 7",
               "  phase    held, waits for an upstream, for `resume` or for its turn\n");
}

static void who_spoke_for_a_client_shows_where_somebody_did(void **state)
{
    (void)state;
    command_run(&session, "show sessions", 13, &result);
    assert_null(strstr(result.text.data, "VIA"));
    server->sessions[1].via = server->sessions[1].client_local; /* 10.0.0.1:7777 */
    assert_has("show sessions", "  STATE        VIA\n");
    assert_has("show sessions", "  half_closed  10.0.0.1:7777\n");
    assert_has("show sessions", "  data         -\n");
    assert_has("show session 12",
               "  via      10.0.0.1:7777, whose PROXY header names the client\n");
    command_run(&session, "show session 7", 14, &result);
    assert_null(strstr(result.text.data, "via"));
    assert_has("show sessions limit 1", "VIA");
    assert_has("show sessions route lobby", "sorted by rate");
    assert_null(strstr(result.text.data, "VIA"));
}

/* ---- sessions that the relay holds back ---- */

static void a_paced_session_says_so_and_which_rate_it_waits_for(void **state)
{
    (void)state;
    server->sessions[0].down.park = FLOW_PACED_CLIENT;
    server->sessions[0].down.parked_ms = 120;
    server->sessions[0].down.park_left_ms = 30;
    assert_has("show sessions", "  paced\n");
    assert_has("show session 7", "  phase    data\n"
                                 "  waits    down, for room in rate_down_per_client; for 120ms "
                                 "so far, goes on in 30ms\n");
    server->sessions[0].down.park = FLOW_PACED_SESSION;
    assert_has("show session 7", "for room in rate_down;");
    server->sessions[0].up.park = FLOW_PACED_ROUTE;
    assert_has("show session 7", "  waits    up, for room in rate_up_per_route;");
}

static void a_session_of_a_frozen_route_says_so(void **state)
{
    (void)state;
    server->sessions[0].frozen = true;
    server->sessions[0].up.park = FLOW_FROZEN;
    server->sessions[0].up.parked_ms = 5000;
    assert_has("show sessions", "  frozen\n");
    assert_has("show session 7",
               "  phase    data, the route is frozen\n"
               "  waits    up, until the route is resumed; for 5.0s so far\n");
    server->sessions[2].frozen = true; /* is being killed */
    assert_has("show sessions", "  ending\n");
}

static void json_tells_why_a_direction_stands_still_and_until_when(void **state)
{
    (void)state;
    server->sessions[0].up.park = FLOW_PACED_SESSION;
    server->sessions[0].up.parked_ms = 120;
    server->sessions[0].up.park_left_ms = 30;
    assert_has("show session 7 json", "\"parked_up\": \"rate_up\"");
    assert_has("show session 7 json", "\"parked_up_ms\": 120");
    assert_has("show session 7 json", "\"parked_up_left_ms\": 30");
    assert_has("show session 7 json", "\"parked_down\": null");
    assert_has("show session 7 json", "\"frozen\": false");
}

/* ---- sorting and limits ---- */

static void assert_order(const char *key, const char *first, const char *second,
                         const char *third)
{
    char line[64];
    str_format(line, sizeof line, "show sessions sort %s", key);
    session.columns = 40;
    command_run(&session, line, strlen(line), &result);
    const char *a = strstr(result.text.data, first);
    const char *b = strstr(result.text.data, second);
    const char *c = strstr(result.text.data, third);
    if (a == NULL || b == NULL || c == NULL || a > b || b > c)
        fail_msg("sorted by %s:\n%s", key, result.text.data);
}

static void sessions_are_sorted_by_every_key(void **state)
{
    (void)state;
    server->session_count = 0;
    struct server_session_info *a = fake_server_add(server, 1, 1);
    struct server_session_info *b = fake_server_add(server, 2, 0);
    struct server_session_info *c = fake_server_add(server, 3, 0);
    a->age_ms = 20, b->age_ms = 10, c->age_ms = 30;
    a->idle_ms = 1, b->idle_ms = 3, c->idle_ms = 2;
    a->up.bytes = 0, a->down.bytes = 5, b->up.bytes = 6, b->down.bytes = 0, c->up.bytes = 3,
    c->down.bytes = 4;
    a->up.bytes_per_s = 10, b->up.bytes_per_s = 30, c->up.bytes_per_s = 20;
    a->down.bytes_per_s = b->down.bytes_per_s = c->down.bytes_per_s = 0;
    a->up.waiting = 5, b->down.waiting = 4, c->up.waiting = 2, c->down.waiting = 4;
    a->client.ip[3] = 9, b->client.ip[3] = 8, c->client.ip[3] = 8;
    a->client.port = 51111, b->client.port = 52222, c->client.port = 53333;
    assert_order("id", ":51111", ":52222", ":53333");
    assert_order("rate", ":52222", ":53333", ":51111");
    assert_order("age", ":53333", ":51111", ":52222");
    assert_order("idle", ":52222", ":53333", ":51111");
    assert_order("bytes", ":53333", ":52222", ":51111");
    assert_order("waiting", ":53333", ":51111", ":52222");
    assert_order("client", ":52222", ":53333", ":51111");
    assert_order("route", ":52222", ":53333", ":51111");
}

static void equal_sessions_stand_in_the_order_of_their_ids(void **state)
{
    (void)state;
    server->session_count = 0;
    for (uint64_t id = 3; id > 0; id--)
        fake_server_add(server, id, 0);
    assert_order("age", ":50001", ":50002", ":50003");
}

static void a_long_table_ends_with_how_many_there_are(void **state)
{
    (void)state;
    server->session_count = 0;
    for (uint64_t id = 1; id <= 4500; id++)
        fake_server_add(server, id, 0);
    assert_has("show sessions",
               "50 of 4500 sessions shown, sorted by rate; `show sessions limit "
               "N` shows more\n");
    assert_has("show sessions limit 12", "12 of 4500 sessions shown");
    assert_has("show sessions limit 4500", "4500 sessions, sorted by rate\n");
    size_t lines = 0;
    for (const char *at = result.text.data; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 4502);
}

static void no_sessions_are_said_in_words(void **state)
{
    (void)state;
    server->session_count = 0;
    assert_shows(80, "show sessions", "no session is open\n");
    assert_shows(80, "show sessions route world", "no session of route 'world' is open\n");
}

static void one_session_is_not_plural(void **state)
{
    (void)state;
    assert_has("show sessions route world", "1 session of route 'world', sorted by rate\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, close_console)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_table_keeps_to_80_columns_and_says_what_it_left_out),
        TEST(a_wide_table_has_every_column),
        TEST(a_narrow_table_keeps_what_matters),
        TEST(sessions_are_those_of_a_route_when_one_is_named),
        TEST(a_session_shows_all_addresses_and_both_directions),
        TEST(a_session_that_connects_shows_what_is_known),
        TEST(an_upstream_that_was_never_chosen_is_a_dash),
        TEST(a_session_whose_header_is_awaited_has_no_upstream_yet),
        TEST(a_held_session_says_what_it_waits_for),
        TEST(a_paced_session_says_so_and_which_rate_it_waits_for),
        TEST(a_session_of_a_frozen_route_says_so),
        TEST(json_tells_why_a_direction_stands_still_and_until_when),
        TEST(who_spoke_for_a_client_shows_where_somebody_did),
        TEST(sessions_are_sorted_by_every_key),
        TEST(equal_sessions_stand_in_the_order_of_their_ids),
        TEST(a_long_table_ends_with_how_many_there_are),
        TEST(no_sessions_are_said_in_words),
        TEST(one_session_is_not_plural),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
