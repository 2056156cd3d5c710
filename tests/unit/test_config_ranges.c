/* test_config_ranges.c - listeners and upstreams of several ports. */
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

static void a_range_of_ports_is_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *written;
        unsigned port, count;
        bool dual_stack;
    } cases[] = {
        {"0.0.0.0:7000-7015", "0.0.0.0:7000-7015", 7000, 16, false},
        {"*:7000-7015", "*:7000-7015", 7000, 16, true},
        {":7000-7001", "*:7000-7001", 7000, 2, true},
        {"[::]:1-2", "*:1-2", 1, 2, true},
        {"[::1]:7000-7015", "[::1]:7000-7015", 7000, 16, false},
        {"[fe80::1%3]:80-81", "[fe80::1%3]:80-81", 80, 2, false},
        {"127.0.0.1:7000-7000", "127.0.0.1:7000", 7000, 1, false},
        {"127.0.0.1:65534-65535", "127.0.0.1:65534-65535", 65534, 2, false},
        {"127.0.0.1:1-20000", "127.0.0.1:1-20000", 1, 20000, false},
    };
    for (size_t i = 0; i < COUNT(cases); ++i) {
        char text[128];
        char written[128];
        struct str out;
        str_format(text, sizeof text, "[route r]\nlisten = %s\nupstream = h:1\n",
                   cases[i].text);
        str_format(written, sizeof written, "\nlisten = %s\n", cases[i].written);
        struct conf *conf = load_good(text);
        const struct conf_listen *listen = &conf->routes[0].listens[0];
        assert_int_equal(listen->addr.port, cases[i].port);
        assert_int_equal(listen->port_count, cases[i].count);
        assert_int_equal(listen->dual_stack, cases[i].dual_stack);
        str_init(&out);
        conf_write(conf, &out);
        assert_non_null(strstr(out.data, written));
        assert_rewritten(conf);
        str_free(&out);
        conf_free(conf);
    }
}

static void a_single_port_is_a_range_of_one(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE);
    assert_int_equal(conf->routes[0].listens[0].port_count, 1);
    assert_int_equal(conf->routes[0].upstreams[0].port_count, 1);
    conf_free(conf);
}

static const struct bad_line bad_ranges[] = {
    {"listen = *:7015-7000",
     "the ports of '*:7015-7000' end before they begin; write the lower one first"},
    {"listen = *:7000-", "the port of '*:7000-' is no number from 1 to 65535; write "
                         "ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen = *:-7000", "the port of '*:-7000' is no number from 1 to 65535; write "
                         "ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen = *:7000-65536", "the port of '*:7000-65536' is no number from 1 to 65535; write "
                              "ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen = *:0-5", "the port of '*:0-5' is no number from 1 to 65535; write ADDRESS:PORT, "
                       "such as 0.0.0.0:7777 or *:7777"},
    {"listen = *:1-2-3", "the port of '*:1-2-3' is no number from 1 to 65535; write "
                         "ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen = *:1-18446744073709551617",
     "the port of '*:1-18446744073709551617' is no number from 1 to 65535; write ADDRESS:PORT, "
     "such as 0.0.0.0:7777 or *:7777"},
    {"listen = 7000-7015", "'7000-7015' has no address; write ADDRESS:PORT, such as "
                           "0.0.0.0:7777 or *:7777"},
    {"listen = *:7000 - 7015",
     "'- 7015' behind the address is not known; only ADDRESS:PORT is allowed"},
    {"listen = ::1:1-2",
     "'::1:1-2' is an IPv6 address without brackets; write [ADDRESS]:PORT, such as "
     "[::1]:7777"},
    {"upstream = h:9015-9000",
     "the ports of 'h:9015-9000' end before they begin; write the lower one first"},
    {"upstream = h:9000-x",
     "the port of 'h:9000-x' is no number from 1 to 65535; write HOST:PORT, such as "
     "10.0.0.5:7000"},
};

static void a_range_that_is_none_is_told(void **state)
{
    (void)state;
    assert_lines_refused(bad_ranges, COUNT(bad_ranges));
}

