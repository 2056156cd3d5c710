/* test_config_equal.c - whether a key has the same value in two configurations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "config/conf.h"
#include "config/value/keys.h"
#include "config/value/value.h"
#include "config_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const void *owner_of(const struct key *key, const struct conf *conf)
{
    return key->section == KEY_ROUTE ? (const void *)&conf->routes[0] : conf;
}

/* Keys are equal in both, but `name` of `section`, if that is not NULL. */
static void assert_differ_in(const struct conf *a, const struct conf *b,
                             enum key_section section, const char *name)
{
    for (size_t i = 0; i < key_count; ++i) {
        const struct key *key = &keys[i];
        bool differs = name != NULL && key->section == section && strcmp(key->name, name) == 0;
        if (value_equal(key, owner_of(key, a), owner_of(key, b)) == differs ||
            value_equal(key, owner_of(key, b), owner_of(key, a)) == differs)
            fail_msg("%s %s %s", key_section_word(key->section), key->name,
                     differs ? "seems to be the same" : "seems to be another");
    }
}

/* Each changes one key in one of its parts. */
static const struct {
    const char *a;
    const char *b;
} route_lines[] = {
    {"", "listen = *:7778"},
    {"listen = *:7778", "listen = *:7778-7779"},
    {"listen = [::]:7778", "listen = 0.0.0.0:7778"},
    {"", "upstream = 10.0.0.6:7000"},
    {"upstream = h:1", "upstream = h:1 weight=2"},
    {"upstream = h:1", "upstream = h:1 backup"},
    {"upstream = h:1", "upstream = h:1 disabled"},
    {"upstream = h:1", "upstream = h:1 slow_start=1s"},
    {"upstream = h:1", "upstream = h:1 max_sessions=1"},
    {"balance = first", "balance = random2"},
    {"connect_timeout = 5s", "connect_timeout = 6s"},
    {"when_down = hold 1s", "when_down = hold 2s"},
    {"when_down = hold 1s", "when_down = refuse"},
    {"health = off", "health = tcp"},
    {"health = tcp send=\"a\"", "health = tcp send=\"b\""},
    {"health = tcp expect=\"a\"", "health = tcp expect=\"ab\""},
    {"health = tcp rise=2", "health = tcp rise=3"},
    {"health = tcp port=1", "health = tcp port=2"},
    {"health = tcp end=fin", "health = tcp end=reset"},
    {"eject = 5 in 10s for 30s", "eject = 5 in 10s for 31s"},
    {"eject_max = 50%", "eject_max = 51%"},
    {"source = 10.0.0.2", "source = 10.0.0.3"},
    {"source = 10.0.0.2", "source = 10.0.0.2, 10.0.0.3"},
    {"guard = enforce", "guard = dry_run"},
    {"refuse = tarpit 1s", "refuse = tarpit 2s"},
    {"refuse = reset", "refuse = close"},
    {"allow = 10.0.0.0/8", "allow = 10.0.0.0/9"},
    {"allow = 10.0.0.0/8", "allow = 10.0.0.0/8, ::1"},
    {"deny = ::1", ""},
    {"allow = ::1\ndeny = ::2", "allow = ::1\ndeny = ::3"},
    {"guard_exempt =", "guard_exempt = ::1"},
    {"guard_exempt = 10.0.0.0/8", "guard_exempt = 10.0.0.0/9"},
    {"max_sessions_per_client = 1", "max_sessions_per_client = 2"},
    {"connect_rate_per_client = 1/s", "connect_rate_per_client = 1/s burst 2"},
    {"connect_rate = 60/m burst 1", "connect_rate = 60/h burst 1"},
    {"ban_after = 1 in 1s for 1s", "ban_after = 1 in 1s for 50d"},
    {"ban_after = 1 in 1s for 1s", "ban_after = 1 in 2s for 1s"},
    {"min_rate = 1B/s over 1s", "min_rate = 2B/s over 1s"},
    {"min_rate = 1B/s over 1s", "min_rate = 1B/s over 2s"},
    {"max_session_time = 1s", "max_session_time = 365d"},
    {"rate_up = 1MB/s", "rate_up = 1MB/s burst 1MB"},
    {"rate_down_per_route = 1MB/s burst 1MB", "rate_down_per_route = 2MB/s burst 1MB"},
    {"nodelay = yes", "nodelay = no"},
    {"on_remove = keep", "on_remove = kill"},
};

static void a_difference_is_seen_in_its_key_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(route_lines); ++i) {
        struct conf *a = load_with(route_lines[i].a);
        struct conf *b = load_with(route_lines[i].b);
        const char *line = route_lines[i].b[0] != '\0' ? route_lines[i].b : route_lines[i].a;
        const char *last = strrchr(line, '\n');
        char name[64];
        line = last != NULL ? last + 1 : line;
        str_format(name, sizeof name, "%.*s", (int)strcspn(line, " "), line);
        assert_differ_in(a, b, KEY_ROUTE, name);
        assert_differ_in(a, a, KEY_ROUTE, NULL);
        conf_free(a);
        conf_free(b);
    }
}

static void a_difference_in_the_relay_is_seen(void **state)
{
    (void)state;
    static const char *const lines[] = {"workers = 3",          "state_file = x",
                                        "log_level = debug",    "connect_rate = 1/s",
                                        "client_table = 10001", "tarpit_max = 1"};
    struct conf *plain = load_good(GOOD_ROUTE);
    for (size_t i = 0; i < COUNT(lines); ++i) {
        char text[256];
        char name[64];
        str_format(text, sizeof text, "[relay]\n%s\n%s", lines[i], GOOD_ROUTE);
        str_format(name, sizeof name, "%.*s", (int)strcspn(lines[i], " "), lines[i]);
        struct conf *conf = load_good(text);
        assert_differ_in(plain, conf, KEY_RELAY, name);
        conf_free(conf);
    }
    struct conf *proxy =
        load_good(GOOD_ROUTE "proxy_protocol_in = required\nproxy_trust = 10.0.0.0/8\n");
    struct conf *other =
        load_good(GOOD_ROUTE "proxy_protocol_in = required\nproxy_trust = 10.0.0.0/9\n");
    assert_differ_in(proxy, other, KEY_ROUTE, "proxy_trust");
    conf_free(proxy);
    conf_free(other);
    conf_free(plain);
}

static void another_spelling_is_the_same(void **state)
{
    (void)state;
    struct conf *a = load_with("allow = 10.0.0.1, ::1\nrate_up = 1MB/s\nidle_timeout = 60s");
    struct conf *b = load_with("allow = ::1\nallow = ::ffff:10.0.0.1/128, 10.0.0.1\n"
                               "rate_up = 1024KB/s burst 256KB\nidle_timeout = 1m");
    assert_differ_in(a, b, KEY_ROUTE, NULL);
    conf_free(a);
    conf_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_difference_is_seen_in_its_key_alone),
        cmocka_unit_test(a_difference_in_the_relay_is_seen),
        cmocka_unit_test(another_spelling_is_the_same),
    };
    return cmocka_run_group_tests_name("config_equal", tests, NULL, NULL);
}
