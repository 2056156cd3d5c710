/* test_config_values.c - wrong values: what is said about each kind of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "config/value/keys.h"
#include "config_text.h"

static const struct {
    const char *section;
    const char *line;
    const char *message; /* behind "FILE:LINE: [SECTION] KEY: " */
} values[] = {
    {"[relay]", "stop_timeout = 5",
     "'5' has no unit; write it with one, such as 30s (units: ms s m h d; allowed: 0 to 1d)"},
    {"[relay]", "stop_timeout = 5 sec",
     "'5 sec' has an unknown unit; write a known one, such as 30s (units: ms s m h d; allowed: "
     "0 to 1d)"},
    {"[relay]", "stop_timeout = 5 s",
     "'5 s' has a blank before its unit; write it without, such as 30s (units: ms s m h d; "
     "allowed: 0 to 1d)"},
    {"[relay]", "stop_timeout = 5sec",
     "'5sec' has an unknown unit; write a known one, such as 30s (units: ms s m h d; allowed: "
     "0 to 1d)"},
    {"[relay]", "stop_timeout = 1.5s",
     "'1.5s' is not a whole number; write it in a smaller unit, such as 30s (units: ms s m h "
     "d; allowed: 0 to 1d)"},
    {"[relay]", "stop_timeout = soon",
     "'soon' is not a duration; write a number with its unit, such as 30s (units: ms s m h d; "
     "allowed: 0 to 1d)"},
    {"[relay]", "stop_timeout = -5s", "'-5s' is out of range; allowed is 0 to 1d"},
    {"[relay]", "stop_timeout = 1h30m", "'1h30m' has several units; write it in one: 90m"},
    {"[relay]", "max_sessions = -5", "'-5' is out of range; allowed is 1 to 1000000"},
    {"[relay]", "stop_timeout = \"5m\"",
     "'\"5m\"' stands in quotation marks; write it without"},
    {"[relay]", "stop_timeout = 25h", "'25h' is out of range; allowed is 0 to 1d"},
    {"[relay]", "stop_timeout = 99999999999999999999s",
     "'99999999999999999999s' is out of range; allowed is 0 to 1d"},
    {"[relay]", "stop_timeout = 18446744073709551615d",
     "'18446744073709551615d' is out of range; allowed is 0 to 1d"},
    {"[relay]", "stop_timeout =", "there is no value; the default is 30s"},
    {"[relay]", "workers = many", "'many' is not a number; write auto, or 1 to 256"},
    {"[relay]", "workers = 257", "'257' is out of range; allowed is auto, or 1 to 256"},
    {"[relay]", "workers = 2s", "'2s' is not a number; write auto, or 1 to 256"},
    {"[relay]", "max_sessions = 0", "'0' is out of range; allowed is 1 to 1000000"},
    {"[relay]", "max_sessions = 1000001", "'1000001' is out of range; allowed is 1 to 1000000"},
    {"[relay]", "max_sessions = 99999999999999999999",
     "'99999999999999999999' is out of range; allowed is 1 to 1000000"},
    {"[relay]", "max_sessions = 10k", "'10k' is not a number; write 1 to 1000000"},
    {"[relay]", "max_sessions = 0x10", "'0x10' is not a number; write 1 to 1000000"},
    {"[relay]", "log_level = verbose",
     "'verbose' is not known; write error, warning, notice, info or debug"},
    {"[relay]", "log_file = \"a b.log\"",
     "'\"a b.log\"' begins with a quotation mark, which would be part of it; write it without"},
    {"[relay]", "log_file=#x", "'#x' begins like a comment; choose another name"},
    {"[console]", "listen = 127.0.0.1:80", "'127.0.0.1:80' is not known; write local or none"},
    {"[console]", "name =", "there is no value; the default is pairport"},
    {"[defaults]", "idle_timeout = 31d",
     "'31d' is out of range; allowed is off, or 10ms to 30d"},
    {"[defaults]", "idle_timeout = 9ms",
     "'9ms' is out of range; allowed is off, or 10ms to 30d"},
    {"[defaults]", "idle_timeout = never",
     "'never' is not a duration; write a number with its unit, such as 10m (units: ms s m h d; "
     "allowed: off, or 10ms to 30d)"},
    {"[defaults]", "keepalive = 500ms", "'500ms' is out of range; allowed is off, or 1s to 9h"},
    {"[defaults]", "nodelay = maybe", "'maybe' is neither yes nor no; write one of them"},
    {"[defaults]", "buffer_size = 16",
     "'16' has no unit; write it with one, such as 512KB (units: B KB MB GB; allowed: 4KB to "
     "1MB)"},
    {"[defaults]", "buffer_size = 16 KB",
     "'16 KB' has a blank before its unit; write it without, such as 512KB (units: B KB MB GB; "
     "allowed: 4KB to 1MB)"},
    {"[defaults]", "buffer_size = 16K",
     "'16K' has an unknown unit; write a known one, such as 512KB (units: B KB MB GB; allowed: "
     "4KB to 1MB)"},
    {"[defaults]", "buffer_size = 0", "'0' is out of range; allowed is 4KB to 1MB"},
    {"[defaults]", "buffer_size = 2MB", "'2MB' is out of range; allowed is 4KB to 1MB"},
    {"[defaults]", "buffer_size = big",
     "'big' is not a size; write a number with its unit, such as 512KB (units: B KB MB GB; "
     "allowed: 4KB to 1MB)"},
};