static void an_upstream_has_as_many_ports_as_the_listeners_or_one(void **state)
{
    (void)state;
    struct conf *conf = load_good(
        "[route r]\nlisten = *:7000-7015\nlisten = 127.0.0.1:8000-8015\n"
        "upstream = 10.0.0.5:9000-9015\nupstream = Game-1.example:9000-9015 weight=2\n"
        "upstream = [2001:db8::5]:65520-65535\nupstream = 10.0.0.6:9000\n");
    const struct conf_upstream *upstreams = conf->routes[0].upstreams;
    assert_string_equal(upstreams[0].name, "10.0.0.5:9000-9015");
    assert_string_equal(upstreams[0].host, "10.0.0.5");
    assert_int_equal(upstreams[0].port, 9000);
    assert_int_equal(upstreams[0].port_count, 16);
    assert_string_equal(upstreams[1].name, "game-1.example:9000-9015");
    assert_int_equal(upstreams[1].weight, 2);
    assert_string_equal(upstreams[2].name, "[2001:db8::5]:65520-65535");
    assert_int_equal(upstreams[2].port_count, 16);
    assert_int_equal(upstreams[3].port_count, 1);
    assert_rewritten(conf);
    conf_free(conf);
}

static void the_longest_name_with_a_range_fits(void **state)
{
    (void)state;
    char text[512];
    char host[254];
    memset(host, 'a', 253);
    host[63] = host[127] = host[191] = '.';
    host[253] = '\0';
    str_format(text, sizeof text, "[route r]\nlisten=:10000-19999\nupstream=%s:55536-65535\n",
               host);
    struct conf *conf = load_good(text);
    assert_int_equal(strlen(conf->routes[0].upstreams[0].name), 253 + 12);
    assert_rewritten(conf);
    conf_free(conf);
}

static const struct bad_text lengths[] = {
    {"[route r]\nlisten = *:7000-7007\nupstream = 10.0.0.5:9000-9015\n",
     "t.ini:3: [route r] upstream: 10.0.0.5:9000-9015 has 16 ports and *:7000-7007 in line 2 "
     "has 8; write ranges of the same length, or one port that all lead to\n"},
    {"[route r]\nlisten = *:7000\nupstream = h:9000-9001\n",
     "t.ini:3: [route r] upstream: h:9000-9001 has 2 ports and *:7000 in line 2 has 1; write "
     "ranges of the same length, or one port that all lead to\n"},
    {"[route r]\nlisten = *:7000-7001\nlisten = *:8000-8002\nupstream = h:9000-9001\n"
     "upstream = h:9000-9002\n",
     "t.ini:4: [route r] upstream: h:9000-9001 has 2 ports and *:8000-8002 in line 3 has 3; "
     "write ranges of the same length, or one port that all lead to\n"
     "t.ini:5: [route r] upstream: h:9000-9002 has 3 ports and *:7000-7001 in line 2 has 2; "
     "write ranges of the same length, or one port that all lead to\n"},
};

static void ranges_of_different_length_are_told(void **state)
{
    (void)state;
    assert_all_refused(lengths, COUNT(lengths));
}

static const struct bad_text overlaps[] = {
    {"[route a]\nlisten = *:7000-7015\nupstream = h:1\n"
     "[route b]\nlisten = *:7000-7015\nupstream = h:1\n",
     "t.ini:5: [route b] listen: *:7000-7015 is taken by [route a] in line 2; each address can "
     "be there once\n"},
    {"[route a]\nlisten = 10.0.0.1:7000-7015\nlisten = 10.0.0.1:7015-7020\nupstream = h:1\n",
     "t.ini:3: [route a] listen: 10.0.0.1:7015-7020 and 10.0.0.1:7000-7015 of [route a] in "
     "line "
     "2 have the port 7015 in common; use different ports, or only addresses that differ\n"},
    {"[route a]\nlisten = 10.0.0.1:7000-7015\nlisten = 0.0.0.0:6000-7003\nupstream = h:1\n",
     "t.ini:3: [route a] listen: 0.0.0.0:6000-7003 and 10.0.0.1:7000-7015 of [route a] in line "
     "2 have the ports 7000-7003 in common; use different ports, or only addresses that "
     "differ\n"},
    {"[route a]\nlisten = *:7000-7015\nlisten = 10.0.0.1:7005\nupstream = h:1\n",
     "t.ini:3: [route a] listen: 10.0.0.1:7005 and *:7000-7015 of [route a] in line 2 have the "
     "port 7005 in common; use different ports, or only addresses that differ (*:PORT and "
     "[::]:PORT are IPv4 too)\n"},
    {"[route a]\nlisten = *:7000-7015\nlisten = 10.0.0.1:7000-7015\nupstream = h:1\n",
     "t.ini:3: [route a] listen: 10.0.0.1:7000-7015 and *:7000-7015 of [route a] in line 2 "
     "include each other; use different ports, or only addresses that differ (*:PORT and "
     "[::]:PORT are IPv4 too)\n"},
};

