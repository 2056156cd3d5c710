/* test_config.c - what a configuration means: sections, keys, defaults, addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "config/conf.h"
#include "config/value/keys.h"
#include "config_text.h"

static void a_minimal_file_gets_every_default(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE);
    char text[ADDR_TEXT_MAX];

    assert_string_equal(conf->path, "");
    assert_int_equal(conf->workers, 0);
    assert_int_equal(conf->max_sessions, 10000);
    assert_int_equal(conf->stop_timeout_ms, 30000);
    assert_int_equal(conf->log_level, LOG_INFO);
    assert_string_equal(conf->log_file, "");
    assert_false(conf->log_level_given);
    assert_int_equal(conf->console, CONF_CONSOLE_LOCAL);
    assert_string_equal(conf->console_name, "pairport");

    assert_int_equal(conf->route_count, 1);
    const struct conf_route *route = &conf->routes[0];
    assert_string_equal(route->name, "r");
    assert_int_equal(route->line, 1);
    assert_int_equal(route->connect_timeout_ms, 5000);
    assert_int_equal(route->connect_retries, 3);
    assert_int_equal(route->idle_timeout_ms, 600000);
    assert_int_equal(route->half_close_timeout_ms, 30000);
    assert_int_equal(route->max_sessions, 10000);
    assert_int_equal(route->keepalive_idle_ms, 60000);
    assert_int_equal(route->keepalive_interval_ms, 10000);
    assert_true(route->nodelay);
    assert_int_equal(route->buffer_bytes, 524288);
    assert_int_equal(route->backlog, 0);
    assert_int_equal(route->balance, CONF_ROUND_ROBIN);
    assert_int_equal(route->when_down, CONF_REFUSE);
    assert_int_equal(route->queue_max, 1000);
    assert_false(route->health.on);
    assert_int_equal(route->eject.count, 5);
    assert_int_equal(route->on_down, CONF_KEEP);
    assert_int_equal(route->resolve_interval_ms, 30000);
    assert_int_equal(route->source_count, 0);
    assert_int_equal(route->proxy_out, CONF_PROXY_OUT_OFF);
    assert_int_equal(route->proxy_in, CONF_PROXY_IN_OFF);
    assert_int_equal(route->trust_count, 0);
    assert_int_equal(route->proxy_timeout_ms, 5000);

    assert_int_equal(route->listen_count, 1);
    assert_string_equal(addr_format(&route->listens[0].addr, text), "[::]:7777");
    assert_true(route->listens[0].dual_stack);
    assert_int_equal(route->listens[0].line, 2);
    assert_int_equal(route->upstream_count, 1);
    assert_string_equal(route->upstreams[0].host, "10.0.0.5");
    assert_int_equal(route->upstreams[0].port, 7000);
    assert_string_equal(route->upstreams[0].name, "10.0.0.5:7000");
    assert_int_equal(route->upstreams[0].line, 3);
    conf_free(conf);
}

static void every_key_of_the_process_is_taken(void **state)
{
    (void)state;
    struct conf *conf = load_good("[relay]\nworkers=7\nmax_sessions=20000\nstop_timeout=0\n"
                                  "log_level=debug\nlog_file=/var/log/p p.log\n"
                                  "[console]\nlisten=none\nname=two\n" GOOD_ROUTE);
    assert_int_equal(conf->workers, 7);
    assert_int_equal(conf->max_sessions, 20000);
    assert_int_equal(conf->stop_timeout_ms, 0);
    assert_int_equal(conf->log_level, LOG_DEBUG);
    assert_string_equal(conf->log_file, "/var/log/p p.log");
    assert_true(conf->log_level_given);
    assert_int_equal(conf->console, CONF_CONSOLE_NONE);
    assert_string_equal(conf->console_name, "two");
    conf_free(conf);
}

static const char route_keys[] =
    "connect_timeout=10ms\nconnect_retries=0\nidle_timeout=off\nhalf_close_timeout=1s\n"
    "max_sessions=1\nkeepalive=off\nkeepalive_interval=2h\nnodelay=no\nbuffer_size=1MB\n"
    "backlog=65535\nbalance=first\nwhen_down=hold 1s\nqueue_max=7\n"
    "queue_max_per_client=6\nhealth=tcp rise=9\n"
    "eject=1 in 2s for 3s\non_down=kill\nresolve_interval=off\nsource=10.0.0.2\n"
    "proxy_protocol_out=v2\nproxy_protocol_in=optional\nproxy_trust=::1,::2\n"
    "proxy_timeout=1s\n";

static void assert_route_keys(const struct conf_route *route)
{
    assert_int_equal(route->connect_timeout_ms, 10);
    assert_int_equal(route->connect_retries, 0);
    assert_int_equal(route->idle_timeout_ms, 0);
    assert_int_equal(route->half_close_timeout_ms, 1000);
    assert_int_equal(route->max_sessions, 1);
    assert_int_equal(route->keepalive_idle_ms, 0);
    assert_int_equal(route->keepalive_interval_ms, 7200000);
    assert_false(route->nodelay);
    assert_int_equal(route->buffer_bytes, 1048576);
    assert_int_equal(route->backlog, 65535);
    assert_int_equal(route->balance, CONF_FIRST);
    assert_int_equal(route->when_down, CONF_HOLD);
    assert_int_equal(route->hold_ms, 1000);
    assert_int_equal(route->queue_max, 7);
    assert_int_equal(route->queue_max_per_client, 6);
    assert_true(route->health.on);
    assert_int_equal(route->health.rise, 9);
    assert_int_equal(route->eject.count, 1);
    assert_int_equal(route->eject.within_ms, 2000);
    assert_int_equal(route->eject.for_ms, 3000);
    assert_int_equal(route->on_down, CONF_KILL);
    assert_int_equal(route->resolve_interval_ms, 0);
    assert_int_equal(route->source_count, 1);
    assert_int_equal(route->proxy_out, CONF_PROXY_OUT_V2);
    assert_int_equal(route->proxy_in, CONF_PROXY_IN_OPTIONAL);
    assert_int_equal(route->trust_count, 2);
    assert_int_equal(route->proxy_timeout_ms, 1000);
}

static void every_key_of_a_route_is_taken(void **state)
{
    (void)state;
    char text[1024];
    str_format(text, sizeof text, "%s%s", GOOD_ROUTE, route_keys);
    struct conf *conf = load_good(text);
    assert_route_keys(&conf->routes[0]);
    conf_free(conf);
}

static void defaults_hold_for_every_route_wherever_they_stand(void **state)
{
    (void)state;
    char text[2048];
    str_format(text, sizeof text, "%s[defaults]\n%s[route b]\nlisten=:1\nupstream=h:1\n",
               GOOD_ROUTE, route_keys);
    struct conf *conf = load_good(text);
    assert_int_equal(conf->route_count, 2);
    assert_route_keys(&conf->routes[0]);
    assert_route_keys(&conf->routes[1]);
    conf_free(conf);
}

static void a_route_overrides_the_defaults_before_and_behind_it(void **state)
{
    (void)state;
    static const char own[] = "idle_timeout=7s\nbacklog=auto\n";
    static const char defaults[] = "[defaults]\nidle_timeout=1h\nbacklog=5\nnodelay=no\n";
    char text[1024];

    for (int before = 0; before <= 1; ++before) {
        str_format(text, sizeof text, "%s%s%s%s", before ? defaults : "", GOOD_ROUTE, own,
                   before ? "" : defaults);
        struct conf *conf = load_good(text);
        assert_int_equal(conf->routes[0].idle_timeout_ms, 7000);
        assert_int_equal(conf->routes[0].backlog, 0); /* the preset, but said here */
        assert_false(conf->routes[0].nodelay);
        conf_free(conf);
    }
}