static void a_wrong_value_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; ++i) {
        char text[512];
        char expected[512];
        str_format(text, sizeof text, "%s\n%s\n%s", values[i].section, values[i].line,
                   GOOD_ROUTE);
        str_format(expected, sizeof expected, "t.ini:2: %s %.*s: %s\n", values[i].section,
                   (int)strcspn(values[i].line, " ="), values[i].line, values[i].message);
        assert_refused(text, expected);
    }
}

static const struct {
    const char *line;
    const char *message;
} addresses[] = {
    {"listen = 7777",
     "'7777' has no address; write ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen = 10.0.0.1",
     "'10.0.0.1' has no port; write ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen = 10.0.0.1:0", "the port of '10.0.0.1:0' is no number from 1 to 65535; write "
                            "ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen = 10.0.0.1:65536", "the port of '10.0.0.1:65536' is no number from 1 to 65535; "
                                "write ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen = 10.0.0.1:http", "the port of '10.0.0.1:http' is no number from 1 to 65535; "
                               "write ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen = 10.0.0.1:", "the port of '10.0.0.1:' is no number from 1 to 65535; write "
                           "ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen = localhost:7777", "'localhost' is not an IP address; write one of this machine "
                                "with its port, such as 0.0.0.0:7777 or *:7777"},
    {"listen = 10.0.0.256:7777", "'10.0.0.256' is not an IP address; write one of this machine "
                                 "with its port, such as 0.0.0.0:7777 or *:7777"},
    {"listen = fe80::1:7777", "'fe80::1:7777' is an IPv6 address without brackets; write "
                              "[ADDRESS]:PORT, such as [::1]:7777"},
    {"listen = ::1",
     "'::1' is an IPv6 address without brackets; write [ADDRESS]:PORT, such as [::1]:7777"},
    {"listen = [::1",
     "'[::1' has no closing bracket; write [ADDRESS]:PORT, such as [::1]:7777"},
    {"listen = [::1]", "'[::1]' has no port; write [ADDRESS]:PORT, such as [::1]:7777"},
    {"listen = [fe80::1%eth0]:7777",
     "in the brackets of '[fe80::1%eth0]:7777' stands no IPv6 address; write such as "
     "[2001:db8::5]:7777 (a zone is a number: [fe80::1%2]:7777)"},
    {"listen = [10.0.0.1]:7777",
     "in the brackets of '[10.0.0.1]:7777' stands no IPv6 address; write such as "
     "[2001:db8::5]:7777 (a zone is a number: [fe80::1%2]:7777)"},
    {"listen = a[::1]:7777",
     "'a[::1]:7777' is not ADDRESS:PORT; write it such as 0.0.0.0:7777 or *:7777"},
    {"listen = *:7777 backlog=5",
     "'backlog=5' behind the address is not known; only ADDRESS:PORT is allowed"},
    {"listen = *:7777, *:7778",
     "'*:7777, *:7778' looks like a list; write a line of its own for each ADDRESS:PORT"},
    {"listen = tcp://0.0.0.0:7777",
     "'tcp://0.0.0.0:7777' is a URL; write ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"listen =", "there is no value; write ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777"},
    {"upstream = 10.0.0.5:7000,10.0.0.6:7000",
     "'10.0.0.5:7000,10.0.0.6:7000' looks like a list; write a line of its own for each "
     "HOST:PORT"},
    {"upstream = 10.0.0.5", "'10.0.0.5' has no port; write HOST:PORT, such as 10.0.0.5:7000"},
    {"upstream = :7000", "':7000' has no host; write HOST:PORT, such as 10.0.0.5:7000"},
    {"upstream = *:7000", "'*:7000' has no host; write HOST:PORT, such as 10.0.0.5:7000"},
    {"upstream = 0.0.0.0:7000",
     "'0.0.0.0' is no address to connect to; this machine's own is 127.0.0.1 or [::1]"},
    {"upstream = [::]:7000",
     "'::' is no address to connect to; this machine's own is 127.0.0.1 or [::1]"},
    {"upstream = [lobby]:7000",
     "in the brackets of '[lobby]:7000' stands no IPv6 address; write such as "
     "[2001:db8::5]:7777 (a zone is a number: [fe80::1%2]:7777)"},
    {"upstream = lob/by:7000",
     "the host name 'lob/by' holds '/'; it may have letters, digits, '-', '_' and '.'"},
    {"upstream = löbby:7000",
     "the host name 'löbby' holds a letter that is not ASCII; write it in its xn-- form"},
    {"upstream = -lobby:7000", "'-lobby' is not a host name; each part between dots has 1 to "
                               "63 characters and no '-' at its ends"},
    {"upstream = a..b:7000", "'a..b' is not a host name; each part between dots has 1 to 63 "
                             "characters and no '-' at its ends"},
    {"upstream = 10.0.1:7000", "'10.0.1' is neither an IP address nor a host name; an IPv4 "
                               "address has four numbers from 0 to 255, such as 10.0.0.5"},
    {"upstream = 10.0.0.256:7000",
     "'10.0.0.256' is neither an IP address nor a host name; an IPv4 address has four numbers "
     "from 0 to 255, such as 10.0.0.5"},
    {"upstream = 0x7f000001:7000",
     "'0x7f000001' is neither an IP address nor a host name; an IPv4 address has four numbers "
     "from 0 to 255, such as 10.0.0.5"},
    {"upstream = http://10.0.0.5:7000/",
     "'http://10.0.0.5:7000/' is a URL; write HOST:PORT, such as 10.0.0.5:7000"},
    {"upstream = lobby:7000x", "the port of 'lobby:7000x' is no number from 1 to 65535; write "
                               "HOST:PORT, such as 10.0.0.5:7000"},
    {"upstream =", "there is no value; write HOST:PORT, such as 10.0.0.5:7000"},
};

static void a_wrong_address_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; ++i) {
        char text[512];
        char expected[512];
        bool is_listen = strncmp(addresses[i].line, "listen", 6) == 0;
        str_format(text, sizeof text, "[route r]\n%s\n%s\n", addresses[i].line,
                   is_listen ? "upstream = h:1" : "listen = :1");
        str_format(expected, sizeof expected, "t.ini:2: [route r] %s: %s\n",
                   is_listen ? "listen" : "upstream", addresses[i].message);
        assert_refused(text, expected);
    }
}

