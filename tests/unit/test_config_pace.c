/* test_config_pace.c - how fast sessions may be, how slow, how long they last, and what becomes of
 * them when their route pauses or goes. */
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
#define MB           (UINT64_C(1024) * 1024)
#define GB           (1024 * MB)

static void nobody_is_slowed_down_or_ended_early_unless_told(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE);
    const struct conf_route *route = &conf->routes[0];
    assert_true(route->rate_up.bytes_per_s == 0 && route->rate_down.bytes_per_s == 0);
    assert_true(route->rate_up_per_client.bytes_per_s == 0);
    assert_true(route->rate_down_per_client.bytes_per_s == 0);
    assert_true(route->rate_up_per_route.bytes_per_s == 0);
    assert_true(route->rate_down_per_route.bytes_per_s == 0);
    assert_true(route->min_rate.bytes_per_s == 0);
    assert_int_equal(route->first_byte_timeout_ms, 0);
    assert_int_equal(route->max_backlog_age_ms, 300000);
    assert_true(route->max_session_time_ms == 0);
    assert_int_equal(route->on_remove, CONF_KEEP);
    assert_int_equal(route->admission_ramp.count, 0);
    assert_int_equal(route->pause_timeout_ms, 300000);
    conf_free(conf);
}

static const char *const pace_names[] = {
    "rate_up",           "rate_down",          "rate_up_per_client", "rate_down_per_client",
    "rate_up_per_route", "rate_down_per_route"};

static const struct conf_pace *pace_of(const struct conf_route *route, size_t i)
{
    const struct conf_pace *const paces[] = {&route->rate_up,
                                             &route->rate_down,
                                             &route->rate_up_per_client,
                                             &route->rate_down_per_client,
                                             &route->rate_up_per_route,
                                             &route->rate_down_per_route};
    return paces[i];
}

static void a_pace_is_read_and_written_with_its_burst(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *written;
        uint64_t bytes_per_s;
        uint32_t burst_bytes;
    } cases[] = {
        {"1MB/s burst 256KB", "1MB/s burst 256KB", MB, 256 * 1024},
        {"1MB/s", "1MB/s burst 256KB", MB, 256 * 1024},
        {"1KB/s", "1KB/s burst 16KB", 1024, 16 * 1024},
        {"65536B/s", "64KB/s burst 16KB", 65536, 16384},
        {"65540B/s", "65540B/s burst 16385B", 65540, 16385},
        {"1KB/s burst 4KB", "1KB/s burst 4KB", 1024, 4096},
        {"100GB/s", "100GB/s burst 1GB", 100 * GB, 1u << 30},
        {"100GB/s burst 1GB", "100GB/s burst 1GB", 100 * GB, 1u << 30},
        {"4GB/s  burst  100MB", "4GB/s burst 100MB", 4 * GB, 100u << 20},
        {"off", "off", 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); ++i) {
        for (size_t j = 0; j < COUNT(pace_names); ++j) {
            char line[128];
            char written[128];
            str_format(line, sizeof line, "%s = %s", pace_names[j], cases[i].text);
            str_format(written, sizeof written, "%s = %s", pace_names[j], cases[i].written);
            assert_written(line, written);
            struct conf *conf = load_with(line);
            const struct conf_pace *pace = pace_of(&conf->routes[0], j);
            assert_true(pace->bytes_per_s == cases[i].bytes_per_s);
            assert_int_equal(pace->burst_bytes, cases[i].burst_bytes);
            conf_free(conf);
        }
    }
}

#define PACE_EXAMPLE "such as 1MB/s burst 256KB"