static void ranges_with_a_port_in_common_are_told(void **state)
{
    (void)state;
    assert_all_refused(overlaps, COUNT(overlaps));
}

static void ranges_side_by_side_or_on_other_addresses_are_fine(void **state)
{
    (void)state;
    conf_free(load_good("[route a]\nlisten=*:1000-1999\nlisten=*:2000-2999\nlisten=*:999\n"
                        "listen=10.0.0.1:3000-3010\nlisten=10.0.0.2:3000-3010\n"
                        "listen=[::1]:3005-3020\nlisten=0.0.0.0:3011-3020\nupstream=h:1\n"));
}

static const struct bad_text circles[] = {
    {"[route a]\nlisten = *:7000-7015\nupstream = 127.0.0.1:7015\n",
     "t.ini:3: [route a] upstream: 127.0.0.1:7015 is the route's own listener of line 2, "
     "sessions would go in a circle; write the game server's address\n"},
    {"[route a]\nlisten = 10.0.0.1:7000-7015\nupstream = 10.0.0.1:7015-7030\n",
     "t.ini:3: [route a] upstream: 10.0.0.1:7015-7030 is the route's own listener of line 2, "
     "sessions would go in a circle; write the game server's address\n"},
    {"[route a]\nlisten = 10.0.0.1:7000-7015\nupstream = 10.0.0.1:6985-7000\n",
     "t.ini:3: [route a] upstream: 10.0.0.1:6985-7000 is the route's own listener of line 2, "
     "sessions would go in a circle; write the game server's address\n"},
};

static void an_upstream_range_that_meets_a_listener_is_told(void **state)
{
    (void)state;
    assert_all_refused(circles, COUNT(circles));
    conf_free(load_good("[route a]\nlisten = *:7000-7015\nupstream = 127.0.0.1:7016-7031\n"
                        "upstream = [::1]:6984-6999\nupstream = 10.0.0.1:7000-7015\n"));
}

static void twenty_thousand_ports_in_all_are_the_most(void **state)
{
    (void)state;
    conf_free(load_good("[route a]\nlisten=127.0.0.1:1-12000\nupstream=h:1\n"
                        "[route b]\nlisten=127.0.0.1:12001-20000\nupstream=h:1\n"));
    assert_refused(
        "[route a]\nlisten=127.0.0.1:1-12000\nupstream=h:1\n"
        "[route b]\nlisten=127.0.0.1:12001-20000\nlisten=:20001\nupstream=h:1\n",
        "t.ini:6: [route b] listen: with this line there are 20001 ports in all, and "
        "20000 is the most; write a smaller range\n");
    assert_refused(
        "[route a]\nlisten=:1-65535\nupstream=h:1\n",
        "t.ini:2: [route a] listen: with this line there are 65535 ports in all, and "
        "20000 is the most; write a smaller range\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_of_ports_is_read_and_written),
        cmocka_unit_test(a_single_port_is_a_range_of_one),
        cmocka_unit_test(a_range_that_is_none_is_told),
        cmocka_unit_test(an_upstream_has_as_many_ports_as_the_listeners_or_one),
        cmocka_unit_test(the_longest_name_with_a_range_fits),
        cmocka_unit_test(ranges_of_different_length_are_told),
        cmocka_unit_test(ranges_with_a_port_in_common_are_told),
        cmocka_unit_test(ranges_side_by_side_or_on_other_addresses_are_fine),
        cmocka_unit_test(an_upstream_range_that_meets_a_listener_is_told),
        cmocka_unit_test(twenty_thousand_ports_in_all_are_the_most),
    };
    return cmocka_run_group_tests_name("config_ranges", tests, NULL, NULL);
}
