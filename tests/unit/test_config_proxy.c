/* test_config_proxy.c - PROXY headers, who is believed about them, and source addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr_net.h"
#include "base/str.h"
#include "config/conf.h"
#include "config_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void assert_source(const struct conf_route *route, size_t i, const char *expected)
{
    char text[ADDR_TEXT_MAX];
    assert_true(i < route->source_count);
    assert_string_equal(addr_format_ip(&route->sources[i], text), expected);
    assert_int_equal(route->sources[i].port, 0);
}

static void assert_trust(const struct conf_route *route, size_t i, const char *expected)
{
    char text[ADDR_NET_TEXT_MAX];
    assert_true(i < route->trust_count);
    assert_string_equal(addr_net_format(&route->trusts[i], text), expected);
}

static void nothing_is_sent_and_nobody_believed_by_default(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE);
    const struct conf_route *route = &conf->routes[0];
    assert_int_equal(route->proxy_out, CONF_PROXY_OUT_OFF);
    assert_int_equal(route->proxy_in, CONF_PROXY_IN_OFF);
    assert_int_equal(route->proxy_timeout_ms, 5000);
    assert_null(route->trusts);
    assert_int_equal(route->trust_count, 0);
    assert_null(route->sources);
    assert_int_equal(route->source_count, 0);
    conf_free(conf);
}

static void headers_of_both_versions_can_be_sent(void **state)
{
    (void)state;
    static const char *const words[] = {"off", "v1", "v2"};
    for (size_t i = 0; i < COUNT(words); ++i) {
        char line[64];
        str_format(line, sizeof line, "proxy_protocol_out = %s", words[i]);
        struct conf *conf = load_with(line);
        assert_int_equal(conf->routes[0].proxy_out, i);
        conf_free(conf);
        assert_written(line, line);
    }
}

static void headers_are_taken_from_a_list_of_networks(void **state)
{
    (void)state;
    struct conf *conf =
        load_good(GOOD_ROUTE "proxy_protocol_in = required\nproxy_timeout = 100ms\nproxy_trust "
                             "= 10.0.0.0/8,192.0.2.7 ,\t2001:DB8::/32, ::ffff:127.0.0.0/104\n");
    const struct conf_route *route = &conf->routes[0];
    assert_int_equal(route->proxy_in, CONF_PROXY_IN_REQUIRED);
    assert_int_equal(route->proxy_timeout_ms, 100);
    assert_int_equal(route->trust_count, 4);
    assert_trust(route, 0, "10.0.0.0/8");
    assert_trust(route, 1, "192.0.2.7/32");
    assert_trust(route, 2, "2001:db8::/32");
    assert_trust(route, 3, "127.0.0.0/8");
    assert_rewritten(conf);
    conf_free(conf);
    conf = load_good(GOOD_ROUTE "proxy_protocol_in = optional\nproxy_trust = ::/0\n");
    assert_int_equal(conf->routes[0].proxy_in, CONF_PROXY_IN_OPTIONAL);
    conf_free(conf);
}

static const struct bad_line bad_lines[] = {
    {"proxy_protocol_out = v3", "'v3' is not known; write off, v1 or v2"},
    {"proxy_protocol_in = on", "'on' is not known; write off, optional or required"},
    {"proxy_timeout = 99ms", "'99ms' is out of range; allowed is 100ms to 1m"},
    {"proxy_timeout = 61s", "'61s' is out of range; allowed is 100ms to 1m"},
    {"proxy_trust = 10.0.0.1/8", "'10.0.0.1/8' has bits set behind its prefix; write zeros "
                                 "there for the network, or no slash for the address"},
    {"proxy_trust = 10.0.0.0/33", "'10.0.0.0/33' has a wrong number behind its slash; write 0 "
                                  "to 32 there for IPv4 and 0 to 128 for IPv6"},
    {"proxy_trust = 10.0.0.0/", "'10.0.0.0/' has a wrong number behind its slash; write 0 to "
                                "32 there for IPv4 and 0 to 128 for IPv6"},
    {"proxy_trust = proxy.example", "'proxy.example' is not an address or network; write such "
                                    "as 10.0.0.0/8, 2001:db8::5"},
    {"proxy_trust = 10.0.0.1,", "the list has a comma too many; write an address or network, "
                                "such as 10.0.0.0/8, 2001:db8::5"},
    {"proxy_trust = ,10.0.0.1", "the list has a comma too many; write an address or network, "
                                "such as 10.0.0.0/8, 2001:db8::5"},
    {"proxy_trust = 10.0.0.1, ,10.0.0.2",
     "the list has a comma too many; write an address or network, such as 10.0.0.0/8, "
     "2001:db8::5"},
    {"proxy_trust = 10.0.0.1 10.0.0.2", "'10.0.0.1 10.0.0.2' has a blank in it; part addresses "
                                        "by commas, such as 10.0.0.0/8, 2001:db8::5"},
    {"proxy_trust = [::1]", "'[::1]' has brackets or a port; write the address alone, such as "
                            "10.0.0.0/8, 2001:db8::5"},
    {"proxy_trust = fe80::1%2", "'fe80::1%2' has a zone; write it without"},
    {"proxy_trust = 10.0.0.1, ::1, 10.0.0.1/32",
     "'10.0.0.1/32' is there twice; remove one of them"},
    {"proxy_trust = ::ffff:10.0.0.1, 10.0.0.1",
     "'10.0.0.1' is there twice; remove one of them"},
    {"source = 0.0.0.0", "'0.0.0.0' is every address; write one of this machine, or nothing to "
                         "leave it to the system"},
    {"source = 10.0.0.2, ::", "'::' is every address; write one of this machine, or nothing to "
                              "leave it to the system"},
    {"source = 10.0.0.2, 10.0.0.3,10.0.0.2", "'10.0.0.2' is there twice; remove one of them"},
    {"source = 10.0.0.2, ::ffff:10.0.0.2",
     "'::ffff:10.0.0.2' is there twice; remove one of them"},
    {"source = eth0", "'eth0' is not an IP address; write such as 10.0.0.2, 10.0.0.3"},
    {"source = 10.0.0.2:0",
     "'10.0.0.2:0' is not an IP address; write such as 10.0.0.2, 10.0.0.3"},
    {"source = 10.0.0.0/30",
     "'10.0.0.0/30' is not an IP address; write such as 10.0.0.2, 10.0.0.3"},
    {"source = [::1]:0", "'[::1]:0' has brackets or a port; write the address alone, such as "
                         "10.0.0.2, 10.0.0.3"},
    {"source = 10.0.0.2,,10.0.0.3", "the list has a comma too many; write an IP address, such "
                                    "as 10.0.0.2, 10.0.0.3"},
};

static void a_wrong_value_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_lines, COUNT(bad_lines));
}

#define NO_TRUST                                                                               \
    "proxy_protocol_in is on and proxy_trust is empty, so no header would be believed; write " \
    "the proxies' addresses, such as proxy_trust = 10.0.0.0/8\n"

static const struct bad_text without_trust[] = {
    {GOOD_ROUTE "proxy_protocol_in = required\n",
     "t.ini:4: [route r] proxy_protocol_in: " NO_TRUST},
    {GOOD_ROUTE "proxy_protocol_in = optional\nproxy_trust =\n",
     "t.ini:4: [route r] proxy_protocol_in: " NO_TRUST},
    {"[defaults]\nproxy_protocol_in = required\n" GOOD_ROUTE
     "[route s]\nlisten=:1\nupstream=h:1\n",
     "t.ini:2: [defaults] proxy_protocol_in: " NO_TRUST},
    {"[defaults]\nproxy_protocol_in = required\nproxy_trust = ::1\n" GOOD_ROUTE
     "proxy_trust =\n",
     "t.ini:7: [route r] proxy_trust: " NO_TRUST},
};

static void headers_that_nobody_is_believed_are_told_once(void **state)
{
    (void)state;
    assert_all_refused(without_trust, COUNT(without_trust));
    conf_free(load_good("[defaults]\nproxy_protocol_in = required\n" GOOD_ROUTE
                        "proxy_trust = ::1\n"));
}

static const struct bad_text refused_values[] = {
    {GOOD_ROUTE "proxy_protocol_in = required\nproxy_trust = x\n",
     "t.ini:5: [route r] proxy_trust: 'x' is not an address or network; write such as "
     "10.0.0.0/8, 2001:db8::5\n"},
    {GOOD_ROUTE "proxy_protocol_in = on\nproxy_trust = ::1\n",
     "t.ini:4: [route r] proxy_protocol_in: 'on' is not known; write off, optional or "
     "required\n"},
    {"[defaults]\nproxy_protocol_in = required\nproxy_trust = x\n" GOOD_ROUTE,
     "t.ini:3: [defaults] proxy_trust: 'x' is not an address or network; write such as "
     "10.0.0.0/8, 2001:db8::5\n"},
    {"[defaults]\nproxy_protocol_in = on\nproxy_trust = ::1\n" GOOD_ROUTE,
     "t.ini:2: [defaults] proxy_protocol_in: 'on' is not known; write off, optional or "
     "required\n"},
    {GOOD_ROUTE "source = 2001:db8::2\nupstream = h\n",
     "t.ini:5: [route r] upstream: 'h' has no port; write HOST:PORT, such as 10.0.0.5:7000\n"},
};

static void nothing_follows_from_a_value_that_was_refused(void **state)
{
    (void)state;
    assert_all_refused(refused_values, COUNT(refused_values));
}

#define NO_EFFECT                                                                              \
    "it has no effect while proxy_protocol_in is off; write proxy_protocol_in = required, or " \
    "remove it\n"

static void trust_without_headers_is_a_warning(void **state)
{
    (void)state;
    assert_warned(GOOD_ROUTE "proxy_trust = ::1\n",
                  "t.ini:4: warning: [route r] proxy_trust: " NO_EFFECT);
    assert_warned("[defaults]\nproxy_trust = ::1\n" GOOD_ROUTE,
                  "t.ini:2: warning: [defaults] proxy_trust: " NO_EFFECT);
    assert_warned("[defaults]\nproxy_trust = ::1\n" GOOD_ROUTE
                  "proxy_protocol_in = required\n[route s]\nlisten=:1\nupstream=h:1\n",
                  "");
    assert_warned(GOOD_ROUTE "proxy_trust =\n", "");
}

static void trust_is_dropped_where_headers_are_off(void **state)
{
    (void)state;
    struct conf *conf =
        load_good("[defaults]\nproxy_trust = ::1, ::2\n" GOOD_ROUTE
                  "proxy_protocol_in = required\n[route s]\nlisten=:1\nupstream=h:1\n");
    assert_int_equal(conf->routes[0].trust_count, 2);
    assert_int_equal(conf->routes[1].trust_count, 0);
    assert_null(conf->routes[1].trusts);
    assert_rewritten(conf);
    conf_free(conf);
}

/* ---- lists in [defaults] ---- */