static const struct bad_line bad_paces[] = {
    {"rate_up = 1MB", "'1MB' does not say in which time; write " PACE_EXAMPLE},
    {"rate_up = 1 MB/s", "'1 MB/s' has a blank before its unit; write it without: 1MB/s"},
    {"rate_up = 10mbps",
     "'10mbps' counts bits; write bytes, " PACE_EXAMPLE " (8 Mbit/s are about 1MB/s)"},
    {"rate_up = 10 Mbit/s",
     "'10 Mbit/s' counts bits; write bytes, " PACE_EXAMPLE " (8 Mbit/s are about 1MB/s)"},
    {"rate_up = 1MB/m", "'m' behind the slash is not known; bytes are written with /s"},
    {"rate_up = 1000/s", "'1000' has no unit; write it with one, such as 1MB (units: B KB MB "
                         "GB; allowed: 1KB to 100GB)"},
    {"rate_up = 1023B/s", "'1023B' is out of range; allowed is 1KB to 100GB"},
    {"rate_up = 101GB/s", "'101GB' is out of range; allowed is 1KB to 100GB"},
    {"rate_up = 99999999999999999999GB/s",
     "'99999999999999999999GB' is out of range; allowed is 1KB to 100GB"},
    {"rate_up = fast", "'fast' is not known; write off, or " PACE_EXAMPLE},
    {"rate_up = 1MB/s burst", "burst has no number; write " PACE_EXAMPLE},
    {"rate_up = 1MB/s burst 5", "burst: '5' has no unit; write it with one, such as 256KB "
                                "(units: B KB MB GB; allowed: 4KB to 1GB)"},
    {"rate_up = 1MB/s burst 4095B", "burst: '4095B' is out of range; allowed is 4KB to 1GB"},
    {"rate_up = 1MB/s burst 2GB", "burst: '2GB' is out of range; allowed is 4KB to 1GB"},
    {"rate_up = 1MB/s burst 10485B",
     "burst: 10485B is less than what comes in 10 ms at 1MB/s, which would not be reached; "
     "write at least 10486B"},
    {"rate_up = 1MB/s over 5s", "'1MB/s over 5s' is not known; write off, or " PACE_EXAMPLE},
    {"rate_up =", "there is no value; the default is off"},
};

static void a_wrong_pace_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_paces, COUNT(bad_paces));
    conf_free(load_with("rate_up = 1MB/s burst 10486B"));
}

static void a_pace_that_another_one_hides_is_warned_of(void **state)
{
    (void)state;
    assert_warned(GOOD_ROUTE "rate_up = 2MB/s\nrate_up_per_client = 1MB/s\n",
                  "t.ini:4: warning: [route r] rate_up: 2MB/s can't be reached, "
                  "rate_up_per_client is 1MB/s; raise that one or lower this one\n");
    assert_warned("[defaults]\nrate_down_per_client = 5MB/s\n" GOOD_ROUTE
                  "rate_down_per_route = 4MB/s\n",
                  "t.ini:2: warning: [defaults] rate_down_per_client: 5MB/s can't be reached, "
                  "rate_down_per_route is 4MB/s; raise that one or lower this one\n");
    conf_free(load_good(GOOD_ROUTE "rate_up = 1MB/s\nrate_up_per_client = 1MB/s\n"
                                   "rate_down = 9MB/s\nrate_up_per_route = 2MB/s\n"));
}

/* ---- ends ---- */

static void a_session_may_have_to_move_so_much(void **state)
{
    (void)state;
    struct conf *conf = load_with("min_rate = 100B/s over 30s");
    assert_true(conf->routes[0].min_rate.bytes_per_s == 100);
    assert_int_equal(conf->routes[0].min_rate.over_ms, 30000);
    conf_free(conf);
    assert_written("min_rate = 1B/s over 60m", "min_rate = 1B/s over 1h");
    assert_written("min_rate = 1024MB/s over 1s", "min_rate = 1GB/s over 1s");
    assert_written("min_rate = off", "min_rate = off");
}

#define MIN_EXAMPLE "such as 100B/s over 30s"

