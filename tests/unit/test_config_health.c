/* test_config_health.c - checks, ejections, and what a client meets while nobody is up. */
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

static struct conf_health health_of(const char *line)
{
    struct conf *conf = load_with(line);
    struct conf_health health = conf->routes[0].health;
    conf_free(conf);
    return health;
}

static void a_check_without_options_has_their_defaults(void **state)
{
    (void)state;
    struct conf_health health = health_of("health = tcp");
    assert_true(health.on);
    assert_int_equal(health.interval_ms, 2000);
    assert_int_equal(health.timeout_ms, 1000);
    assert_int_equal(health.rise, 2);
    assert_int_equal(health.fall, 3);
    assert_int_equal(health.fast_ms, 1000);
    assert_int_equal(health.port, 0);
    assert_int_equal(health.send.len, 0);
    assert_int_equal(health.expect.len, 0);

    health = health_of("health = off");
    assert_false(health.on);
    assert_int_equal(health.interval_ms, 0);
}

static void every_option_of_a_check_is_taken(void **state)
{
    (void)state;
    struct conf_health health =
        health_of("health = tcp expect=\"OK\" port=65535 fall=100 rise=1 fast=150ms timeout=5s "
                  "interval=1h send=\"HELLO there\\r\\n\"");
    assert_int_equal(health.interval_ms, 3600000);
    assert_int_equal(health.timeout_ms, 5000);
    assert_int_equal(health.rise, 1);
    assert_int_equal(health.fall, 100);
    assert_int_equal(health.fast_ms, 150);
    assert_int_equal(health.port, 65535);
    assert_int_equal(health.send.len, 13);
    assert_memory_equal(health.send.bytes, "HELLO there\r\n", 13);
    assert_int_equal(health.expect.len, 2);
    assert_memory_equal(health.expect.bytes, "OK", 2);
}

static void what_was_not_given_follows_the_interval(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        uint32_t timeout, fast;
    } cases[] = {
        {"health = tcp interval=10s", 1000, 5000},
        {"health = tcp interval=500ms", 500, 250},
        {"health = tcp interval=150ms", 150, 100},
        {"health = tcp interval=100ms", 100, 100},
        {"health = tcp interval=1m fast=1m timeout=1m", 60000, 60000},
        {"health = tcp interval=10s fast=1s", 1000, 1000},
        {"health = tcp fast=2s timeout=10ms", 10, 2000},
    };
    for (size_t i = 0; i < COUNT(cases); ++i) {
        struct conf_health health = health_of(cases[i].line);
        assert_int_equal(health.timeout_ms, cases[i].timeout);
        assert_int_equal(health.fast_ms, cases[i].fast);
    }
}

static void a_check_is_written_with_every_option(void **state)
{
    (void)state;
    assert_written("health = off", "health = off");
    assert_written("health = tcp", "health = tcp interval=2s timeout=1s rise=2 fall=3 fast=1s");
    /* 1s is what `fast` would be with another interval. */
    assert_written("health=tcp fast=1s interval=10s",
                   "health = tcp interval=10s timeout=1s rise=2 fall=3 fast=1s");
    assert_written(
        "health=tcp port=7 expect=\"b\" send=\"a\"",
        "health = tcp interval=2s timeout=1s rise=2 fall=3 fast=1s port=7 send=\"a\" "
        "expect=\"b\"");
    assert_written("health = tcp end=fin",
                   "health = tcp interval=2s timeout=1s rise=2 fall=3 fast=1s");
    assert_written("health = tcp end=reset",
                   "health = tcp interval=2s timeout=1s rise=2 fall=3 fast=1s end=reset");
}

/* ---- quoted texts ---- */