static void every_route_gets_a_list_of_its_own(void **state)
{
    (void)state;
    struct conf *conf =
        load_good("[route a]\nlisten=:1\nupstream=h:1\n"
                  "[defaults]\nsource = 10.0.0.2, fe80::1%3\nproxy_trust = 10.0.0.0/8, ::1\n"
                  "proxy_protocol_in = optional\n"
                  "[route b]\nlisten=:2\nupstream=h:1\nsource =\nproxy_trust = 192.0.2.1\n"
                  "[route c]\nlisten=:3\nupstream=h:1\nsource = ::1\n");
    const struct conf_route *routes = conf->routes;
    assert_int_equal(routes[0].source_count, 2);
    assert_source(&routes[0], 0, "10.0.0.2");
    assert_source(&routes[0], 1, "fe80::1%3");
    assert_int_equal(routes[0].trust_count, 2);
    assert_int_equal(routes[1].source_count, 0);
    assert_int_equal(routes[1].trust_count, 1);
    assert_trust(&routes[1], 0, "192.0.2.1/32");
    assert_int_equal(routes[2].source_count, 1);
    assert_source(&routes[2], 0, "::1");
    assert_int_equal(routes[2].trust_count, 2);
    assert_trust(&routes[2], 1, "::1/128");
    assert_ptr_not_equal(routes[0].trusts, routes[2].trusts);
    assert_rewritten(conf);
    conf_free(conf);
}

