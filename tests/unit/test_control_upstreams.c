/* test_control_upstreams.c - what `show upstreams` prints: state, why, sessions, ports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/command/command.h"
#include "fake_clock.h"
#include "fake_server.h"
#include "shown.h"

static struct route_server_info *first;       /* the server of lobby/10.0.0.5:7000 */
static struct server_upstream_info *upstream; /* and its upstream */

static int set_up(void **state)
{
    open_console(state);
    upstream = &server->upstreams[0][0];
    first = &upstream->state.servers[0];
    return 0;
}

/* The lobby's first upstream: what stands behind its name, blanks between columns as one. */
static void assert_state(const char *expected)
{
    command_run(&session, "show upstreams", 14, &result);
    const char *at = strstr(result.text.data, "10.0.0.5:7000 ");
    assert_non_null(at);
    char shown[256];
    size_t len = 0;
    for (at += strlen("10.0.0.5:7000"); *at != '\n'; at++) {
        assert_true(len + 1 < sizeof shown);
        if (*at == ' ' && at[1] == ' ')
            continue;
        shown[len++] = *at;
    }
    shown[len] = '\0';
    if (strncmp(shown + 1, expected, strlen(expected)) != 0)
        fail_msg("not '%s' but '%s'", expected, shown + 1);
}

static void set_state(enum route_state state, const char *word)
{
    upstream->state.state = state;
    upstream->state.usable = false;
    str_format(upstream->state.word, sizeof upstream->state.word, "%s", word);
}

static void set_server(struct route_server_info *info, enum route_state state, const char *word)
{
    info->state = state;
    info->usable = state == ROUTE_UP;
    str_format(info->word, sizeof info->word, "%s", word);
}

static void fail_check(struct route_server_info *info, enum health_code code, enum err err)
{
    info->health.code = code;
    info->health.err = err;
}

/* ---- the table ---- */

static void a_wide_table_has_every_column(void **state)
{
    (void)state;
    assert_shows(
        0, "show upstreams",
        "ROUTE  UPSTREAM           STATE              WHY                              SINCE  "
        "WEIGHT  OPEN  PEAK  MAX  TOTAL  FAILED    P50    P99     UP/S     DOWN/S  CHECKS  "
        "BAD    PORTS  ADDRESS\n"
        "lobby  10.0.0.5:7000      UP                 L4OK in 850us                    3m12s  "
        "     1     1     4    -    100      10  800us  9.9ms  200 B/s  4.00 KB/s     120  "
        "  3  1/28232  10.0.0.5:7000\n"
        "       game.example:7000  DOWN (resolution)  name not resolved: no such host  1m00s  "
        "     1     2     8    -    200      20  800us  9.9ms  200 B/s  8.00 KB/s          "
        "     2/28232  -\n"
        "world  [fd00::2]:7100     UP                 -                                3m12s  "
        "     1     2     8    -    200      20  800us  9.9ms  200 B/s  8.00 KB/s       -  "
        "  -  2/28232  [fd00::2]:7100\n");
}

static void a_reason_that_has_room_stays_longest(void **state)
{
    (void)state;
    set_server(first, ROUTE_DOWN, "DOWN");
    set_state(ROUTE_DOWN, "DOWN");
    fail_check(first, HEALTH_L4CON, ERR_REFUSED);
    fake_server_add_addr(server, 0, 1, "10.0.0.8");
    assert_shows(
        80, "show upstreams route lobby",
        "ROUTE  UPSTREAM           STATE  WHY                               SINCE  OPEN\n"
        "lobby  10.0.0.5:7000      DOWN   L4CON the connection was refused  3m12s     1\n"
        "       game.example:7000  UP     L4OK in 850us                     3m12s     2\n"
        "left out at 80 columns: WEIGHT, PEAK, MAX, TOTAL, FAILED, P50, P99, UP/S,\n"
        "DOWN/S, CHECKS, BAD, PORTS, ADDRESS\n");
}

