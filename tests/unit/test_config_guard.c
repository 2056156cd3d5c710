/* test_config_guard.c - who is turned away, how, and what is remembered of clients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "config/conf.h"
#include "config_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- [relay] ---- */

static void the_guard_is_on_with_generous_limits_unless_told_otherwise(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE);
    const struct conf_route *route = &conf->routes[0];
    assert_int_equal(conf->connect_rate.count, 10000);
    assert_int_equal(conf->connect_rate.per_ms, 1000);
    assert_int_equal(conf->connect_rate.burst, 20000);
    assert_int_equal(conf->client_table, 100000);
    assert_int_equal(conf->client_bits_ipv4, 32);
    assert_int_equal(conf->client_bits_ipv6, 64);
    assert_int_equal(conf->tarpit_max, 1000);
    assert_string_equal(conf->state_file, "");
    assert_int_equal(route->guard, CONF_GUARD_ENFORCE);
    assert_int_equal(route->refuse, CONF_REFUSE_RESET);
    assert_int_equal(route->tarpit_ms, 0);
    assert_int_equal(route->exempt_count, 2);
    assert_int_equal(route->max_sessions_per_client, 200);
    assert_int_equal(route->connect_rate_per_client.count, 20);
    assert_int_equal(route->connect_rate_per_client.burst, 100);
    assert_int_equal(route->connect_rate.count, 0);
    assert_int_equal(route->ban_after.count, 0);
    conf_free(conf);
}

static void the_relay_has_limits_of_its_own(void **state)
{
    (void)state;
    struct conf *conf = load_good("[relay]\nconnect_rate = off\nclient_table = 10000000\n"
                                  "client_prefix_ipv4 = 24\nclient_prefix_ipv6 = 48\n"
                                  "tarpit_max = 0\nstate_file = bans.json\n"
                                  "log_file = pairport.log\n" GOOD_ROUTE);
    assert_int_equal(conf->connect_rate.count, 0);
    assert_int_equal(conf->connect_rate.per_ms, 0);
    assert_int_equal(conf->connect_rate.burst, 0);
    assert_int_equal(conf->client_table, 10000000);
    assert_int_equal(conf->client_bits_ipv4, 24);
    assert_int_equal(conf->client_bits_ipv6, 48);
    assert_int_equal(conf->tarpit_max, 0);
    assert_string_equal(conf->state_file, "bans.json");
    assert_rewritten(conf);
    conf_free(conf);
}

#define OWN_NAME "; give it a name of its own\n"

static const struct bad_text bad_state_files[] = {
    {"[relay]\nstate_file = x\nlog_file = x\n" GOOD_ROUTE,
     "t.ini:2: [relay] state_file: 'x' is the log_file, too" OWN_NAME},
    {"[relay]\nlog_file = ./x\nstate_file = x\n" GOOD_ROUTE,
     "t.ini:3: [relay] state_file: 'x' is the log_file, too" OWN_NAME},
    {"[relay]\nstate_file = ././t.ini\n" GOOD_ROUTE,
     "t.ini:2: [relay] state_file: '././t.ini' is this file, which would be replaced" OWN_NAME},
    {"[relay]\nstate_file = \"x\"\n" GOOD_ROUTE,
     "t.ini:2: [relay] state_file: '\"x\"' begins with a quotation mark, which would be part "
     "of "
     "it; write it without\n"},
};

static const char *place_of(const char *conf_path, const char *name)
{
    static char place[CONF_PATH_MAX];
    static struct conf conf;
    str_format(conf.path, sizeof conf.path, "%s", conf_path);
    conf_place(&conf, name, place);
    return place;
}

static void files_that_are_named_are_beside_the_configuration(void **state)
{
    (void)state;
    assert_string_equal(place_of("/etc/pairport/a.ini", "b.log"), "/etc/pairport/b.log");
    assert_string_equal(place_of("/etc/a.ini", "../var/b.log"), "/etc/../var/b.log");
    assert_string_equal(place_of("conf/a.ini", "b.log"), "conf/b.log");
    assert_string_equal(place_of("a.ini", "b.log"), "b.log");
    assert_string_equal(place_of("", "b.log"), "b.log"); /* the demo has no file */
    assert_string_equal(place_of("/etc/a.ini", "/var/b.log"), "/var/b.log");
    assert_string_equal(place_of("C:\\p\\a.ini", "b.log"), "C:\\p\\b.log");
    assert_string_equal(place_of("C:\\p\\a.ini", "D:\\b.log"), "D:\\b.log");
    assert_string_equal(place_of("/etc/a.ini", ""), "");
}