static void routes_stay_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    for (int i = 0; i < 100; ++i)
        str_addf(&text, "[route r%d]\nlisten=:%d\nlisten=127.0.0.1:%d\nupstream=u%d:1\n", i,
                 1000 + i, 3000 + i, i);
    struct conf *conf = load_good(text.data);
    assert_int_equal(conf->route_count, 100);
    for (int i = 0; i < 100; ++i) {
        char name[16];
        str_format(name, sizeof name, "r%d", i);
        assert_string_equal(conf->routes[i].name, name);
        assert_ptr_equal(conf_find_route(conf, name), &conf->routes[i]);
        assert_int_equal(conf->routes[i].line, 1 + 4 * i);
        assert_int_equal(conf->routes[i].listen_count, 2);
        assert_int_equal(conf->routes[i].listens[0].addr.port, 1000 + i);
        assert_int_equal(conf->routes[i].listens[1].addr.port, 3000 + i);
    }
    assert_null(conf_find_route(conf, "r100"));
    assert_null(conf_find_route(conf, ""));
    conf_free(conf);
    str_free(&text);
}

static void a_route_name_may_have_all_31_allowed_characters(void **state)
{
    (void)state;
    struct conf *conf = load_good("[ route \t abcdefghijkl.mnopq-rstuvw_XYZ09 ]\n"
                                  "listen=:1\nupstream=h:1\n");
    assert_string_equal(conf->routes[0].name, "abcdefghijkl.mnopq-rstuvw_XYZ09");
    conf_free(conf);
}

