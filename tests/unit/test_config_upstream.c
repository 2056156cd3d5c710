/* test_config_upstream.c - the options of an upstream, and how a route uses its upstreams. */
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

static void an_upstream_without_options_has_their_defaults(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE);
    const struct conf_upstream *upstream = &conf->routes[0].upstreams[0];
    assert_int_equal(upstream->weight, 1);
    assert_int_equal(upstream->max_sessions, 0);
    assert_int_equal(upstream->slow_start_ms, 0);
    assert_false(upstream->backup);
    assert_false(upstream->disabled);
    conf_free(conf);
}

static void options_are_taken_in_any_order(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "upstream = h:1 weight=256 max_sessions=500 slow_start=90s backup disabled",
        "upstream = h:1 disabled backup slow_start=90s max_sessions=500 weight=256",
        "upstream=h:1\tbackup   weight=256 \tdisabled max_sessions=500 slow_start=90000ms ; so",
    };
    for (size_t i = 0; i < COUNT(lines); ++i) {
        struct conf *conf = load_with(lines[i]);
        const struct conf_upstream *upstream = &conf->routes[0].upstreams[1];
        assert_string_equal(upstream->name, "h:1");
        assert_int_equal(upstream->weight, 256);
        assert_int_equal(upstream->max_sessions, 500);
        assert_int_equal(upstream->slow_start_ms, 90000);
        assert_true(upstream->backup);
        assert_true(upstream->disabled);
        conf_free(conf);
        assert_written(lines[i], "upstream = h:1 weight=256 max_sessions=500 slow_start=90s "
                                 "backup disabled");
    }
}

static void only_options_with_a_meaning_are_written(void **state)
{
    (void)state;
    assert_written("upstream = h:1", "upstream = h:1");
    assert_written("upstream = h:1 weight=1 max_sessions=0 slow_start=0", "upstream = h:1");
    assert_written("upstream = h:1 weight=0", "upstream = h:1 weight=0");
    assert_written("upstream = h:1 slow_start=1h", "upstream = h:1 slow_start=1h");
    assert_written("upstream = h:1 max_sessions=1", "upstream = h:1 max_sessions=1");
    assert_written("upstream = h:1 backup", "upstream = h:1 backup");
    assert_written("upstream = h:1 disabled", "upstream = h:1 disabled");
}

static const struct bad_line bad_options[] = {
    {"upstream = h:1 wieght=2", "unknown option 'wieght'; did you mean 'weight'?"},
    {"upstream = h:1 Backup", "unknown option 'Backup'; did you mean 'backup'?"},
    {"upstream = h:1 slowstart=5s", "unknown option 'slowstart'; did you mean 'slow_start'?"},
    {"upstream = h:1 maxconn=5", "unknown option 'maxconn'; options are weight, max_sessions, "
                                 "slow_start, backup and disabled"},
    {"upstream = h:1 h:2",
     "unknown option 'h:2'; options are weight, max_sessions, slow_start, "
     "backup and disabled"},
    {"upstream = h:1 =5", "unknown option ''; options are weight, max_sessions, slow_start, "
                          "backup and disabled"},
    {"upstream = h:1 weight=2 backup weight=2", "weight: given twice; remove one of them"},
    {"upstream = h:1 backup backup", "backup: given twice; remove one of them"},
    {"upstream = h:1 weight", "weight: there is no value; write such as weight=2"},
    {"upstream = h:1 weight=", "weight: there is no value; write such as weight=2"},
    {"upstream = h:1 weight = 2", "weight: there is no value; write such as weight=2"},
    {"upstream = h:1 weight=257", "weight: '257' is out of range; allowed is 0 to 256"},
    {"upstream = h:1 weight=-1", "weight: '-1' is out of range; allowed is 0 to 256"},
    {"upstream = h:1 weight=\"2\"", "weight: '\"2\"' is not a number; write 0 to 256"},
    {"upstream = h:1 weight=50%", "weight: '50%' is not a number; write 0 to 256"},
    {"upstream = h:1 max_sessions=1000001",
     "max_sessions: '1000001' is out of range; allowed is 0 to 1000000"},
    {"upstream = h:1 slow_start=30",
     "slow_start: '30' has no unit; write it with one (units: ms s m h d; allowed: 0 to 1h)"},
    {"upstream = h:1 slow_start=2h", "slow_start: '2h' is out of range; allowed is 0 to 1h"},
    {"upstream = h:1 backup=yes", "backup: it has no value; write 'backup' alone"},
    {"upstream = h:1 disabled=", "disabled: it has no value; write 'disabled' alone"},
    {"upstream = h weight=2", "'h' has no port; write HOST:PORT, such as 10.0.0.5:7000"},
};

static void a_wrong_option_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_options, COUNT(bad_options));
}

static void all_mistakes_of_a_line_are_told(void **state)
{
    (void)state;
    assert_refused(
        "[route r]\nlisten = :1\nupstream = h weight=x max_sessions=y foo=1 backup=1\n",
        "t.ini:3: [route r] upstream: 'h' has no port; write HOST:PORT, such as "
        "10.0.0.5:7000\n"
        "t.ini:3: [route r] upstream: weight: 'x' is not a number; write 0 to 256\n"
        "t.ini:3: [route r] upstream: max_sessions: 'y' is not a number; write 0 to "
        "1000000\n"
        "t.ini:3: [route r] upstream: unknown option 'foo'; options are weight, "
        "max_sessions, slow_start, backup and disabled\n"
        "t.ini:3: [route r] upstream: backup: it has no value; write 'backup' alone\n");
}

