/* test_control_show.c - what `show` prints: tables, in the width of the console. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "control/command.h"
#include "fake_server.h"
#include "os/os.h"

static struct server *server;
static struct console console;
static struct command_session session;
static struct command_result result;

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
    (void)state;
    server = fake_server_open();
    add_sessions();
    console = fake_server_console(server);
    session = (struct command_session){.console = &console};
    command_result_init(&result);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    command_result_free(&result);
    fake_server_close(server);
    return 0;
}

static void assert_shows(unsigned columns, const char *line, const char *text)
{
    session.columns = columns;
    command_run(&session, line, strlen(line), &result);
    assert_string_equal(result.text.data, text);
    assert_false(result.failed);
}

static void assert_has(const char *line, const char *part)
{
    command_run(&session, line, strlen(line), &result);
    if (strstr(result.text.data, part) == NULL)
        fail_msg("no '%s' in\n%s", part, result.text.data);
}

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
    assert_shows(
        40, "show sessions",
        "ID  CLIENT                   RATE\n"
        "12  192.168.1.20:50012  8.84 KB/s\n"
        " 7  192.168.1.20:50007  3.96 KB/s\n"
        "13  192.168.1.20:50013      0 B/s\n"
        "left out at 40 columns: ROUTE, UPSTREAM, AGE, IDLE, UP, DOWN, BYTES, WAITING, STATE\n"
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
                 "  upstream  10.0.0.5:7000       -              not told by this system\n"
                 "\n"
                 "        BYTES  WRITES   RATE  WAITING  FOR  SOURCE\n"
                 "  up      0 B       0  0 B/s        -    -  open\n"
                 "  down    0 B       0  0 B/s        -    -  open\n");
}

static void routes_show_their_listeners(void **state)
{
    (void)state;
    assert_shows(0, "show routes",
                 "ROUTE  LISTEN          STATE    UPSTREAMS  OPEN  PEAK    MAX  TOTAL  REFUSED "
                 "    UP/S     DOWN/S\n"
                 "lobby  *:7777          listens          2     1     4  10000    100        6 "
                 " 200 B/s  4.00 KB/s\n"
                 "world  10.0.0.1:7778   listens          1     2     8    100    200       12 "
                 " 200 B/s  8.00 KB/s\n"
                 "       [fd00::1]:7778  listens\n");
}

static void upstreams_show_their_addresses(void **state)
{
    (void)state;
    assert_shows(0, "show upstreams route world",
                 "ROUTE  UPSTREAM        ADDRESS         OPEN  PEAK  TOTAL  FAILED    P50    "
                 "P99     UP/S     DOWN/S\n"
                 "world  [fd00::2]:7100  [fd00::2]:7100     2     8    200      20  800us  "
                 "9.9ms  200 B/s  8.00 KB/s\n"
                 "                       [fd00::3]:7100\n");
}

static void upstreams_without_an_address_are_named_where_no_column_says_so(void **state)
{
    (void)state;
    assert_shows(
        80, "show upstreams",
        "ROUTE  UPSTREAM           OPEN  TOTAL  FAILED    P50    P99     UP/S     DOWN/S\n"
        "lobby  10.0.0.5:7000         1    100      10  800us  9.9ms  200 B/s  4.00 KB/s\n"
        "       game.example:7000     2    200      20  800us  9.9ms  200 B/s  8.00 KB/s\n"
        "world  [fd00::2]:7100        2    200      20  800us  9.9ms  200 B/s  8.00 KB/s\n"
        "left out at 80 columns: ADDRESS, PEAK\n"
        "not resolved: game.example:7000 of route 'lobby'\n");
}

static void statistics_of_a_route_show_counters_rates_and_percentiles(void **state)
{
    (void)state;
    assert_shows(
        80, "show stats route lobby",
        "route 'lobby'\n"
        "  sessions  1 open, peak 4, total 100, refused 6, ended 99\n"
        "  refused   1 no_upstream, 5 limit_route\n"
        "  ended     80 client_fin, 10 upstream_reset, 2 connect_refused, 7 idle_timeout\n"
        "  connects  110 begun, 10 failed, 7 retries; 1 failed accepts\n"
        "\n"
        "                 TOTAL   LAST 1 S  LAST 10 S  LAST 60 S\n"
        "  sessions         100        1/s        2/s        3/s\n"
        "  bytes up      121 KB    100 B/s    200 B/s    300 B/s\n"
        "  bytes down   94.2 MB  2.00 KB/s  4.00 KB/s  8.00 KB/s\n"
        "  writes up       1000        3/s        5/s        7/s\n"
        "  writes down    20000        4/s        6/s        8/s\n"
        "\n"
        "                  COUNT   MEAN    P50    P90    P99  P99.9    MAX\n"
        "  connect time      100  850us  800us  1.2ms  9.9ms   45ms   51ms\n"
        "  session length     99  1m01s  30.0s  3m00s  1h00m      -  1d03h\n");
}

static void statistics_fold_where_the_console_is_narrow(void **state)
{
    (void)state;
    assert_shows(40, "show stats route lobby",
                 "route 'lobby'\n"
                 "  sessions  1 open, peak 4, total 100, refused 6, ended 99\n"
                 "  refused   1 no_upstream,\n"
                 "            5 limit_route\n"
                 "  ended     80 client_fin,\n"
                 "            10 upstream_reset,\n"
                 "            2 connect_refused,\n"
                 "            7 idle_timeout\n"
                 "  connects  110 begun, 10 failed, 7 retries; 1 failed accepts\n"
                 "\n"
                 "                 TOTAL  LAST 10 S\n"
                 "  sessions         100        2/s\n"
                 "  bytes up      121 KB    200 B/s\n"
                 "  bytes down   94.2 MB  4.00 KB/s\n"
                 "  writes up       1000        5/s\n"
                 "  writes down    20000        6/s\n"
                 "\n"
                 "                    P50    P99    MAX\n"
                 "  connect time    800us  9.9ms   51ms\n"
                 "  session length  30.0s  1h00m  1d03h\n");
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

/* ---- states ---- */

