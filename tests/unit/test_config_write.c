/* test_config_write.c - what conf_write() writes is what was read. */
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

static void a_configuration_is_written_with_every_key(void **state)
{
    (void)state;
    struct conf *conf = load_good(
        "[defaults]\nidle_timeout = 90s\n"
        "[route b]\nlisten = :7777\nlisten = 127.0.0.1:1\nlisten = [::1]:1\n"
        "upstream = Game.example:7000\nupstream = [2001:db8::5]:1\nkeepalive = off\n"
        "[route a]\nlisten = *:2\nupstream = h:1\nbuffer_size = 5000B\nidle_timeout = off\n"
        "[relay]\nstop_timeout = 0\n[console]\nlisten = none\n");
    struct str out;
    str_init(&out);
    conf_write(conf, &out);
    assert_string_equal(out.data, "[relay]\n"
                                  "workers = auto\n"
                                  "max_sessions = 10000\n"
                                  "stop_timeout = 0\n"
                                  "log_level = info\n"
                                  "log_file =\n"
                                  "connect_rate = 10000/s burst 20000\n"
                                  "client_table = 100000\n"
                                  "client_prefix_ipv4 = 32\n"
                                  "client_prefix_ipv6 = 64\n"
                                  "tarpit_max = 1000\n"
                                  "state_file =\n"
                                  "\n"
                                  "[console]\n"
                                  "listen = none\n"
                                  "name = pairport\n"
                                  "\n"
                                  "[route b]\n"
                                  "listen = *:7777\n"
                                  "listen = 127.0.0.1:1\n"
                                  "listen = [::1]:1\n"
                                  "upstream = game.example:7000\n"
                                  "upstream = [2001:db8::5]:1\n"
                                  "balance = round_robin\n"
                                  "connect_timeout = 5s\n"
                                  "connect_retries = 3\n"
                                  "when_down = refuse\n"
                                  "queue_max = 1000\n"
                                  "queue_max_per_client = 100\n"
                                  "health = off\n"
                                  "eject = 5 in 10s for 30s\n"
                                  "eject_max = 50%\n"
                                  "on_down = keep\n"
                                  "resolve_interval = 30s\n"
                                  "source =\n"
                                  "proxy_protocol_out = off\n"
                                  "proxy_protocol_in = off\n"
                                  "proxy_trust =\n"
                                  "proxy_timeout = 5s\n"
                                  "guard = enforce\n"
                                  "refuse = reset\n"
                                  "allow =\n"
                                  "deny =\n"
                                  "guard_exempt = 127.0.0.0/8, ::1/128\n"
                                  "max_sessions_per_client = 200\n"
                                  "connect_rate_per_client = 20/s burst 100\n"
                                  "connect_rate = off\n"
                                  "ban_after = off\n"
                                  "first_byte_timeout = off\n"
                                  "min_rate = off\n"
                                  "max_backlog_age = 5m\n"
                                  "max_session_time = off\n"
                                  "rate_up = off\n"
                                  "rate_down = off\n"
                                  "rate_up_per_client = off\n"
                                  "rate_down_per_client = off\n"
                                  "rate_up_per_route = off\n"
                                  "rate_down_per_route = off\n"
                                  "on_remove = keep\n"
                                  "admission_ramp = off\n"
                                  "pause_timeout = 5m\n"
                                  "idle_timeout = 90s\n"
                                  "half_close_timeout = 30s\n"
                                  "max_sessions = 9000\n"
                                  "keepalive = off\n"
                                  "keepalive_interval = 10s\n"
                                  "nodelay = yes\n"
                                  "buffer_size = 512KB\n"
                                  "backlog = auto\n"
                                  "\n"
                                  "[route a]\n"
                                  "listen = *:2\n"
                                  "upstream = h:1\n"
                                  "balance = round_robin\n"
                                  "connect_timeout = 5s\n"
                                  "connect_retries = 3\n"
                                  "when_down = refuse\n"
                                  "queue_max = 1000\n"
                                  "queue_max_per_client = 100\n"
                                  "health = off\n"
                                  "eject = 5 in 10s for 30s\n"
                                  "eject_max = 50%\n"
                                  "on_down = keep\n"
                                  "resolve_interval = 30s\n"
                                  "source =\n"
                                  "proxy_protocol_out = off\n"
                                  "proxy_protocol_in = off\n"
                                  "proxy_trust =\n"
                                  "proxy_timeout = 5s\n"
                                  "guard = enforce\n"
                                  "refuse = reset\n"
                                  "allow =\n"
                                  "deny =\n"
                                  "guard_exempt = 127.0.0.0/8, ::1/128\n"
                                  "max_sessions_per_client = 200\n"
                                  "connect_rate_per_client = 20/s burst 100\n"
                                  "connect_rate = off\n"
                                  "ban_after = off\n"
                                  "first_byte_timeout = off\n"
                                  "min_rate = off\n"
                                  "max_backlog_age = 5m\n"
                                  "max_session_time = off\n"
                                  "rate_up = off\n"
                                  "rate_down = off\n"
                                  "rate_up_per_client = off\n"
                                  "rate_down_per_client = off\n"
                                  "rate_up_per_route = off\n"
                                  "rate_down_per_route = off\n"
                                  "on_remove = keep\n"
                                  "admission_ramp = off\n"
                                  "pause_timeout = 5m\n"
                                  "idle_timeout = off\n"
                                  "half_close_timeout = 30s\n"
                                  "max_sessions = 9000\n"
                                  "keepalive = 1m\n"
                                  "keepalive_interval = 10s\n"
                                  "nodelay = yes\n"
                                  "buffer_size = 5000B\n"
                                  "backlog = auto\n");
    str_free(&out);
    conf_free(conf);
}