static void a_state_file_is_nobody_elses(void **state)
{
    (void)state;
    assert_all_refused(bad_state_files, COUNT(bad_state_files));
    conf_free(load_good("[relay]\nstate_file =\nlog_file =\n" GOOD_ROUTE));
}

static void a_table_with_less_room_than_sessions_is_warned_of(void **state)
{
    (void)state;
    assert_warned("[relay]\nclient_table = 1000\n" GOOD_ROUTE,
                  "t.ini:2: warning: [relay] client_table: 1000 clients are remembered and "
                  "max_sessions is 10000, so the limits of a client may not hold for all; "
                  "raise it to that\n");
    conf_free(load_good("[relay]\nmax_sessions = 200000\n" GOOD_ROUTE));
    conf_free(load_good("[relay]\nclient_table = 1000\nmax_sessions = 1000\n" GOOD_ROUTE));
}

/* ---- guard and refuse ---- */

static void a_client_is_reset_closed_or_kept_waiting(void **state)
{
    (void)state;
    struct conf *conf = load_with("refuse = tarpit \t 100ms");
    assert_int_equal(conf->routes[0].refuse, CONF_REFUSE_TARPIT);
    assert_int_equal(conf->routes[0].tarpit_ms, 100);
    conf_free(conf);
    conf = load_with("refuse = close");
    assert_int_equal(conf->routes[0].refuse, CONF_REFUSE_CLOSE);
    conf_free(conf);
    assert_written("refuse = tarpit 60s", "refuse = tarpit 1m");
    assert_written("refuse = reset", "refuse = reset");
    assert_written("refuse = close", "refuse = close");
}

static void a_route_may_reset_where_the_defaults_tarpit(void **state)
{
    (void)state;
    struct conf *conf = load_good("[defaults]\nrefuse = tarpit 5s\n" GOOD_ROUTE
                                  "refuse = reset\n[route s]\nlisten=:1\nupstream=h:1\n");
    assert_int_equal(conf->routes[0].refuse, CONF_REFUSE_RESET);
    assert_int_equal(conf->routes[0].tarpit_ms, 0);
    assert_int_equal(conf->routes[1].refuse, CONF_REFUSE_TARPIT);
    assert_int_equal(conf->routes[1].tarpit_ms, 5000);
    assert_rewritten(conf);
    conf_free(conf);
}

static void a_tarpit_without_room_is_warned_of_once(void **state)
{
    (void)state;
    assert_warned("[relay]\ntarpit_max = 0\n[defaults]\nrefuse = tarpit 5s\n" GOOD_ROUTE
                  "[route s]\nlisten=:1\nupstream=h:1\n",
                  "t.ini:4: warning: [defaults] refuse: [relay] tarpit_max is 0, so every "
                  "client is reset at once; raise that one, or write reset here\n");
}

static void a_dry_run_may_have_every_limit(void **state)
{
    (void)state;
    struct conf *conf =
        load_with("guard = dry_run\nban_after = 20 refusals in 10s for 10m\nrefuse = close");
    assert_int_equal(conf->routes[0].guard, CONF_GUARD_DRY_RUN);
    assert_int_equal(conf->routes[0].ban_after.count, 20);
    assert_rewritten(conf);
    conf_free(conf);
}

static const struct bad_line bad_refusals[] = {
    {"guard = on", "'on' is not known; write enforce or dry_run"},
    {"refuse = drop", "'drop' is not known; write reset, close, or such as tarpit 10s"},
    {"refuse = reset 5s", "'reset 5s' is not known; write reset, close, or such as tarpit 10s"},
    {"refuse = tarpit",
     "tarpit has no time; write how long a client is kept, such as tarpit 10s"},
    {"refuse = tarpit 10", "tarpit: '10' has no unit; write it with one, such as 10s (units: "
                           "ms s m h d; allowed: 100ms to 10m)"},
    {"refuse = tarpit 0", "tarpit: '0' is out of range; allowed is 100ms to 10m"},
    {"refuse = tarpit 11m", "tarpit: '11m' is out of range; allowed is 100ms to 10m"},
    {"refuse =", "there is no value; the default is reset"},
};

static void a_wrong_refusal_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_refusals, COUNT(bad_refusals));
}

/* ---- limits of a client ---- */