static void reasons_without_room_stand_below_the_table(void **state)
{
    (void)state;
    fake_server_add_addr(server, 1, 0, "fd00::3");
    struct route_server_info *third = fake_server_add_addr(server, 1, 0, "fd00::4");
    set_server(third, ROUTE_EJECTED, "EJECTED");
    third->ejected_until_ms = FAKE_NOW_MS + 22000;
    assert_shows(
        80, "show upstreams",
        "ROUTE  UPSTREAM           STATE              SINCE  WEIGHT  OPEN  FAILED    P99\n"
        "lobby  10.0.0.5:7000      UP                 3m12s       1     1      10  9.9ms\n"
        "       game.example:7000  DOWN (resolution)  1m00s       1     2      20  9.9ms\n"
        "world  [fd00::2]:7100     UP                 1m00s       1     2      20  9.9ms\n"
        "         [fd00::2]:7100   UP                 3m12s             1\n"
        "         [fd00::3]:7100   UP                 3m12s             1\n"
        "         [fd00::4]:7100   EJECTED            3m12s             1\n"
        "left out at 80 columns: WHY, PEAK, MAX, TOTAL, P50, UP/S, DOWN/S, CHECKS, BAD,\n"
        "PORTS, ADDRESS\n"
        "lobby/game.example:7000: name not resolved: no such host\n"
        "world/[fd00::2]:7100, [fd00::4]:7100: 22.0s left; L4OK in 850us\n");
}

static void healthy_upstreams_show_their_speed_at_80_columns(void **state)
{
    (void)state;
    assert_shows(
        80, "show upstreams route world",
        "ROUTE  UPSTREAM        STATE  WHY  SINCE  WEIGHT  OPEN  FAILED    P50    P99\n"
        "world  [fd00::2]:7100  UP     -    3m12s       1     2      20  800us  9.9ms\n"
        "left out at 80 columns: PEAK, MAX, TOTAL, UP/S, DOWN/S, CHECKS, BAD, PORTS,\n"
        "ADDRESS\n");
}

static void several_addresses_have_a_row_each_below_their_upstream(void **state)
{
    (void)state;
    fake_server_add_addr(server, 0, 1, "10.0.0.8");
    struct route_server_info *second = fake_server_add_addr(server, 0, 1, "10.0.0.9");
    set_server(second, ROUTE_DOWN, "DOWN 1/2");
    second->since_ms = FAKE_NOW_MS - 4200;
    second->sessions = 7;
    assert_shows(0, "show upstreams route lobby",
                 "ROUTE  UPSTREAM           STATE     WHY                  SINCE  WEIGHT  OPEN"
                 "  PEAK  MAX  TOTAL  FAILED    P50    P99     UP/S     DOWN/S  CHECKS  BAD   "
                 " PORTS  ADDRESS\n"
                 "lobby  10.0.0.5:7000      UP        L4OK in 850us        3m12s       1     1"
                 "     4    -    100      10  800us  9.9ms  200 B/s  4.00 KB/s     120    3  1"
                 "/28232  10.0.0.5:7000\n"
                 "       game.example:7000  UP        1 of 2 addresses up  1m00s       1     2"
                 "     8    -    200      20  800us  9.9ms  200 B/s  8.00 KB/s               2"
                 "/28232  2 addresses\n"
                 "         10.0.0.8:7000    UP        L4OK in 850us        3m12s             1"
                 "                                                                 120    3\n"
                 "         10.0.0.9:7000    DOWN 1/2  L4OK in 850us         4.2s             7"
                 "                                                                 120    3\n");
}

/* ---- state and why ---- */

static void a_failed_check_shows_its_code_and_what_it_failed_with(void **state)
{
    (void)state;
    set_state(ROUTE_DOWN, "DOWN");
    set_server(first, ROUTE_DOWN, "DOWN");
    first->since_ms = FAKE_NOW_MS - 4200;
    fail_check(first, HEALTH_L4CON, ERR_REFUSED);
    assert_state("DOWN L4CON the connection was refused 4.2s ");
    fail_check(first, HEALTH_L4TOUT, ERR_OK);
    assert_state("DOWN L4TOUT no connection within the time 4.2s ");
    fail_check(first, HEALTH_L7RSP, ERR_RESET);
    assert_state("DOWN L7RSP the connection was reset by the peer 4.2s ");
}

static void an_upstream_on_its_way_shows_how_far_it_is(void **state)
{
    (void)state;
    set_server(first, ROUTE_UP, "UP 2/3");
    fail_check(first, HEALTH_L7TOUT, ERR_OK);
    assert_state("UP 2/3 L7TOUT no whole answer within the time 3m12s ");
}