static void assert_same_values(enum key_section section, const void *a, const void *b)
{
    for (size_t i = 0; i < key_count; ++i)
        if (keys[i].section == section && !value_equal(&keys[i], a, b))
            fail_msg("%s is another one when it was written and read", keys[i].name);
}

/* The text might lack what the configuration has, so the fields are compared too. */
static void assert_round_trip(const struct conf *conf)
{
    struct str out;
    str_init(&out);
    assert_rewritten(conf);
    conf_write(conf, &out);
    struct conf *again = load_good(out.data);

    assert_same_values(KEY_RELAY, conf, again);
    assert_same_values(KEY_CONSOLE, conf, again);
    assert_int_equal(conf->route_count, again->route_count);
    for (size_t r = 0; r < conf->route_count; ++r) {
        const struct conf_route *a = &conf->routes[r];
        const struct conf_route *b = &again->routes[r];
        assert_string_equal(a->name, b->name);
        assert_same_values(KEY_ROUTE, a, b);
    }
    conf_free(again);
    str_free(&out);
}

static void set_number(const struct key *key, void *owner, uint64_t value)
{
    if (key->size == sizeof(uint64_t))
        *(uint64_t *)value_field(key, owner) = value;
    else
        *(uint32_t *)value_field(key, owner) = (uint32_t)value;
}

/* For every key with a range both of its ends and 0 where that has a word, one at a time. Limits
 * of the others are so wide that none can't be reached, which is a warning. */
static void every_number_survives_being_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_count; ++i) {
        const struct key *key = &keys[i];
        if (key->max == 0 || key->type == KEY_TEXT)
            continue;
        /* `auto` of a route becomes a number when the file is read. */
        bool has_zero =
            key->zero != NULL && (key->section != KEY_ROUTE || strcmp(key->zero, "auto") != 0);
        const uint64_t values[] = {key->min, key->min + 1, key->max - 1, key->max,
                                   has_zero ? 0 : key->min};
        for (size_t j = 0; j < sizeof values / sizeof values[0]; ++j) {
            struct conf *conf = load_good(GOOD_ROUTE);
            struct conf_route *route = &conf->routes[0];
            bool is_relay_limit =
                key->section == KEY_RELAY && strcmp(key->name, "max_sessions") == 0;
            bool is_table = strcmp(key->name, "client_table") == 0;
            conf->max_sessions = is_table ? 1 : 1000000;
            conf->client_table = 10000000;
            route->max_sessions = is_relay_limit || is_table ? 1 : 1000000;
            route->max_sessions_per_client = 0;
            set_number(key, key->section == KEY_ROUTE ? (void *)route : (void *)conf,
                       values[j]);
            assert_round_trip(conf);
            conf_free(conf);
        }
    }
}