static void whom_the_limits_spare_is_a_list_that_may_be_empty(void **state)
{
    (void)state;
    struct conf *conf = load_with("guard_exempt = ::ffff:10.0.0.0/104,2001:db8::5");
    assert_int_equal(conf->routes[0].exempt_count, 2);
    assert_int_equal(conf->routes[0].exempts[0].addr.family, ADDR_IPV4);
    assert_int_equal(conf->routes[0].exempts[0].bits, 8);
    assert_int_equal(conf->routes[0].exempts[1].bits, 128);
    conf_free(conf);
    conf = load_good("[defaults]\nguard_exempt =\n" GOOD_ROUTE
                     "[route s]\nlisten=:1\nupstream=h:1\nguard_exempt = ::1\n");
    assert_int_equal(conf->routes[0].exempt_count, 0);
    assert_null(conf->routes[0].exempts);
    assert_int_equal(conf->routes[1].exempt_count, 1);
    assert_rewritten(conf);
    conf_free(conf);
    assert_written("guard_exempt =", "guard_exempt =");
    assert_written("guard_exempt = 10.0.0.1", "guard_exempt = 10.0.0.1/32");
}

static void a_rate_is_read_and_written_with_its_burst(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *written;
        uint32_t count, per_ms, burst;
    } cases[] = {
        {"10/s", "10/s burst 10", 10, 1000, 10},
        {"10/s burst 20", "10/s burst 20", 10, 1000, 20},
        {"10/s \t burst  1", "10/s burst 1", 10, 1000, 1},
        {"600/m", "600/m burst 10", 600, 60000, 10},
        {"59/m", "59/m burst 1", 59, 60000, 1},
        {"1/h burst 1000000", "1/h burst 1000000", 1, 3600000, 1000000},
        {"1000000/s", "1000000/s burst 1000000", 1000000, 1000, 1000000},
        {"1000000/s burst 10000", "1000000/s burst 10000", 1000000, 1000, 10000},
        {"1000000/h", "1000000/h burst 277", 1000000, 3600000, 277},
        {"off", "off", 0, 0, 0},
    };
    static const char *const names[] = {"connect_rate_per_client", "connect_rate",
                                        "admission_ramp"};
    for (size_t i = 0; i < COUNT(cases); ++i) {
        char line[128];
        char written[128];
        for (size_t j = 0; j < COUNT(names); ++j) {
            str_format(line, sizeof line, "%s = %s", names[j], cases[i].text);
            str_format(written, sizeof written, "%s = %s", names[j], cases[i].written);
            assert_written(line, written);
        }
        str_format(line, sizeof line, "connect_rate = %s", cases[i].text);
        struct conf *conf = load_with(line);
        assert_int_equal(conf->routes[0].connect_rate.count, cases[i].count);
        assert_int_equal(conf->routes[0].connect_rate.per_ms, cases[i].per_ms);
        assert_int_equal(conf->routes[0].connect_rate.burst, cases[i].burst);
        conf_free(conf);
    }
}

#define RATE_EXAMPLE "such as 10/s burst 20"

static const struct bad_line bad_rates[] = {
    {"connect_rate = 10", "'10' does not say in which time; write " RATE_EXAMPLE},
    {"connect_rate = 10mbps",
     "'10mbps' counts bits, this key counts clients; write " RATE_EXAMPLE},
    {"connect_rate = 10 burst 20",
     "'10 burst 20' does not say in which time; write " RATE_EXAMPLE},
    {"connect_rate = 10 /s",
     "'10 /s' has a blank before its slash; write it without, " RATE_EXAMPLE},
    {"connect_rate = 10/", "'' behind the slash is not known; write /s, /m or /h"},
    {"connect_rate = 10/d", "'d' behind the slash is not known; write /s, /m or /h"},
    {"connect_rate = 10/sec", "'sec' behind the slash is not known; write /s, /m or /h"},
    {"connect_rate = ten/s", "'ten' is not a number; write 1 to 1000000"},
    {"connect_rate = /s", "'' is not a number; write 1 to 1000000"},
    {"connect_rate = 0/s", "'0' is out of range; allowed is 1 to 1000000"},
    {"connect_rate = 1000001/s", "'1000001' is out of range; allowed is 1 to 1000000"},
    {"connect_rate = 10/s burst", "burst has no number; write " RATE_EXAMPLE},
    {"connect_rate = 10/s burst 0", "burst: '0' is out of range; allowed is 1 to 1000000"},
    {"connect_rate = 10/s burst 20/s", "burst: '20/s' is not a number; write 1 to 1000000"},
    {"connect_rate = 10/s brust 20",
     "'10/s brust 20' is not known; write off, or " RATE_EXAMPLE},
    {"connect_rate = 10/s burst=20",
     "'10/s burst=20' is not known; write off, or " RATE_EXAMPLE},
    {"connect_rate = 10/s burst 20 30",
     "'10/s burst 20 30' is not known; write off, or " RATE_EXAMPLE},
    {"connect_rate = off 5", "'off 5' is not known; write off, or " RATE_EXAMPLE},
    {"connect_rate = none", "'none' is not known; write off, or " RATE_EXAMPLE},
    {"connect_rate = 10000/s burst 99",
     "burst: 99 is less than what comes in 10 ms at 10000/s, which would not be reached; write "
     "at least 100"},
    {"connect_rate_per_client =", "there is no value; the default is 20/s burst 100"},
};