static void an_ejection_shows_what_is_left_of_it(void **state)
{
    (void)state;
    set_state(ROUTE_EJECTED, "EJECTED");
    set_server(first, ROUTE_EJECTED, "EJECTED");
    first->since_ms = FAKE_NOW_MS - 8000;
    first->ejected_until_ms = FAKE_NOW_MS + 22000;
    assert_state("EJECTED 22.0s left; L4OK in 850us 8.0s ");
    first->health.checked = false;
    assert_state("EJECTED 22.0s left 8.0s ");
    first->ejected_until_ms = FAKE_NOW_MS - 1; /* its end is noticed once a second */
    assert_state("EJECTED 0ms left 8.0s ");
}

static void a_server_whose_connects_fail_says_so_where_nobody_checks(void **state)
{
    (void)state;
    first->health.checked = false;
    assert_state("UP - 3m12s ");
    first->connect_failures = 12;
    first->connect_err = ERR_REFUSED;
    first->connect_failed_ms = FAKE_NOW_MS - 3000;
    assert_state("UP not checked; last connect failed 3.0s ago: refused, 12 in a row 3m12s ");
    first->connect_err = ERR_TIMEDOUT;
    first->health.checked = true;
    assert_state(
        "UP L4OK in 850us; last connect failed 3.0s ago: timed out, 12 in a row 3m12s ");
    set_state(ROUTE_DOWN, "DOWN");
    set_server(first, ROUTE_DOWN, "DOWN");
    fail_check(first, HEALTH_L4CON, ERR_REFUSED);
    assert_state("DOWN L4CON the connection was refused 3m12s ");
}

static void what_an_operator_closed_says_so_and_still_shows_its_checks(void **state)
{
    (void)state;
    upstream->state.admin = ROUTE_DRAIN;
    set_state(ROUTE_DRAINING, "DRAIN");
    fail_check(first, HEALTH_L4CON, ERR_REFUSED);
    assert_state("DRAIN until it is enabled; L4CON the connection was refused 1m00s ");
    upstream->state.admin = ROUTE_DISABLED;
    set_state(ROUTE_MAINT, "DISABLED");
    first->health.checked = false;
    assert_state("DISABLED until it is enabled 1m00s ");
    upstream->state.admin = ROUTE_READY;
    upstream->state.weight = 0;
    set_state(ROUTE_DRAINING, "DRAIN");
    assert_state("DRAIN weight is 0 1m00s 0 ");
    upstream->state.admin = ROUTE_DRAIN;
    assert_state("DRAIN until it is enabled; weight is 0 1m00s 0 ");
}

static void a_full_upstream_names_its_limit(void **state)
{
    (void)state;
    set_state(ROUTE_FULL, "FULL");
    upstream->state.sessions = upstream->state.sessions_max = 50;
    first->health.checked = false;
    assert_state("FULL at its max_sessions of 50 1m00s 1 50 4 50 100 ");
}

static void a_backup_says_when_it_is_not_used(void **state)
{
    (void)state;
    server->conf->routes[0].upstreams[0].backup = true;
    assert_state("UP L4OK in 850us 3m12s ");
    upstream->state.usable = false;
    assert_state("UP backup, not in use; L4OK in 850us 3m12s ");
}

static void a_name_that_no_longer_resolves_keeps_its_state_and_says_so(void **state)
{
    (void)state;
    struct server_upstream_info *named = &server->upstreams[0][1];
    fake_server_add_addr(server, 0, 1, "10.0.0.8");
    str_format(named->resolve_why, sizeof named->resolve_why, "the server did not answer");
    named->resolved_ms = FAKE_NOW_MS - 90000;
    assert_has("show upstreams", "UP     L4OK in 850us; name not resolved: the server did not "
                                 "answer, last 1m30s ago  3m12s");
    assert_non_null(strstr(result.text.data, "10.0.0.8:7000\n"));
}

static void a_name_on_its_first_way_is_being_resolved(void **state)
{
    (void)state;
    struct server_upstream_info *named = &server->upstreams[0][1];
    named->state.state = ROUTE_INIT;
    str_format(named->state.word, sizeof named->state.word, "INIT");
    named->resolve_why[0] = '\0';
    assert_has("show upstreams", "INIT   name is being resolved  1m00s");
}

static void an_address_that_is_gone_shows_while_it_has_sessions(void **state)
{
    (void)state;
    fake_server_add_addr(server, 0, 1, "10.0.0.8");
    struct route_server_info *old = fake_server_add_addr(server, 0, 1, "10.0.0.9");
    set_server(old, ROUTE_GONE, "GONE");
    old->gone = true;
    server->upstreams[0][1].state.hidden_count = 3;
    assert_has("show upstreams", "1 of 1 addresses up");
    assert_non_null(strstr(result.text.data, "10.0.0.9:7000    GONE   no longer an address of "
                                             "the name  3m12s             1"));
    assert_non_null(strstr(result.text.data, "\n         and 3 more\n"));
}