static void escapes_stand_for_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *bytes;
        size_t len;
        const char *written;
    } cases[] = {
        {"a", "a", 1, "a"},
        {"\\r\\n\\t\\0\\\\\\\"", "\r\n\t\0\\\"", 6, "\\r\\n\\t\\0\\\\\\\""},
        {"\\x00\\xff\\x7F\\x41", "\0\xff\x7f\x41", 4, "\\0\\xff\\x7fA"},
        {"\\01", "\0001", 2, "\\01"},
        {"\\x411", "A1", 2, "A1"},
        {"\xc3\xa4", "\xc3\xa4", 2, "\\xc3\\xa4"},
        {" a  b ", " a  b ", 6, " a  b "},
        {"\ta", "\ta", 2, "\\ta"},
        {"a=b", "a=b", 3, "a=b"},
        {"x ;y #z", "x ;y #z", 7, "x ;y #z"},
        {";", ";", 1, ";"},
        {"# ; =\\\" ;", "# ; =\" ;", 8, "# ; =\\\" ;"},
        {"\\x3b \\x23", "; #", 3, "; #"},
        {"weight=5", "weight=5", 8, "weight=5"},
    };
    for (size_t i = 0; i < COUNT(cases); ++i) {
        char line[256];
        char written[256];
        str_format(line, sizeof line, "health = tcp send=\"%s\" rise=7 ; send=\"no\"",
                   cases[i].text);
        str_format(written, sizeof written,
                   "health = tcp interval=2s timeout=1s rise=7 fall=3 fast=1s send=\"%s\"",
                   cases[i].written);
        struct conf_health health = health_of(line);
        assert_int_equal(health.rise, 7);
        assert_int_equal(health.send.len, cases[i].len);
        assert_memory_equal(health.send.bytes, cases[i].bytes, cases[i].len);
        assert_written(line, written);
    }
}

static void every_byte_can_be_sent(void **state)
{
    (void)state;
    struct str line;
    struct str text;
    str_init(&line);
    str_init(&text);
    for (unsigned half = 0; half < 2; ++half) {
        str_clear(&line);
        str_add(&line, "health = tcp expect=\"");
        for (unsigned byte = 0; byte < 128; ++byte)
            str_addf(&line, "\\x%02X", byte + 128 * half);
        str_add(&line, "\"");
        struct conf_health health = health_of(line.data);
        assert_int_equal(health.expect.len, 128);
        for (unsigned byte = 0; byte < 128; ++byte)
            assert_int_equal(health.expect.bytes[byte], byte + 128 * half);
        struct conf *conf = load_with(line.data);
        assert_rewritten(conf);
        conf_free(conf);
    }
    str_free(&line);
    str_free(&text);
}

static void a_text_of_256_bytes_fits_and_a_longer_one_is_refused(void **state)
{
    (void)state;
    char line[CONF_LINE_MAX];
    char text[258];
    memset(text, 'x', 257);
    text[257] = '\0';
    str_format(line, sizeof line, "health = tcp send=\"%.256s\" expect=\"%.256s\"", text, text);
    assert_int_equal(health_of(line).expect.len, 256);
    str_format(line, sizeof line, "health = tcp send=\"%s\"", text);
    const struct bad_line bad = {
        line, "send: '\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' "
              "has more than 256 bytes; make it shorter"};
    assert_lines_refused(&bad, 1);
}

/* A letter that takes two bytes here takes eight as escapes. */
static void a_value_that_would_be_written_longer_than_a_line_is_refused(void **state)
{
    (void)state;
    struct str line;
    str_init(&line);
    str_add(&line, "health = tcp send=\"");
    for (int i = 0; i < 118; ++i)
        str_add(&line, "\xc3\xa4");
    str_add(&line, "\" expect=\"a\"");
    struct conf *conf = load_with(line.data);
    assert_int_equal(conf->routes[0].health.send.len, 236);
    assert_rewritten(conf);
    conf_free(conf);

    line.len -= strlen("a\"");
    for (int i = 0; i < 4; ++i)
        str_add(&line, "\xc3\xa4");
    str_add(&line, "\"");
    const struct bad_line bad = {
        line.data, "written in full it has 1042 bytes; at most 1015 fit into a line"};
    assert_lines_refused(&bad, 1);
    str_free(&line);
}

