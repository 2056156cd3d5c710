/* test_config_check.c - lines that are right by themselves and wrong together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "config_text.h"

static const struct bad_text missing[] = {
    {"[route a]\n",
     "t.ini:1: [route a] has no listen; add a line such as 'listen = *:7777'\n"
     "t.ini:1: [route a] has no upstream; add a line such as 'upstream = 10.0.0.5:7000'\n"},
    {"[route a]\nlisten = :1\n",
     "t.ini:1: [route a] has no upstream; add a line such as 'upstream = 10.0.0.5:7000'\n"},
    {"[route a]\nupstream = h:1\n",
     "t.ini:1: [route a] has no listen; add a line such as 'listen = *:7777'\n"},
    {"[route a]\nupstream = h\nlisten = x\n",
     "t.ini:2: [route a] upstream: 'h' has no port; write HOST:PORT, such as 10.0.0.5:7000\n"
     "t.ini:3: [route a] listen: 'x' has no port; write ADDRESS:PORT, such as 0.0.0.0:7777 or "
     "*:7777\n"},
};

static void a_route_without_its_addresses_is_told(void **state)
{
    (void)state;
    assert_all_refused(missing, sizeof missing / sizeof missing[0]);
}

static const struct bad_text overlaps[] = {
    {"[route a]\nlisten = *:7777\nupstream = h:1\n[route b]\nlisten = *:7777\nupstream = h:1\n",
     "t.ini:5: [route b] listen: *:7777 is taken by [route a] in line 2; each address can be "
     "there once\n"},
    {"[route a]\nlisten = [::]:7777\nupstream = h:1\n[route b]\nlisten = :7777\nupstream = "
     "h:1\n",
     "t.ini:5: [route b] listen: :7777 is taken by [route a] in line 2, as [::]:7777; each "
     "address can be there once\n"},
    {"[route a]\nlisten = 10.0.0.1:7777\nupstream = h:1\n[route b]\nlisten = "
     "[::ffff:10.0.0.1]:7777\nupstream = h:1\n",
     "t.ini:5: [route b] listen: [::ffff:10.0.0.1]:7777 is taken by [route a] in line 2, as "
     "10.0.0.1:7777; each address can be there once\n"},
    {"[route a]\nlisten = [::1]:7777\nupstream = h:1\n[route b]\nlisten = "
     "[0::0:1]:7777\nupstream = h:1\n",
     "t.ini:5: [route b] listen: [0::0:1]:7777 is taken by [route a] in line 2, as "
     "[::1]:7777; each address can be there once\n"},
    {"[route a]\nlisten = 0.0.0.0:7777\nupstream = h:1\n[route b]\nlisten = "
     "0.0.0.0:7777\nupstream = h:1\n",
     "t.ini:5: [route b] listen: 0.0.0.0:7777 is taken by [route a] in line 2; each address "
     "can be there once\n"},
    {"[route a]\nlisten = *:7777\nupstream = h:1\n[route b]\nlisten = 0.0.0.0:7777\nupstream = "
     "h:1\n",
     "t.ini:5: [route b] listen: 0.0.0.0:7777 and *:7777 of [route a] in line 2 include each "
     "other; use different ports, or only addresses that differ (*:PORT and [::]:PORT are IPv4 "
     "too)\n"},
    {"[route a]\nlisten = 127.0.0.1:7777\nupstream = h:1\n[route b]\nlisten = *:7777\nupstream "
     "= h:1\n",
     "t.ini:5: [route b] listen: *:7777 and 127.0.0.1:7777 of [route a] in line 2 include each "
     "other; use different ports, or only addresses that differ (*:PORT and [::]:PORT are IPv4 "
     "too)\n"},
    {"[route a]\nlisten = *:7777\nupstream = h:1\n[route b]\nlisten = [::1]:7777\nupstream = "
     "h:1\n",
     "t.ini:5: [route b] listen: [::1]:7777 and *:7777 of [route a] in line 2 include each "
     "other; use different ports, or only addresses that differ (*:PORT and [::]:PORT are IPv4 "
     "too)\n"},
    {"[route a]\nlisten = 0.0.0.0:7777\nupstream = h:1\n[route b]\nlisten = "
     "127.0.0.1:7777\nupstream = h:1\n",
     "t.ini:5: [route b] listen: 127.0.0.1:7777 and 0.0.0.0:7777 of [route a] in line 2 "
     "include each other; use different ports, or only addresses that differ\n"},
    {"[route a]\nlisten = 10.0.0.1:7777\nupstream = h:1\n[route b]\nlisten = "
     "0.0.0.0:7777\nupstream = h:1\n",
     "t.ini:5: [route b] listen: 0.0.0.0:7777 and 10.0.0.1:7777 of [route a] in line 2 include "
     "each other; use different ports, or only addresses that differ\n"},
    {"[route a]\nlisten = :1\nlisten = :2\nlisten = :1\nupstream = h:1\n",
     "t.ini:4: [route a] listen: :1 is taken by [route a] in line 2; each address can be "
     "there once\n"},
};

static void listeners_that_get_in_each_others_way_are_told(void **state)
{
    (void)state;
    assert_all_refused(overlaps, sizeof overlaps / sizeof overlaps[0]);
}

static void listeners_that_differ_in_port_address_or_family_are_fine(void **state)
{
    (void)state;
    conf_free(load_good("[route a]\nlisten=0.0.0.0:1\nlisten=[::1]:1\nlisten=[2001:db8::1]:1\n"
                        "listen=*:2\nlisten=127.0.0.1:3\nlisten=127.0.0.2:3\nlisten=[::1]:3\n"
                        "listen=[fe80::1%2]:3\nlisten=[fe80::1%3]:3\nupstream=h:1\n"));
}

static const struct bad_text bad_upstreams[] = {
    {"[route a]\nlisten = :1\nupstream = Game:1\nupstream = 10.0.0.1:1\nupstream = "
     "game:1\nupstream = [::ffff:10.0.0.1]:1\n",
     "t.ini:5: [route a] upstream: game:1 stands in line 3 already; remove one of them\n"
     "t.ini:6: [route a] upstream: 10.0.0.1:1 stands in line 4 already; remove one of them\n"},
    {"[route a]\nlisten = *:1\nupstream = 127.0.0.1:1\n",
     "t.ini:3: [route a] upstream: 127.0.0.1:1 is the route's own listener of line 2, sessions "
     "would go in a circle; write the game server's address\n"},
    {"[route a]\nlisten = *:1\nupstream = [::1]:1\n",
     "t.ini:3: [route a] upstream: [::1]:1 is the route's own listener of line 2, sessions "
     "would go in a circle; write the game server's address\n"},
    {"[route a]\nlisten = *:1\nupstream = localhost:1\n",
     "t.ini:3: [route a] upstream: localhost:1 is the route's own listener of line 2, sessions "
     "would go in a circle; write the game server's address\n"},
    {"[route a]\nlisten = *:1\nupstream = 127.9.9.9:1\n",
     "t.ini:3: [route a] upstream: 127.9.9.9:1 is the route's own listener of line 2, sessions "
     "would go in a circle; write the game server's address\n"},
    {"[route a]\nlisten = 0.0.0.0:1\nupstream = 127.0.0.1:1\n",
     "t.ini:3: [route a] upstream: 127.0.0.1:1 is the route's own listener of line 2, sessions "
     "would go in a circle; write the game server's address\n"},
    {"[route a]\nlisten = 127.0.0.1:1\nupstream = 127.0.0.1:1\n",
     "t.ini:3: [route a] upstream: 127.0.0.1:1 is the route's own listener of line 2, sessions "
     "would go in a circle; write the game server's address\n"},
    {"[route a]\nlisten = 127.0.0.1:1\nupstream = localhost:1\n",
     "t.ini:3: [route a] upstream: localhost:1 is the route's own listener of line 2, sessions "
     "would go in a circle; write the game server's address\n"},
    {"[route a]\nlisten = 127.0.0.1:1\nupstream = 127.0.0.1:2\n"
     "[route b]\nlisten = *:2\nupstream = localhost:1\n",
     "t.ini:3: [route a] upstream: 127.0.0.1:2 is a listener of line 5, and sessions would go "
     "in "
     "a circle: a -> b -> a; write the game server's address\n"},
    {"[route in]\nlisten = *:9\nupstream = 127.0.0.1:1\n"
     "[route a]\nlisten = *:1\nupstream = 127.0.0.1:2\nupstream = 10.0.0.1:2\n"
     "[route b]\nlisten = *:2\nupstream = 127.0.0.1:3\n"
     "[route c]\nlisten = [::1]:3\nlisten = 127.0.0.1:3\nupstream = [::1]:1\n",
     "t.ini:6: [route a] upstream: 127.0.0.1:2 is a listener of line 9, and sessions would go "
     "in "
     "a circle: a -> b -> c -> a; write the game server's address\n"},
    {"[route a]\nlisten = 10.0.0.1:1\nupstream = 10.0.0.1:1\n",
     "t.ini:3: [route a] upstream: 10.0.0.1:1 is the route's own listener of line 2, sessions "
     "would go in a circle; write the game server's address\n"},
    {"[route a]\nlisten = [2001:db8::1]:1\nupstream = [2001:db8:0::1]:1\n",
     "t.ini:3: [route a] upstream: [2001:db8::1]:1 is the route's own listener of line 2, "
     "sessions would go in a circle; write the game server's address\n"},
};

static void repeated_and_circular_upstreams_are_told(void **state)
{
    (void)state;
    assert_all_refused(bad_upstreams, sizeof bad_upstreams / sizeof bad_upstreams[0]);
}

static void an_upstream_may_be_another_port_address_or_route_of_this_machine(void **state)
{
    (void)state;
    conf_free(
        load_good("[route a]\nlisten=*:1\nupstream=127.0.0.1:2\nupstream=10.0.0.1:1\n"
                  "upstream=server:1\n"
                  "[route b]\nlisten=127.0.0.1:2\nupstream=[::1]:2\nupstream=127.0.0.2:2\n"
                  "[route c]\nlisten=0.0.0.0:3\nupstream=[::1]:3\nupstream=127.0.0.1:4\n"
                  "[route d]\nlisten=*:4\nupstream=127.0.0.1:1\n"));
}

static void a_written_limit_that_cannot_be_reached_is_a_warning(void **state)
{
    (void)state;
    assert_warned(GOOD_ROUTE "max_sessions = 101\n[relay]\nmax_sessions = 100\n",
                  "t.ini:4: warning: [route r] max_sessions: 101 can't be reached, [relay] "
                  "max_sessions is 100; raise that one or lower this one\n");
    assert_warned("[defaults]\nmax_sessions = 10001\n" GOOD_ROUTE,
                  "t.ini:2: warning: [defaults] max_sessions: 10001 can't be reached, [relay] "
                  "max_sessions is 10000; raise that one or lower this one\n");
    assert_warned("[relay]\nmax_sessions = 100\n" GOOD_ROUTE, "");
    assert_warned("[relay]\nmax_sessions = 100\n" GOOD_ROUTE "max_sessions = auto\n", "");
    assert_warned("[relay]\nmax_sessions = 100\n" GOOD_ROUTE "max_sessions = 100\n", "");
}

static void a_route_leaves_room_for_others_unless_it_says_how_much(void **state)
{
    (void)state;
    struct conf *conf = load_good("[relay]\nmax_sessions = 100\n" GOOD_ROUTE);
    assert_int_equal(conf->routes[0].max_sessions, 100);
    conf_free(conf);
    conf = load_good("[relay]\nmax_sessions = 100\n" GOOD_ROUTE
                     "[route s]\nlisten=:1\nupstream=h:1\nmax_sessions = 100\n");
    assert_int_equal(conf->routes[0].max_sessions, 90);
    assert_int_equal(conf->routes[1].max_sessions, 100);
    conf_free(conf);
}

static void warnings_stand_between_the_mistakes(void **state)
{
    (void)state;
    assert_refused(
        "[relay]\nworkers = x\n" GOOD_ROUTE "max_sessions = 20000\nnodelay = x\n",
        "t.ini:2: [relay] workers: 'x' is not a number; write auto, or 1 to 256\n"
        "t.ini:6: warning: [route r] max_sessions: 20000 can't be reached, [relay] "
        "max_sessions is 10000; raise that one or lower this one\n"
        "t.ini:7: [route r] nodelay: 'x' is neither yes nor no; write one of them\n");
}

static void too_many_of_anything_is_told_once_or_a_line(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    for (int i = 1; i <= 1026; ++i)
        str_addf(&text, "[route r%d]\nlisten=:%d\nupstream=h:1\n", i, i);
    assert_refused(text.data, "t.ini:3073: there are more than 1024 routes; remove some\n");

    str_clear(&text);
    str_add(&text, "[route r]\nlisten=:1\n");
    for (int i = 1; i <= 258; ++i)
        str_addf(&text, "upstream=h:%d\n", i);
    assert_refused(text.data,
                   "t.ini:259: [route r] upstream: the route has 256 already, which is "
                   "the most; remove some\n"
                   "t.ini:260: [route r] upstream: the route has 256 already, which is "
                   "the most; remove some\n");

    str_clear(&text);
    str_add(&text, "[route r]\nupstream=h:1\n");
    for (int i = 1; i <= 4097; ++i)
        str_addf(&text, "listen=:%d\n", i);
    assert_refused(text.data,
                   "t.ini:4099: [route r] listen: there are 4096 in all already, which "
                   "is the most; remove some\n");
    str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_without_its_addresses_is_told),
        cmocka_unit_test(listeners_that_get_in_each_others_way_are_told),
        cmocka_unit_test(listeners_that_differ_in_port_address_or_family_are_fine),
        cmocka_unit_test(repeated_and_circular_upstreams_are_told),
        cmocka_unit_test(an_upstream_may_be_another_port_address_or_route_of_this_machine),
        cmocka_unit_test(a_written_limit_that_cannot_be_reached_is_a_warning),
        cmocka_unit_test(a_route_leaves_room_for_others_unless_it_says_how_much),
        cmocka_unit_test(warnings_stand_between_the_mistakes),
        cmocka_unit_test(too_many_of_anything_is_told_once_or_a_line),
    };
    return cmocka_run_group_tests_name("config_check", tests, NULL, NULL);
}