static void a_change_seen_a_moment_early_has_no_age(void **state)
{
    (void)state;
    first->since_ms = FAKE_NOW_MS + 3;
    assert_state("UP L4OK in 850us 0ms ");
}

static void a_slow_start_shows_how_much_of_the_weight_counts(void **state)
{
    (void)state;
    upstream->state.weight = 2;
    upstream->state.weight_percent = 45;
    assert_state("UP L4OK in 850us 3m12s 2 at 45% ");
    upstream->state.weight_percent = 100;
    assert_state("UP L4OK in 850us 3m12s 2 1 ");
}

/* ---- ports ---- */

static void ports_of_the_busiest_source_are_marked_from_80_percent_on(void **state)
{
    (void)state;
    struct server_source_use *sources = server->sources[0][0];
    sources[0] = (struct server_source_use){.used = 799, .limit = 1000};
    assert_has("show upstreams", "  799/1000  10.0.0.5:7000\n");
    assert_null(strstr(result.text.data, "local ports"));
    sources[0].used = 800;
    assert_has("show upstreams", "  800/1000 !  10.0.0.5:7000\n");
    assert_has("show upstreams",
               "lobby/10.0.0.5:7000: 800 of 1000 local ports are in use; each further address "
               "in `source` gives as many again\n");
}

static void the_note_on_ports_names_its_source_and_outlives_the_column(void **state)
{
    (void)state;
    struct server_source_use *sources = server->sources[0][0];
    upstream->source_count = 2;
    sources[0] = (struct server_source_use){.source = first->addr, .used = 10, .limit = 28232};
    sources[1] = (struct server_source_use){.source = first->addr, .used = 90, .limit = 100};
    sources[1].source.ip[3] = 77;
    session.columns = 60;
    assert_has("show upstreams",
               "PORTS, ADDRESS\n"
               "lobby/10.0.0.5:7000: 90 of 100 local ports of 10.0.0.77 are\n"
               "in use; each further address in `source` gives as many again\n");
    session.columns = 0;
    assert_has("show upstreams",
               "  90/100 !  10.0.0.5:7000\n"); /* not the first, which has more room */
}

static void a_source_without_a_known_limit_is_never_busy(void **state)
{
    (void)state;
    struct server_source_use *sources = server->sources[0][0];
    upstream->source_count = 2;
    sources[0] = (struct server_source_use){.used = 60000};
    sources[1] = (struct server_source_use){.used = 1, .limit = 1000};
    assert_has("show upstreams", "  1/1000  10.0.0.5:7000\n");
    upstream->source_count = 1;
    assert_has("show upstreams", "    60000  10.0.0.5:7000\n");
    assert_null(strstr(result.text.data, "local ports"));
    sources[0] = (struct server_source_use){.used = UINT32_MAX, .limit = UINT32_MAX};
    assert_has("show upstreams", "4294967295/4294967295 !");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, close_console)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_wide_table_has_every_column),
        TEST(a_reason_that_has_room_stays_longest),
        TEST(reasons_without_room_stand_below_the_table),
        TEST(healthy_upstreams_show_their_speed_at_80_columns),
        TEST(several_addresses_have_a_row_each_below_their_upstream),
        TEST(a_failed_check_shows_its_code_and_what_it_failed_with),
        TEST(an_upstream_on_its_way_shows_how_far_it_is),
        TEST(an_ejection_shows_what_is_left_of_it),
        TEST(a_server_whose_connects_fail_says_so_where_nobody_checks),
        TEST(what_an_operator_closed_says_so_and_still_shows_its_checks),
        TEST(a_full_upstream_names_its_limit),
        TEST(a_backup_says_when_it_is_not_used),
        TEST(a_name_that_no_longer_resolves_keeps_its_state_and_says_so),
        TEST(a_name_on_its_first_way_is_being_resolved),
        TEST(an_address_that_is_gone_shows_while_it_has_sessions),
        TEST(a_change_seen_a_moment_early_has_no_age),
        TEST(a_slow_start_shows_how_much_of_the_weight_counts),
        TEST(ports_of_the_busiest_source_are_marked_from_80_percent_on),
        TEST(the_note_on_ports_names_its_source_and_outlives_the_column),
        TEST(a_source_without_a_known_limit_is_never_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