static void a_wrong_rate_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_rates, COUNT(bad_rates));
}

static void refusals_in_a_time_ban_for_a_time(void **state)
{
    (void)state;
    struct conf *conf = load_with("ban_after = 20 refusals in 10s for 365d");
    assert_int_equal(conf->routes[0].ban_after.count, 20);
    assert_int_equal(conf->routes[0].ban_after.within_ms, 10000);
    assert_true(conf->routes[0].ban_after.for_ms == UINT64_C(365) * 86400000);
    conf_free(conf);
    assert_written("ban_after = 5 in 1m for 60m", "ban_after = 5 refusals in 1m for 1h");
    assert_written("ban_after = 10000\trefusals in 1h for 365d",
                   "ban_after = 10000 refusals in 1h for 365d");
    assert_written("ban_after = off", "ban_after = off");
}

#define BAN_EXAMPLE "such as 20 refusals in 10s for 10m"

static const struct bad_line bad_bans[] = {
    {"ban_after = 20", "'20' is not known; write off, or " BAN_EXAMPLE},
    {"ban_after = 20 refusals in 10s",
     "'20 refusals in 10s' is not known; write off, or " BAN_EXAMPLE},
    {"ban_after = 20 failures in 10s for 10m",
     "'20 failures in 10s for 10m' is not known; write off, or " BAN_EXAMPLE},
    {"ban_after = 20 refusals in 10s for 10m now",
     "'20 refusals in 10s for 10m now' is not known; write off, or " BAN_EXAMPLE},
    {"ban_after = 0 refusals in 10s for 10m",
     "refusals: '0' is out of range; allowed is 1 to 10000"},
    {"ban_after = 20 in 2h for 10m", "in: '2h' is out of range; allowed is 100ms to 1h"},
    {"ban_after = 20 in 10s for 366d", "for: '366d' is out of range; allowed is 1s to 365d"},
    {"ban_after = 20 in 10s for 10",
     "for: '10' has no unit; write it with one, such as 10m (units: ms s m h d; allowed: 1s to "
     "365d)"},
    {"max_sessions_per_client = 1000001",
     "'1000001' is out of range; allowed is off, or 1 to 1000000"},
    {"max_sessions_per_client = none", "'none' is not a number; write off, or 1 to 1000000"},
};

static void a_wrong_ban_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_bans, COUNT(bad_bans));
    assert_written("max_sessions_per_client = 0", "max_sessions_per_client = off");
}

static void more_sessions_of_a_client_than_of_its_route_are_warned_of(void **state)
{
    (void)state;
    assert_warned(GOOD_ROUTE "max_sessions = 100\nmax_sessions_per_client = 101\n",
                  "t.ini:5: warning: [route r] max_sessions_per_client: 101 can't be reached, "
                  "max_sessions is 100; raise that one or lower this one\n");
    conf_free(load_good(GOOD_ROUTE "max_sessions = 100\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_guard_is_on_with_generous_limits_unless_told_otherwise),
        cmocka_unit_test(the_relay_has_limits_of_its_own),
        cmocka_unit_test(files_that_are_named_are_beside_the_configuration),
        cmocka_unit_test(a_state_file_is_nobody_elses),
        cmocka_unit_test(a_table_with_less_room_than_sessions_is_warned_of),
        cmocka_unit_test(a_client_is_reset_closed_or_kept_waiting),
        cmocka_unit_test(a_route_may_reset_where_the_defaults_tarpit),
        cmocka_unit_test(a_tarpit_without_room_is_warned_of_once),
        cmocka_unit_test(a_dry_run_may_have_every_limit),
        cmocka_unit_test(a_wrong_refusal_is_told_with_what_would_be_right),
        cmocka_unit_test(whom_the_limits_spare_is_a_list_that_may_be_empty),
        cmocka_unit_test(a_rate_is_read_and_written_with_its_burst),
        cmocka_unit_test(a_wrong_rate_is_told_with_what_would_be_right),
        cmocka_unit_test(refusals_in_a_time_ban_for_a_time),
        cmocka_unit_test(a_wrong_ban_is_told_with_what_would_be_right),
        cmocka_unit_test(more_sessions_of_a_client_than_of_its_route_are_warned_of),
    };
    return cmocka_run_group_tests_name("config_guard", tests, NULL, NULL);
}