static void addresses_are_read_in_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *listen;
        const char *addr;
        bool dual_stack;
    } cases[] = {
        {":7777", "[::]:7777", true},
        {"*:1", "[::]:1", true},
        {"[::]:65535", "[::]:65535", true},
        {"0.0.0.0:7777", "0.0.0.0:7777", false},
        {"127.0.0.1:7777", "127.0.0.1:7777", false},
        {"[::1]:7777", "[::1]:7777", false},
        {"[2001:DB8:0:0::5]:7777", "[2001:db8::5]:7777", false},
        {"[fe80::1%3]:7777", "[fe80::1%3]:7777", false},
        {"[::ffff:10.0.0.1]:7777", "10.0.0.1:7777", false},
        {"[::ffff:0.0.0.0]:7777", "0.0.0.0:7777", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char text[128];
        char addr[ADDR_TEXT_MAX];
        str_format(text, sizeof text, "[route r]\nlisten = %s\nupstream = h:1\n",
                   cases[i].listen);
        struct conf *conf = load_good(text);
        assert_string_equal(addr_format(&conf->routes[0].listens[0].addr, addr), cases[i].addr);
        assert_int_equal(conf->routes[0].listens[0].dual_stack, cases[i].dual_stack);
        conf_free(conf);
    }
}

static void upstreams_are_addresses_or_names(void **state)
{
    (void)state;
    static const struct {
        const char *upstream;
        const char *host;
        const char *name;
    } cases[] = {
        {"10.0.0.5:7000", "10.0.0.5", "10.0.0.5:7000"},
        {"[2001:DB8::5]:7000", "2001:db8::5", "[2001:db8::5]:7000"},
        {"[::FFFF:10.0.0.5]:7000", "10.0.0.5", "10.0.0.5:7000"},
        {"[fe80::1%3]:7000", "fe80::1%3", "[fe80::1%3]:7000"},
        {"Lobby-1.Example.COM:7000", "lobby-1.example.com", "lobby-1.example.com:7000"},
        {"game_server:7000", "game_server", "game_server:7000"},
        {"example.com.:7000", "example.com.", "example.com.:7000"},
        {"1st.example:7000", "1st.example", "1st.example:7000"},
        {"0xcafe.example:7000", "0xcafe.example", "0xcafe.example:7000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char text[128];
        str_format(text, sizeof text, "[route r]\nlisten = :1\nupstream = %s\n",
                   cases[i].upstream);
        struct conf *conf = load_good(text);
        const struct conf_upstream *upstream = &conf->routes[0].upstreams[0];
        assert_string_equal(upstream->host, cases[i].host);
        assert_string_equal(upstream->name, cases[i].name);
        assert_int_equal(upstream->port, 7000);
        conf_free(conf);
    }
}

static void the_longest_host_name_fits(void **state)
{
    (void)state;
    char text[512];
    char host[254];
    memset(host, 'a', 253);
    host[63] = host[127] = host[191] = '.';
    host[253] = '\0';
    str_format(text, sizeof text, "[route r]\nlisten = :1\nupstream = %s:65535\n", host);
    struct conf *conf = load_good(text);
    assert_string_equal(conf->routes[0].upstreams[0].host, host);
    assert_int_equal(strlen(conf->routes[0].upstreams[0].name), 253 + 6);
    conf_free(conf);
}

static void memory_of_any_kind_can_be_freed(void **state)
{
    (void)state;
    conf_free(NULL);
    conf_free(calloc(1, sizeof(struct conf)));
}

/* ---- the table ---- */

static void every_key_is_found_by_its_section_and_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_count; ++i)
        assert_ptr_equal(key_find(keys[i].section, keys[i].name), &keys[i]);
    assert_null(key_find(KEY_RELAY, "backlog"));
    assert_null(key_find(KEY_ROUTE, ""));
    size_t reach = 0;
    for (size_t i = 0; i < key_count; ++i)
        reach += key_reaches_open(&keys[i]);
    assert_int_equal(reach, 18); /* each name in its list is a key */
    assert_string_equal(key_section_word(KEY_RELAY), "[relay]");
    assert_string_equal(key_section_word(KEY_CONSOLE), "[console]");
    assert_string_equal(key_section_word(KEY_ROUTE), "[route NAME]");
}

static void every_help_text_is_a_sentence(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_count; ++i) {
        size_t len = strlen(keys[i].help);
        assert_true(keys[i].help[0] >= 'A' && keys[i].help[0] <= 'Z');
        assert_int_equal(keys[i].help[len - 1], '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_minimal_file_gets_every_default),
        cmocka_unit_test(every_key_of_the_process_is_taken),
        cmocka_unit_test(every_key_of_a_route_is_taken),
        cmocka_unit_test(defaults_hold_for_every_route_wherever_they_stand),
        cmocka_unit_test(a_route_overrides_the_defaults_before_and_behind_it),
        cmocka_unit_test(routes_stay_in_the_order_of_the_file),
        cmocka_unit_test(a_route_name_may_have_all_31_allowed_characters),
        cmocka_unit_test(addresses_are_read_in_every_form),
        cmocka_unit_test(upstreams_are_addresses_or_names),
        cmocka_unit_test(the_longest_host_name_fits),
        cmocka_unit_test(memory_of_any_kind_can_be_freed),
        cmocka_unit_test(every_key_is_found_by_its_section_and_name),
        cmocka_unit_test(every_help_text_is_a_sentence),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
