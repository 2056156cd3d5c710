/* test_control_show.c - what `show` prints of the program, its routes and sums: tables, in the
 * width of the console. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "control/command/command.h"
#include "fake_server.h"
#include "os/os.h"
#include "shown.h"

/* ---- tables ---- */

static void routes_show_their_listeners(void **state)
{
    (void)state;
    server->held[0] = 3;
    assert_shows(0, "show routes",
                 "ROUTE  LISTEN          STATE    UPSTREAMS  OPEN  HELD  PEAK   MAX  TOTAL  "
                 "REFUSED     UP/S     DOWN/S\n"
                 "lobby  *:7777          listens          2     1     3     4  4500    100  "
                 "      6  200 B/s  4.00 KB/s\n"
                 "world  10.0.0.1:7778   listens          1     2     0     8   100    200  "
                 "     12  200 B/s  8.00 KB/s\n"
                 "       [fd00::1]:7778  listens\n");
}

static void a_removed_route_is_shown_while_it_has_sessions(void **state)
{
    (void)state;
    static const struct conf_route old = {.name = "old", .max_sessions = 50};
    server->removed[0] = (struct server_removed_info){
        .conf = &old, .totals = {.sessions_open = 2, .sessions_peak = 9}, .held = 1};
    server->removed_count = 1;
    assert_has(
        "show routes",
        "       [fd00::1]:7778  listens\n"
        "old    -               GONE             -     2     1     9    50      0        0"
        "    0 B/s      0 B/s\n"
        "old: removed from the configuration; 2 sessions are open\n");
    assert_has("show routes json", "\"removed_routes\": [\n    {\n      \"route\": \"old\",\n");
}

static void a_range_of_ports_shows_its_first_and_last(void **state)
{
    (void)state;
    server->conf->routes[0].listens[0].port_count = 16;
    server->conf->routes[1].listens[1].port_count = 2;
    assert_has("show routes", "lobby  *:7777-7792          listens");
    assert_has("show routes", "       [fd00::1]:7778-7779  listens\n");
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

static void statistics_tell_of_waits_for_a_rate_where_there_were_any(void **state)
{
    (void)state;
    server->route_totals[0].sums.counters[STAT_PACED] = 7;
    assert_has("show stats route lobby",
               "failed accepts\n  paced     7 waits for room in a rate\n\n");
    assert_has("show stats route lobby json", "\"paced_total\": 7");
}

static void statistics_fold_where_the_console_is_narrow(void **state)
{
    (void)state;
    assert_shows(40, "show stats route lobby",
                 "route 'lobby'\n"
                 "  sessions  1 open, peak 4, total 100,\n"
                 "            refused 6, ended 99\n"
                 "  refused   1 no_upstream,\n"
                 "            5 limit_route\n"
                 "  ended     80 client_fin,\n"
                 "            10 upstream_reset,\n"
                 "            2 connect_refused,\n"
                 "            7 idle_timeout\n"
                 "  connects  110 begun, 10 failed, 7\n"
                 "            retries; 1 failed accepts\n"
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
    fake_server_add(server, 7, 0);
    assert_has("show session 7", "not told by this system");
    server->info.descriptors_used = 0;
    server->info.descriptors_limit = UINT64_MAX;
    server->info.resident_bytes = 0;
    assert_has("show info", "descriptors  not told by this system, no limit\n");
    assert_has("show info", "memory       unknown resident\n");
    assert_has("show info", "backlog      drops are not told by this system\n");
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
    server->info.memory_limit = UINT64_C(2) << 30;
    assert_has("show info", "memory       12.3 MB resident, at most 2.00 GB\n");
    server->info.backlog_known = true;
    server->info.backlog_drops_total = 12;
    server->info.backlog_overflows_total = 7;
    server->info.backlog_drops_per_s = 3;
    server->info.backlog_limit = 4096;
    assert_has("show info",
               "backlog      12 connects dropped by this machine, 3 a second now, 7 "
               "because a backlog was full (somaxconn: 4096)\n");
    assert_has("show info", "buffers      2 in use, 96.0 KB held\n");
    assert_has("show info", "processor    1.2s used, busy 0.0 %\n");
    assert_has("show info", "standstills  none\n");
    server->info.standstills_total = 2;
    server->info.standstill_last_ms = 4200;
    server->info.standstill_last_ago_ms = 60000;
    assert_has("show info", "standstills  2, the last one for 4.2s, 1m00s ago\n");
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

static void reasons_of_held_clients_and_proxies_are_counted_as_all_are(void **state)
{
    (void)state;
    uint64_t *reasons = server->route_totals[1].sums.reasons;
    memset(reasons, 0, sizeof server->route_totals[1].sums.reasons);
    reasons[REASON_QUEUE_FULL] = 2;
    reasons[REASON_UPSTREAMS_FULL] = 4;
    reasons[REASON_PROXY_UNTRUSTED] = 5;
    reasons[REASON_HOLD_TIMEOUT] = 3;
    reasons[REASON_UPSTREAM_DOWN] = 6;
    assert_has("show stats route world",
               "refused 11, ended 9\n"
               "  refused   4 upstreams_full, 2 queue_full, 5 proxy_untrusted\n"
               "  ended     3 hold_timeout, 6 upstream_down\n");
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_console, close_console)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(routes_show_their_listeners),
        TEST(a_removed_route_is_shown_while_it_has_sessions),
        TEST(a_range_of_ports_shows_its_first_and_last),
        TEST(statistics_of_a_route_show_counters_rates_and_percentiles),
        TEST(statistics_tell_of_waits_for_a_rate_where_there_were_any),
        TEST(statistics_fold_where_the_console_is_narrow),
        TEST(a_starved_listener_shows),
        TEST(what_the_system_does_not_tell_is_said),
        TEST(info_shows_the_program),
        TEST(info_shows_a_stop_under_way),
        TEST(statistics_have_a_block_for_all_and_one_for_each_route),
        TEST(reasons_of_held_clients_and_proxies_are_counted_as_all_are),
        TEST(no_reasons_are_none),
        TEST(the_configuration_shows_as_a_file_that_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