static const struct bad_line bad_ends[] = {
    {"min_rate = 100B/s",
     "it does not say over which time that is measured; write " MIN_EXAMPLE},
    {"min_rate = 100B/s over", "over has no number; write " MIN_EXAMPLE},
    {"min_rate = 100B over 30s",
     "'100B over 30s' does not say in which time; write " MIN_EXAMPLE},
    {"min_rate = 100B/s in 30s", "'100B/s in 30s' is not known; write off, or " MIN_EXAMPLE},
    {"min_rate = 0/s over 30s", "'0' is out of range; allowed is 1B to 1GB"},
    {"min_rate = 1B/s over 500ms", "over: '500ms' is out of range; allowed is 1s to 1h"},
    {"first_byte_timeout = 5", "'5' has no unit; write it with one, such as 100ms (units: ms s "
                               "m h d; allowed: off, or 100ms to 1h)"},
    {"first_byte_timeout = 2h", "'2h' is out of range; allowed is off, or 100ms to 1h"},
    {"max_backlog_age = 31d", "'31d' is out of range; allowed is off, or 1s to 30d"},
    {"max_session_time = 366d", "'366d' is out of range; allowed is off, or 1s to 365d"},
    {"max_session_time = 500ms", "'500ms' is out of range; allowed is off, or 1s to 365d"},
    {"pause_timeout = off", "'off' is not a duration; write a number with its unit, such as 5m "
                            "(units: ms s m h d; allowed: 1s to 1d)"},
    {"pause_timeout = 25h", "'25h' is out of range; allowed is 1s to 1d"},
    {"on_remove = drain", "'drain' is not known; write keep or kill"},
};

static void a_wrong_end_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_ends, COUNT(bad_ends));
}

static void a_session_may_last_a_year(void **state)
{
    (void)state;
    struct conf *conf = load_good("[defaults]\nmax_session_time = 365d\n" GOOD_ROUTE);
    assert_true(conf->routes[0].max_session_time_ms == UINT64_C(365) * 86400000);
    conf_free(conf);
    assert_written("max_session_time = 8760h", "max_session_time = 365d");
    assert_written("max_session_time = 1s", "max_session_time = 1s");
    assert_written("max_session_time = 0", "max_session_time = off");
}

static void routes_take_the_paces_of_the_defaults(void **state)
{
    (void)state;
    struct conf *conf =
        load_good("[defaults]\nrate_up = 1MB/s\nmin_rate = 1B/s over 1s\non_remove = kill\n"
                  "admission_ramp = 50/s\nban_after = 2 in 1s for 1d\n" GOOD_ROUTE
                  "rate_up = off\n[route s]\nlisten=:1\nupstream=h:1\nadmission_ramp = off\n");
    assert_true(conf->routes[0].rate_up.bytes_per_s == 0);
    assert_true(conf->routes[1].rate_up.bytes_per_s == MB);
    assert_true(conf->routes[0].min_rate.bytes_per_s == 1);
    assert_int_equal(conf->routes[0].on_remove, CONF_KILL);
    assert_int_equal(conf->routes[0].admission_ramp.count, 50);
    assert_int_equal(conf->routes[1].admission_ramp.count, 0);
    assert_int_equal(conf->routes[1].ban_after.count, 2);
    assert_rewritten(conf);
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_slowed_down_or_ended_early_unless_told),
        cmocka_unit_test(a_pace_is_read_and_written_with_its_burst),
        cmocka_unit_test(a_wrong_pace_is_told_with_what_would_be_right),
        cmocka_unit_test(a_pace_that_another_one_hides_is_warned_of),
        cmocka_unit_test(a_session_may_have_to_move_so_much),
        cmocka_unit_test(a_wrong_end_is_told_with_what_would_be_right),
        cmocka_unit_test(a_session_may_last_a_year),
        cmocka_unit_test(routes_take_the_paces_of_the_defaults),
    };
    return cmocka_run_group_tests_name("config_pace", tests, NULL, NULL);
}