static void a_list_given_twice_is_told_and_freed(void **state)
{
    (void)state;
    assert_refused(GOOD_ROUTE "source = 10.0.0.2\nsource = 10.0.0.3, 10.0.0.4\nsource = x\n",
                   "t.ini:5: [route r] source: given twice, the first time in line 4; remove "
                   "one of them\n"
                   "t.ini:6: [route r] source: given twice, the first time in line 4; remove "
                   "one of them\n"
                   "t.ini:6: [route r] source: 'x' is not an IP address; write such as "
                   "10.0.0.2, 10.0.0.3\n");
}

/* One spelling of a network may be longer than another. */
static void a_list_that_would_be_written_longer_than_a_line_is_refused(void **state)
{
    (void)state;
    struct str line;
    str_init(&line);
    str_add(&line, "proxy_protocol_in = required\nproxy_trust = 9.9.9.9");
    for (int i = 0; i < 66; ++i)
        str_addf(&line, ",10.0.0.%d", 100 + i);
    struct conf *conf = load_with(line.data);
    assert_int_equal(conf->routes[0].trust_count, 67);
    assert_rewritten(conf);
    conf_free(conf);

    str_clear(&line);
    str_add(&line, "proxy_trust = 9.9.9.9");
    for (int i = 0; i < 80; ++i)
        str_addf(&line, ",10.0.0.%d", 100 + i);
    const struct bad_line bad = {
        line.data, "written in full it has 1210 bytes; at most 1010 fit into a line"};
    assert_lines_refused(&bad, 1);
    str_free(&line);
}