static const struct bad_line bad_checks[] = {
    {"health = http", "'http' is not known; write off, or tcp and its options, such as tcp "
                      "interval=2s"},
    {"health = on", "'on' is not known; write off, or tcp and its options, such as tcp "
                    "interval=2s"},
    {"health = interval=2s", "'interval=2s' is not known; write off, or tcp and its options, "
                             "such as tcp interval=2s"},
    {"health = off interval=2s", "'off interval=2s' is not known; write off, or tcp and its "
                                 "options, such as tcp interval=2s"},
    {"health =", "there is no value; the default is off"},
    {"health = tcp inter=2s", "unknown option 'inter'; options are interval, timeout, rise, "
                              "fall, fast, port, send, expect and end"},
    {"health = tcp end=rst", "end: 'rst' is not known; write fin or reset"},
    {"health = tcp end", "end: there is no value; write such as end=reset"},
    {"health = tcp raise=2", "unknown option 'raise'; did you mean 'rise'?"},
    {"health = tcp interval=2", "interval: '2' has no unit; write it with one, such as 2s "
                                "(units: ms s m h d; allowed: 100ms to 1h)"},
    {"health = tcp interval=99ms", "interval: '99ms' is out of range; allowed is 100ms to 1h"},
    {"health = tcp interval=61m", "interval: '61m' is out of range; allowed is 100ms to 1h"},
    {"health = tcp timeout=9ms", "timeout: '9ms' is out of range; allowed is 10ms to 1m"},
    {"health = tcp timeout=2001ms",
     "timeout: 2001ms is longer than the interval of 2s, so checks would get in each other's "
     "way; write a shorter timeout or a longer interval"},
    {"health = tcp fast=3s", "fast: 3s is longer than the interval of 2s; write a shorter one, "
                             "or leave it out for half the interval"},
    {"health = tcp fast=99ms", "fast: '99ms' is out of range; allowed is 100ms to 1h"},
    {"health = tcp rise=0", "rise: '0' is out of range; allowed is 1 to 100"},
    {"health = tcp rise=101", "rise: '101' is out of range; allowed is 1 to 100"},
    {"health = tcp fall=0", "fall: '0' is out of range; allowed is 1 to 100"},
    {"health = tcp port=0", "port: '0' is out of range; allowed is 1 to 65535"},
    {"health = tcp port=65536", "port: '65536' is out of range; allowed is 1 to 65535"},
    {"health = tcp send", "send: there is no value; write such as send=\"PING\\r\\n\""},
    {"health = tcp send=PING",
     "send: 'PING' has no quotation marks; write such as send=\"PING\\r\\n\""},
    {"health = tcp send=\"PING",
     "send: '\"PING' has no closing quotation mark; write such as send=\"PING\\r\\n\""},
    {"health = tcp send=\"a ;b", /* a comment, since the text never ends */
     "send: '\"a' has no closing quotation mark; write such as send=\"PING\\r\\n\""},
    {"health = tcp send=\"PING\\\"",
     "send: '\"PING\\\"' has no closing quotation mark; write such as send=\"PING\\r\\n\""},
    {"health = tcp expect='PONG'",
     "expect: ''PONG'' has no quotation marks; write such as expect=\"PONG\""},
    {"health = tcp expect=\"a\"b",
     "expect: '\"a\"b' goes on behind its quotation marks; write a blank there, or \\\" for a "
     "mark in the text"},
    {"health = tcp expect=\"a\"rise=3",
     "expect: '\"a\"rise=3' goes on behind its quotation marks; write a blank there, or \\\" "
     "for a mark in the text"},
    {"health = tcp send=\"\"", "send: there is nothing in the quotation marks; leave it out"},
    {"health = tcp send=\"a\\q\"", "send: '\\q\"' is no escape; there are \\r \\n \\t \\0 \\\\ "
                                   "\\\" and \\xHH for any byte"},
    {"health = tcp send=\"\\x4\"",
     "send: '\\x4\"' is no escape; there are \\r \\n \\t \\0 \\\\ "
     "\\\" and \\xHH for any byte"},
    {"health = tcp send=\"\\xg0\"", "send: '\\xg0\"' is no escape; there are \\r \\n \\t \\0 "
                                    "\\\\ \\\" and \\xHH for any byte"},
};

static void a_wrong_check_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_checks, COUNT(bad_checks));
}

/* ---- eject ---- */