static void a_value_too_long_for_its_place_is_told(void **state)
{
    (void)state;
    char text[2048];
    char long_name[512];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';

    str_format(text, sizeof text, "[console]\nname = %.256s\n%s", long_name, GOOD_ROUTE);
    assert_refused(text,
                   "t.ini:2: [console] name: "
                   "'nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn...' "
                   "has 256 bytes; at most 255 are possible\n");
    str_format(text, sizeof text, "[console]\nname = %.255s\n%s", long_name, GOOD_ROUTE);
    conf_free(load_good(text));
}

static void a_host_name_too_long_is_told(void **state)
{
    (void)state;
    static const size_t lengths[] = {254, 255, 256, 300, 1000};
    char host[1001];
    char text[2048];
    memset(host, 'a', sizeof host - 1);
    for (size_t i = 50; i < sizeof host; i += 50)
        host[i] = '.';
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; ++i) {
        str_format(text, sizeof text, "[route r]\nlisten = :1\nupstream = %.*s:7000\n",
                   (int)lengths[i], host);
        assert_refused(
            text, "t.ini:3: [route r] upstream: "
                  "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaa...' "
                  "is too long; a host name has at most 253 characters\n");
    }
}

static void a_part_of_a_host_name_has_at_most_63_characters(void **state)
{
    (void)state;
    char label[65];
    char text[256];
    memset(label, 'a', 64);
    label[64] = '\0';
    str_format(text, sizeof text, "[route r]\nlisten = :1\nupstream = %.63s:1\n", label);
    conf_free(load_good(text));
    str_format(text, sizeof text, "[route r]\nlisten = :1\nupstream = %s:1\n", label);
    assert_refused(text,
                   "t.ini:3: [route r] upstream: "
                   "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' "
                   "is not a host name; each part between dots has 1 to 63 characters and "
                   "no '-' at its ends\n");
}