/* ---- source and the families of the upstreams ---- */

static void sources_are_local_addresses_of_both_families(void **state)
{
    (void)state;
    struct conf *conf = load_good("[route r]\nlisten=:1\nupstream=[2001:db8::5]:1\n"
                                  "upstream=10.0.0.5:1\nsource=10.0.0.2 , 2001:DB8:0::2\n");
    assert_int_equal(conf->routes[0].source_count, 2);
    assert_source(&conf->routes[0], 0, "10.0.0.2");
    assert_source(&conf->routes[0], 1, "2001:db8::2");
    assert_rewritten(conf);
    conf_free(conf);
    assert_written("source = ", "source =");
    assert_written("source=::ffff:10.0.0.2", "source = 10.0.0.2");
}

static const struct bad_text bad_families[] = {
    {GOOD_ROUTE "source = 10.0.0.2, 2001:db8::2\n",
     "t.ini:4: [route r] source: 2001:db8::2 is IPv6 and all upstreams are IPv4; write an "
     "address of that family\n"},
    {"[route r]\nsource = 10.0.0.2\nlisten = :1\nupstream = [2001:db8::5]:1\n",
     "t.ini:2: [route r] source: 10.0.0.2 is IPv4 and all upstreams are IPv6; write an address "
     "of that family\n"},
};

static void a_source_that_reaches_no_upstream_is_told(void **state)
{
    (void)state;
    assert_all_refused(bad_families, COUNT(bad_families));
    /* A name may have addresses of both, and [defaults] is for routes of both. */
    conf_free(load_good(GOOD_ROUTE "upstream = h:1\nsource = 2001:db8::2\n"));
    conf_free(load_good("[defaults]\nsource = 10.0.0.2, 2001:db8::2\n" GOOD_ROUTE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_sent_and_nobody_believed_by_default),
        cmocka_unit_test(headers_of_both_versions_can_be_sent),
        cmocka_unit_test(headers_are_taken_from_a_list_of_networks),
        cmocka_unit_test(a_wrong_value_is_told_with_what_would_be_right),
        cmocka_unit_test(headers_that_nobody_is_believed_are_told_once),
        cmocka_unit_test(nothing_follows_from_a_value_that_was_refused),
        cmocka_unit_test(trust_without_headers_is_a_warning),
        cmocka_unit_test(trust_is_dropped_where_headers_are_off),
        cmocka_unit_test(every_route_gets_a_list_of_its_own),
        cmocka_unit_test(a_list_given_twice_is_told_and_freed),
        cmocka_unit_test(a_list_that_would_be_written_longer_than_a_line_is_refused),
        cmocka_unit_test(sources_are_local_addresses_of_both_families),
        cmocka_unit_test(a_source_that_reaches_no_upstream_is_told),
    };
    return cmocka_run_group_tests_name("config_proxy", tests, NULL, NULL);
}