static void a_starved_listener_shows(void **state)
{
    (void)state;
    server->starved[1] = true;
    assert_has("show routes", "world  10.0.0.1:7778   starved");
    assert_has("show routes", "lobby  *:7777          listens");
}

static void what_the_system_does_not_tell_is_said(void **state)
{
    (void)state;
    assert_has("show session 7", "not told by this system");
    server->info.descriptors_used = 0;
    server->info.descriptors_limit = UINT64_MAX;
    server->info.resident_bytes = 0;
    assert_has("show info", "descriptors  not told by this system, no limit\n");
    assert_has("show info", "memory       unknown resident\n");
}

static void an_upstream_that_was_never_chosen_is_a_dash(void **state)
{
    (void)state;
    server->sessions[0].upstream = SIZE_MAX;
    assert_has("show session 7", "route    lobby, upstream -\n");
}

static void info_shows_the_program(void **state)
{
    (void)state;
    char line[160];
    str_format(line, sizeof line, "version      pairport 9.9.9 (fake) on %s\n", os_name());
    assert_has("show info", line);
    str_format(line, sizeof line, "process      pid %" PRIu64 ", 2 workers\n", os_process_id());
    assert_has("show info", line);
    assert_has("show info", "state        running, up for 3h12m\n");
    assert_has("show info", "sessions     3 open, peak 12, at most 5000\n");
    assert_has("show info", "descriptors  41 open, at most 1048576\n");
    assert_has("show info", "memory       12.3 MB resident\n");
    assert_has("show info", "buffers      2 in use, 96.0 KB held\n");
    assert_has("show info", "processor    1.2s used, busy 0.0 %\n");
    assert_has("show info", "config       /etc/pairport/pairport.ini\n");
    assert_has("show info", "log          stderr\n");
    assert_has("show info", "  accept         108       100          8\n");
    assert_has("show info",
               "  system calls: 9000 waits (7000 slept), 6000 receives, 21001 sends; "
               "1 stale events\n");
}

static void info_shows_a_stop_under_way(void **state)
{
    (void)state;
    server->info.state = SERVER_STOPPING;
    server->info.stop_left_ms = 27000;
    assert_has("show info", "state        stopping, 27.0s left, up for 3h12m\n");
}

static void statistics_have_a_block_for_all_and_one_for_each_route(void **state)
{
    (void)state;
    assert_has("show stats", "all routes\n  sessions  3 open, peak 12, total 300, refused 18, "
                             "ended 297\n");
    assert_has("show stats", "\nroute 'lobby'\n");
    assert_has("show stats", "\nroute 'world'\n");
}

static void no_reasons_are_none(void **state)
{
    (void)state;
    memset(server->route_totals, 0, sizeof server->route_totals);
    assert_has("show stats route lobby", "  refused   none\n  ended     none\n");
}

static void the_configuration_shows_as_a_file_that_can_be_read(void **state)
{
    (void)state;
    command_run(&session, "show config", 11, &result);
    struct conf *conf;
    struct str messages;
    str_init(&messages);
    enum err err = conf_load_text("shown", result.text.data, result.text.len, &conf, &messages);
    assert_int_equal(err, ERR_OK);
    assert_string_equal(conf->routes[1].name, "world");
    conf_free(conf);
    str_free(&messages);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_table_keeps_to_80_columns_and_says_what_it_left_out),
        TEST(a_wide_table_has_every_column),
        TEST(a_narrow_table_keeps_what_matters),
        TEST(sessions_are_those_of_a_route_when_one_is_named),
        TEST(a_session_shows_all_addresses_and_both_directions),
        TEST(a_session_that_connects_shows_what_is_known),
        TEST(routes_show_their_listeners),
        TEST(upstreams_show_their_addresses),
        TEST(upstreams_without_an_address_are_named_where_no_column_says_so),
        TEST(statistics_of_a_route_show_counters_rates_and_percentiles),
        TEST(statistics_fold_where_the_console_is_narrow),
        TEST(sessions_are_sorted_by_every_key),
        TEST(equal_sessions_stand_in_the_order_of_their_ids),
        TEST(a_long_table_ends_with_how_many_there_are),
        TEST(no_sessions_are_said_in_words),
        TEST(one_session_is_not_plural),
        TEST(a_starved_listener_shows),
        TEST(what_the_system_does_not_tell_is_said),
        TEST(an_upstream_that_was_never_chosen_is_a_dash),
        TEST(info_shows_the_program),
        TEST(info_shows_a_stop_under_way),
        TEST(statistics_have_a_block_for_all_and_one_for_each_route),
        TEST(no_reasons_are_none),
        TEST(the_configuration_shows_as_a_file_that_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