static void options_do_not_make_another_upstream_of_it(void **state)
{
    (void)state;
    assert_refused(
        GOOD_ROUTE "upstream = 10.0.0.5:7000 weight=2\n",
        "t.ini:4: [route r] upstream: 10.0.0.5:7000 stands in line 3 already; remove "
        "one of them\n");
}

static void a_limit_above_that_of_the_route_is_a_warning(void **state)
{
    (void)state;
    assert_warned(
        GOOD_ROUTE "max_sessions = 100\nupstream = h:1 max_sessions=101\n",
        "t.ini:5: warning: [route r] upstream: max_sessions: 101 can't be reached, the "
        "route's max_sessions is 100; raise that one or lower this one\n");
    assert_warned(GOOD_ROUTE "max_sessions = 100\nupstream = h:1 max_sessions=100\n", "");
}

static void nobody_to_take_sessions_is_a_warning(void **state)
{
    (void)state;
    static const char told[] =
        "t.ini:3: warning: [route r] upstream: no session can go anywhere until one is enabled "
        "on the console, each is disabled or has weight=0\n";
    assert_warned("[route r]\nlisten=:1\nupstream=a:1 disabled\nupstream=b:1 disabled\n", told);
    assert_warned("[route r]\nlisten=:1\nupstream=a:1 disabled\nupstream=b:1 weight=0\n", told);
    assert_warned("[route r]\nlisten=:1\nupstream=a:1 disabled\nupstream=b:1 backup\n", "");
    assert_refused("[route r]\nlisten=:1\nupstream=a:1 disabled\nupstream=b\n",
                   "t.ini:4: [route r] upstream: 'b' has no port; write HOST:PORT, such as "
                   "10.0.0.5:7000\n");
}

static void a_route_of_backups_alone_is_fine(void **state)
{
    (void)state;
    conf_free(load_good("[route r]\nlisten=:1\nupstream=a:1 backup\nupstream=b:1 backup\n"));
}

/* ---- balance, on_down, resolve_interval ---- */

static void every_way_to_balance_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum conf_balance balance;
    } cases[] = {{"round_robin", CONF_ROUND_ROBIN},
                 {"least_sessions", CONF_LEAST_SESSIONS},
                 {"source_hash", CONF_SOURCE_HASH},
                 {"random2", CONF_RANDOM2},
                 {"first", CONF_FIRST}};
    for (size_t i = 0; i < COUNT(cases); ++i) {
        char line[64];
        str_format(line, sizeof line, "balance = %s", cases[i].word);
        struct conf *conf = load_with(line);
        assert_int_equal(conf->routes[0].balance, cases[i].balance);
        conf_free(conf);
        assert_written(line, line);
    }
}

static void sessions_of_a_lost_upstream_are_kept_or_killed(void **state)
{
    (void)state;
    struct conf *conf = load_with("on_down = kill");
    assert_int_equal(conf->routes[0].on_down, CONF_KILL);
    conf_free(conf);
    assert_written("on_down = kill", "on_down = kill");
    assert_written("on_down = keep", "on_down = keep");
}

static void names_are_resolved_again_or_not(void **state)
{
    (void)state;
    struct conf *conf = load_with("resolve_interval = off");
    assert_int_equal(conf->routes[0].resolve_interval_ms, 0);
    conf_free(conf);
    assert_written("resolve_interval = 90s", "resolve_interval = 90s");
    assert_written("resolve_interval = off", "resolve_interval = off");
}

static const struct bad_line bad_choices[] = {
    {"balance = roundrobin", "'roundrobin' is not known; write round_robin, least_sessions, "
                             "source_hash, random2 or first"},
    {"balance =", "there is no value; the default is round_robin"},
    {"on_down = drain", "'drain' is not known; write keep or kill"},
    {"resolve_interval = 500ms", "'500ms' is out of range; allowed is off, or 1s to 1d"},
};

static void a_choice_that_is_none_is_told(void **state)
{
    (void)state;
    assert_lines_refused(bad_choices, COUNT(bad_choices));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_upstream_without_options_has_their_defaults),
        cmocka_unit_test(options_are_taken_in_any_order),
        cmocka_unit_test(only_options_with_a_meaning_are_written),
        cmocka_unit_test(a_wrong_option_is_told_with_what_would_be_right),
        cmocka_unit_test(all_mistakes_of_a_line_are_told),
        cmocka_unit_test(options_do_not_make_another_upstream_of_it),
        cmocka_unit_test(a_limit_above_that_of_the_route_is_a_warning),
        cmocka_unit_test(nobody_to_take_sessions_is_a_warning),
        cmocka_unit_test(a_route_of_backups_alone_is_fine),
        cmocka_unit_test(every_way_to_balance_is_known),
        cmocka_unit_test(sessions_of_a_lost_upstream_are_kept_or_killed),
        cmocka_unit_test(names_are_resolved_again_or_not),
        cmocka_unit_test(a_choice_that_is_none_is_told),
    };
    return cmocka_run_group_tests_name("config_upstream", tests, NULL, NULL);
}