static void failures_in_a_time_eject_for_a_time(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE);
    assert_int_equal(conf->routes[0].eject.count, 5);
    assert_int_equal(conf->routes[0].eject.within_ms, 10000);
    assert_int_equal(conf->routes[0].eject.for_ms, 30000);
    conf_free(conf);
    conf = load_with("eject = 10000  in\t100ms for 1d");
    assert_int_equal(conf->routes[0].eject.count, 10000);
    assert_int_equal(conf->routes[0].eject.within_ms, 100);
    assert_int_equal(conf->routes[0].eject.for_ms, 86400000);
    conf_free(conf);
    conf = load_with("eject = off");
    assert_int_equal(conf->routes[0].eject.count, 0);
    conf_free(conf);
    assert_written("eject = off", "eject = off");
    assert_written("eject=1 in 60s for 90s", "eject = 1 in 1m for 90s");
    conf = load_with("eject_max = 7%");
    assert_int_equal(conf->routes[0].eject_max_percent, 7);
    conf_free(conf);
    assert_written("eject_max = 100%", "eject_max = 100%");
}

static const struct bad_line bad_ejects[] = {
    {"eject = 5", "'5' is not known; write off, or such as 5 in 10s for 30s"},
    {"eject = 5 in 10s", "'5 in 10s' is not known; write off, or such as 5 in 10s for 30s"},
    {"eject = 5 for 30s in 10s",
     "'5 for 30s in 10s' is not known; write off, or such as 5 in 10s for 30s"},
    {"eject = 5 in 10s for 30s or so",
     "'5 in 10s for 30s or so' is not known; write off, or such as 5 in 10s for 30s"},
    {"eject = off 5", "'off 5' is not known; write off, or such as 5 in 10s for 30s"},
    {"eject =", "there is no value; the default is 5 in 10s for 30s"},
    {"eject = 0 in 10s for 30s", "failures: '0' is out of range; allowed is 1 to 10000"},
    {"eject = five in 10s for 30s", "failures: 'five' is not a number; write 1 to 10000"},
    {"eject = 5 in 10 for 30s", "in: '10' has no unit; write it with one, such as 10s (units: "
                                "ms s m h d; allowed: 100ms to 1h)"},
    {"eject = 5 in 10s for 25h", "for: '25h' is out of range; allowed is 100ms to 1d"},
    {"eject_max = half",
     "'half' is not a percentage; write a number with its unit, such as 50% "
     "(units: %; allowed: 1% to 100%)"},
    {"eject_max = 50",
     "'50' has no unit; write it with one, such as 50% (units: %; allowed: 1% "
     "to 100%)"},
    {"eject_max = 50 %", "'50 %' has a blank before its unit; write it without, such as 50% "
                         "(units: %; allowed: 1% to 100%)"},
    {"eject_max = 12.5%", "'12.5%' is not a whole number; write it without the fraction, such "
                          "as 50% (units: %; allowed: 1% to 100%)"},
    {"eject_max = 50%%",
     "'50%%' has an unknown unit; write a known one, such as 50% (units: %; "
     "allowed: 1% to 100%)"},
    {"eject_max = 0%", "'0%' is out of range; allowed is 1% to 100%"},
    {"eject_max = 101%", "'101%' is out of range; allowed is 1% to 100%"},
    {"eject_max = 99999999999999999999%",
     "'99999999999999999999%' is out of range; allowed is 1% to 100%"},
};

static void a_wrong_ejection_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_ejects, COUNT(bad_ejects));
}

/* ---- when_down and queue_max ---- */

static void clients_are_refused_or_wait_while_nobody_is_up(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE);
    assert_int_equal(conf->routes[0].when_down, CONF_REFUSE);
    assert_int_equal(conf->routes[0].hold_ms, 0);
    assert_int_equal(conf->routes[0].queue_max, 1000);
    conf_free(conf);
    conf = load_with("queue_max = 77");
    assert_int_equal(conf->routes[0].queue_max_per_client, 7);
    conf_free(conf);
    conf = load_with("queue_max = 9\nqueue_max_per_client = auto");
    assert_int_equal(conf->routes[0].queue_max_per_client, 1);
    conf_free(conf);
    conf = load_with("queue_max = 9\nqueue_max_per_client = 5");
    assert_int_equal(conf->routes[0].queue_max_per_client, 5);
    conf_free(conf);
    conf = load_with("when_down = hold \t 100ms");
    assert_int_equal(conf->routes[0].when_down, CONF_HOLD);
    assert_int_equal(conf->routes[0].hold_ms, 100);
    conf_free(conf);
    assert_written("when_down = hold 60m", "when_down = hold 1h");
    assert_written("when_down = refuse", "when_down = refuse");
    assert_written("queue_max = 0", "queue_max = 0");
}