static void every_word_survives_being_written(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE);
    for (int level = LOG_ERROR; level <= LOG_DEBUG; ++level) {
        conf->log_level = (enum log_level)level;
        assert_round_trip(conf);
    }
    conf->console = CONF_CONSOLE_NONE;
    assert_round_trip(conf);
    conf->routes[0].nodelay = false;
    assert_round_trip(conf);
    conf_free(conf);
}

static void every_text_that_is_taken_survives_being_written(void **state)
{
    (void)state;
    static const char *const texts[] = {"a b  c", "a;b", "a#b", "a=b:c",   "[x]",
                                        "=",      ":",   "\\",  "\xc3\xa0"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        char text[256];
        str_format(text, sizeof text, "%s[relay]\nlog_file = %s\n[console]\nname=%s\n",
                   GOOD_ROUTE, texts[i], texts[i]);
        struct conf *conf = load_good(text);
        assert_string_equal(conf->log_file, texts[i]);
        assert_string_equal(conf->console_name, texts[i]);
        assert_round_trip(conf);
        conf_free(conf);
    }
}

static void every_feature_of_a_route_survives_being_written(void **state)
{
    (void)state;
    struct conf *conf = load_good(
        "[defaults]\nsource = 10.0.0.2, fe80::1%3\nproxy_trust = 10.0.0.0/8, ::1\n"
        "health = tcp send=\"\\x00 ;\\\"\\\\\\xff\" expect=\"#\" port=1 fast=100ms fall=1\n"
        "[route a]\nlisten=*:7000-7015\nlisten=[::1]:8000-8015\nbalance=source_hash\n"
        "upstream=h:1-16 weight=0\nupstream=h:1 weight=256 max_sessions=9 slow_start=1ms\n"
        "upstream=[::1]:9000-9015 backup\nupstream=h:2 disabled\nwhen_down=hold 1h\n"
        "proxy_protocol_in=required\nproxy_protocol_out=v1\neject=off\non_down=kill\n"
        "[route b]\nlisten=:1\nupstream=h:1\nsource=\nhealth=off\neject=7 in 7s for 7s\n"
        "[route c]\nlisten=:2\nupstream=h:1\nguard=dry_run\nrefuse=tarpit 1m\nallow=all\n"
        "deny=10.0.0.0/8, ::ffff:192.0.2.1\nallow=10.1.0.0/16\nguard_exempt=\non_remove=kill\n"
        "connect_rate_per_client=7/h burst 3\nconnect_rate=1000000/m\nban_after=1 in 1s for "
        "365d\n"
        "min_rate=1B/s over 1h\nrate_up=1KB/s\nrate_down=150MB/s burst 1GB\n"
        "rate_up_per_client=5000B/s burst "
        "4KB\nrate_down_per_route=200MB/s\nadmission_ramp=off\n"
        "rate_down_per_client=off\n[relay]\nconnect_rate=off\n");
    assert_round_trip(conf);
    conf_free(conf);
}

static void many_routes_survive_being_written(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    for (int i = 1; i <= 300; ++i)
        str_addf(&text,
                 "[route r-%d]\nlisten=:%d\nlisten=[::1]:%d\nupstream=u%d:1\n"
                 "upstream=10.0.0.5:%d\nbacklog=%d\n",
                 i, i, 10000 + i, i, i, i);
    struct conf *conf = load_good(text.data);
    assert_round_trip(conf);
    conf_free(conf);
    str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_is_written_with_every_key),
        cmocka_unit_test(every_number_survives_being_written),
        cmocka_unit_test(every_word_survives_being_written),
        cmocka_unit_test(every_text_that_is_taken_survives_being_written),
        cmocka_unit_test(every_feature_of_a_route_survives_being_written),
        cmocka_unit_test(many_routes_survive_being_written),
    };
    return cmocka_run_group_tests_name("config_write", tests, NULL, NULL);
}