/* The ends of each range, in the unit that the key is written in. */
static void a_number_may_be_at_both_ends_of_its_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_count; ++i) {
        const struct key *key = &keys[i];
        const char *unit = key->type == KEY_DURATION ? "ms" : key->type == KEY_SIZE ? "B" : "";
        if (key->type != KEY_COUNT && key->type != KEY_WORKERS && key->type != KEY_DURATION &&
            key->type != KEY_SIZE)
            continue;
        const char *section =
            key->section == KEY_ROUTE ? "[defaults]" : key_section_word(key->section);
        /* Room for every route limit below it, which else is a warning. */
        const char *room = strcmp(key->name, "max_sessions") == 0 && key->section == KEY_ROUTE
                               ? "[relay]\nmax_sessions=1000000\n"
                               : "";
        if (strcmp(key->name, "client_table") == 0) { /* nor more sessions than it holds */
            room = "[defaults]\nmax_sessions=1\n";
            section = "[relay]\nmax_sessions=1";
        }
        for (int end = 0; end <= 1; ++end) {
            char text[256];
            str_format(text, sizeof text, "%s%s\n%s = %llu%s\n%s", room, section, key->name,
                       (unsigned long long)(end == 0 ? key->min : key->max), unit, GOOD_ROUTE);
            conf_free(load_good(text));
        }
    }
}

static void a_number_beyond_its_range_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_count; ++i) {
        const struct key *key = &keys[i];
        const char *unit = key->type == KEY_DURATION ? "ms" : key->type == KEY_SIZE ? "B" : "";
        if (key->type != KEY_COUNT && key->type != KEY_WORKERS && key->type != KEY_DURATION &&
            key->type != KEY_SIZE)
            continue;
        const char *section =
            key->section == KEY_ROUTE ? "[defaults]" : key_section_word(key->section);
        const unsigned long long beyond[] = {key->max + 1, key->min - 1};
        /* Nothing is below 0, and 0 has a word where it is below the range. */
        size_t count = key->min == 0 || (key->min == 1 && key->zero != NULL) ? 1 : 2;
        for (size_t j = 0; j < count; ++j) {
            char text[256];
            struct conf *conf = NULL;
            struct str messages;
            str_init(&messages);
            str_format(text, sizeof text, "%s\n%s = %llu%s\n%s", section, key->name, beyond[j],
                       unit, GOOD_ROUTE);
            assert_int_equal(conf_load_text("t.ini", text, strlen(text), &conf, &messages),
                             ERR_INVALID);
            assert_non_null(strstr(messages.data, "is out of range; allowed is "));
            str_free(&messages);
        }
    }
}

static void a_zero_may_be_written_as_its_word_or_as_a_digit(void **state)
{
    (void)state;
    static const char *const words[] = {"off", "0", "0s"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; ++i) {
        char text[256];
        str_format(text, sizeof text, "[defaults]\nkeepalive=%s\nidle_timeout=%s\n%s", words[i],
                   words[i], GOOD_ROUTE);
        struct conf *conf = load_good(text);
        assert_int_equal(conf->routes[0].keepalive_idle_ms, 0);
        assert_int_equal(conf->routes[0].idle_timeout_ms, 0);
        conf_free(conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_value_is_told_with_what_would_be_right),
        cmocka_unit_test(a_wrong_address_is_told_with_what_would_be_right),
        cmocka_unit_test(a_value_too_long_for_its_place_is_told),
        cmocka_unit_test(a_host_name_too_long_is_told),
        cmocka_unit_test(a_part_of_a_host_name_has_at_most_63_characters),
        cmocka_unit_test(a_number_may_be_at_both_ends_of_its_range),
        cmocka_unit_test(a_number_beyond_its_range_is_refused),
        cmocka_unit_test(a_zero_may_be_written_as_its_word_or_as_a_digit),
    };
    return cmocka_run_group_tests_name("config_values", tests, NULL, NULL);
}