static void a_route_may_refuse_where_the_defaults_hold(void **state)
{
    (void)state;
    struct conf *conf = load_good("[defaults]\nwhen_down = hold 5s\n" GOOD_ROUTE
                                  "when_down = refuse\n[route s]\nlisten=:1\nupstream=h:1\n");
    assert_int_equal(conf->routes[0].when_down, CONF_REFUSE);
    assert_int_equal(conf->routes[0].hold_ms, 0);
    assert_int_equal(conf->routes[1].when_down, CONF_HOLD);
    assert_int_equal(conf->routes[1].hold_ms, 5000);
    assert_rewritten(conf);
    conf_free(conf);
}

static const struct bad_line bad_holds[] = {
    {"when_down = wait", "'wait' is not known; write refuse, or such as hold 30s"},
    {"when_down = refuse 5s", "'refuse 5s' is not known; write refuse, or such as hold 30s"},
    {"when_down = hold30s", "'hold30s' is not known; write refuse, or such as hold 30s"},
    {"when_down = hold",
     "hold has no time; write how long a client waits at most, such as hold 30s"},
    {"when_down = hold 30", "hold: '30' has no unit; write it with one, such as 30s (units: ms "
                            "s m h d; allowed: 100ms to 1h)"},
    {"when_down = hold 0", "hold: '0' is out of range; allowed is 100ms to 1h"},
    {"when_down = hold 2h", "hold: '2h' is out of range; allowed is 100ms to 1h"},
    {"queue_max = 1000001", "'1000001' is out of range; allowed is 0 to 1000000"},
};

static void a_wrong_hold_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_holds, COUNT(bad_holds));
}

#define QUEUE_TEXT                                                                             \
    "when_down = hold lets clients wait, and queue_max is 0; write a larger queue_max, or "    \
    "when_down = refuse\n"

static const struct bad_text bad_queues[] = {
    {GOOD_ROUTE "when_down = hold 5s\nqueue_max = 0\n",
     "t.ini:5: [route r] queue_max: " QUEUE_TEXT},
    {"[defaults]\nqueue_max = 0\n" GOOD_ROUTE "when_down = hold 5s\n",
     "t.ini:6: [route r] when_down: " QUEUE_TEXT},
    {GOOD_ROUTE "queue_max = 0\n[defaults]\nwhen_down = hold 5s\n",
     "t.ini:4: [route r] queue_max: " QUEUE_TEXT},
    {"[defaults]\nqueue_max = 0\nwhen_down = hold 5s\n" GOOD_ROUTE
     "[route s]\nlisten=:1\nupstream=h:1\n",
     "t.ini:2: [defaults] queue_max: " QUEUE_TEXT},
};

static void a_queue_without_room_is_told_once(void **state)
{
    (void)state;
    assert_all_refused(bad_queues, COUNT(bad_queues));
    conf_free(load_good("[defaults]\nqueue_max = 0\n" GOOD_ROUTE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_without_options_has_their_defaults),
        cmocka_unit_test(every_option_of_a_check_is_taken),
        cmocka_unit_test(what_was_not_given_follows_the_interval),
        cmocka_unit_test(a_check_is_written_with_every_option),
        cmocka_unit_test(escapes_stand_for_bytes),
        cmocka_unit_test(every_byte_can_be_sent),
        cmocka_unit_test(a_text_of_256_bytes_fits_and_a_longer_one_is_refused),
        cmocka_unit_test(a_value_that_would_be_written_longer_than_a_line_is_refused),
        cmocka_unit_test(a_wrong_check_is_told_with_what_would_be_right),
        cmocka_unit_test(failures_in_a_time_eject_for_a_time),
        cmocka_unit_test(a_wrong_ejection_is_told_with_what_would_be_right),
        cmocka_unit_test(clients_are_refused_or_wait_while_nobody_is_up),
        cmocka_unit_test(a_route_may_refuse_where_the_defaults_hold),
        cmocka_unit_test(a_wrong_hold_is_told_with_what_would_be_right),
        cmocka_unit_test(a_queue_without_room_is_told_once),
    };
    return cmocka_run_group_tests_name("config_health", tests, NULL, NULL);
}
