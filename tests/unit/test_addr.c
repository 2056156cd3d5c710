#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct addr parsed(const char *text)
{
    struct addr addr;
    memset(&addr, 0xEE, sizeof addr);
    if (addr_parse_ip(text, &addr) != ERR_OK)
        fail_msg("'%s' is not read", text);
    return addr;
}

static struct addr with_port(const char *text, uint16_t port)
{
    struct addr addr = parsed(text);
    addr.port = port;
    return addr;
}

/* ---- reading ---- */

static void ipv4_is_four_decimal_numbers(void **state)
{
    (void)state;
    struct addr addr = parsed("192.0.2.255");
    const struct addr expected = {.family = ADDR_IPV4, .ip = {192, 0, 2, 255}};
    assert_memory_equal(&addr, &expected, sizeof addr);
    addr = parsed("255.255.255.255");
    assert_int_equal(addr.ip[0] & addr.ip[1] & addr.ip[2] & addr.ip[3], 255);
}

static void ipv6_is_read_in_all_its_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint8_t ip[16];
        uint32_t scope;
    } cases[] = {
        {"::", {0}, 0},
        {"::1", {[15] = 1}, 0},
        {"1::", {[1] = 1}, 0},
        {"1:2:3:4:5:6:7:8", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}, 0},
        {"0001:0002:0003:0004:0005:0006:0007:0008",
         {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8},
         0},
        {"1:2:3:4:5:6:7::", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7}, 0},
        {"::2:3:4:5:6:7:8", {0, 0, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8}, 0},
        {"1:2:3::5:6:7:8", {0, 1, 0, 2, 0, 3, 0, 0, 0, 5, 0, 6, 0, 7, 0, 8}, 0},
        {"2001:DB8::aBcD", {0x20, 0x01, 0x0d, 0xb8, [14] = 0xab, 0xcd}, 0},
        {"::AF:09af", {[13] = 0xaf, 9, 0xaf}, 0},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
         0},
        {"::ffff:1.2.3.4", {[10] = 255, 255, 1, 2, 3, 4}, 0},
        {"::1.2.3.4", {[12] = 1, 2, 3, 4}, 0},
        {"64:ff9b::192.0.2.33", {0, 0x64, 0xff, 0x9b, [12] = 192, 0, 2, 33}, 0},
        {"1:2:3:4:5:6:7.8.9.10", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 7, 8, 9, 10}, 0},
        {"1:2:3:4:5::7.8.9.10", {0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 0, 7, 8, 9, 10}, 0},
        {"fe80::1%2", {0xfe, 0x80, [15] = 1}, 2},
        {"fe80::1%4294967295", {0xfe, 0x80, [15] = 1}, 4294967295u},
        {"fe80::1%0", {0xfe, 0x80, [15] = 1}, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct addr expected = {.family = ADDR_IPV6, .scope = cases[i].scope};
        memcpy(expected.ip, cases[i].ip, sizeof expected.ip);
        struct addr addr = parsed(cases[i].text);
        assert_memory_equal(&addr, &expected, sizeof addr);
    }
}

static void what_is_no_address_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "localhost",
        "1",
        "10.1",
        "1.2.3",
        "1.2.3.",
        ".1.2.3",
        "1.2.3.4.",
        "1.2.3.4.5",
        "1..2.3",
        "256.0.0.1",
        "1.2.3.256",
        "1.2.3.999999999999999999999",
        "010.0.0.1",
        "1.2.3.04",
        "00.0.0.0",
        "0x7f.0.0.1",
        "0x7f.1",
        "2130706433",
        "1.2.3.4 ",
        " 1.2.3.4",
        "+1.2.3.4",
        "-1.2.3.4",
        "1.2.3.4%1",
        "1.2.3.4:80",
        "1.2.3.a",
        ":",
        ":::",
        "::1::",
        "1::2::3",
        "1:::2",
        ":1",
        "1:",
        "::1:",
        ":1::",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:",
        ":2:3:4:5:6:7:8",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "1:2:3:4::5:6:7:8",
        "12345::",
        "00001::",
        "g::",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1:2:3:4:5:6:7:8:1.2.3.4",
        "::1.2.3",
        "::1.2.3.4.5",
        "::1.2.3.256",
        "::01.2.3.4",
        "::1.2.3.4:5",
        "1.2.3.4::",
        "::ffff:1.2.3.4:",
        "[::1]",
        "::1 ",
        " ::1",
        "::1%",
        "::1%eth0",
        "::1%-1",
        "::1%4294967296",
        "::1%99999999999999999999999",
        "::1%1%2",
        "%1",
        "1:2:3:4:5:6:7:8:1:2:3:4:5:6:7:8:1:2:3:4:5:6:7:8:1:2:3:4:5:6:7:8:1:2:3:4:5:6:7:8",
        "::0000000000000000000000000000000000000000000000000000000000000000000000000001",
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct addr addr;
        struct addr before;
        memset(&addr, 0xEE, sizeof addr);
        memset(&before, 0xEE, sizeof before);
        if (addr_parse_ip(bad[i], &addr) != ERR_INVALID)
            fail_msg("'%s' is read", bad[i]);
        assert_memory_equal(&addr, &before, sizeof addr);
    }
}

/* ---- writing ---- */

static void addresses_are_written_as_rfc_5952_says(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"0:0:0:0:0:0:0:0", "::"},
        {"2001:DB8:0:0:0:0:2:1", "2001:db8::2:1"},        /* 4.2.1, 4.3 */
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* 4.2.2: one group is no run */
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* 4.2.3: the longest run */
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* 4.2.3: the first of equals */
        {"0:0:1:0:0:0:0:0", "0:0:1::"},
        {"0:0:0:0:1:0:0:0", "::1:0:0:0"},
        {"1:0:0:0:0:0:0:8", "1::8"},
        {"0:1:0:1:0:1:0:1", "0:1:0:1:0:1:0:1"},
        {"1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"},
        {"0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"},
        {"0001:00ab:0abc:abcd::", "1:ab:abc:abcd::"},
        {"::ffff:c000:221", "::ffff:192.0.2.33"}, /* 5 */
        {"::ffff:0:0", "::ffff:0.0.0.0"},
        {"::fffe:c000:221", "::fffe:c000:221"},
        {"::102:304", "::102:304"},
        {"fe80::1%7", "fe80::1%7"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295"},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        char text[ADDR_TEXT_MAX];
        struct addr addr = parsed(texts[i][0]);
        assert_ptr_equal(addr_format_ip(&addr, text), text);
        assert_string_equal(text, texts[i][1]);
    }
}

static void ports_follow_and_ipv6_stands_in_brackets(void **state)
{
    (void)state;
    char text[ADDR_TEXT_MAX];
    struct addr addr = with_port("10.0.0.5", 7000);
    assert_ptr_equal(addr_format(&addr, text), text);
    assert_string_equal(text, "10.0.0.5:7000");
    addr = with_port("10.0.0.5", 0);
    assert_string_equal(addr_format(&addr, text), "10.0.0.5:0");
    addr = with_port("::1", 7000);
    assert_string_equal(addr_format(&addr, text), "[::1]:7000");
    addr = with_port("fe80::1%3", 65535);
    assert_string_equal(addr_format(&addr, text), "[fe80::1%3]:65535");
    addr = with_port("::ffff:1.2.3.4", 1);
    assert_string_equal(addr_format(&addr, text), "[::ffff:1.2.3.4]:1");
}

static void no_address_is_a_dash(void **state)
{
    (void)state;
    char text[ADDR_TEXT_MAX];
    const struct addr none = {.port = 80};
    assert_string_equal(addr_format(&none, text), "-");
    assert_string_equal(addr_format_ip(&none, text), "-");
}

static void the_longest_text_fits(void **state)
{
    (void)state;
    char text[ADDR_TEXT_MAX];
    struct addr addr = with_port("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295", 65535);
    assert_string_equal(addr_format(&addr, text),
                        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
    assert_true(strlen(text) < ADDR_TEXT_MAX);
}

/* Random addresses, most of whose groups are zero so that runs of every place and length occur.
 * What is written must be read as the same address, without a shorter way to say it. */
static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 1);
    for (int i = 0; i < 20000; i++) {
        struct addr addr = {.family = random_chance(&random, 20) ? ADDR_IPV4 : ADDR_IPV6};
        size_t bytes = addr.family == ADDR_IPV4 ? 4 : 16;
        for (size_t b = 0; b < bytes; b++)
            addr.ip[b] = random_chance(&random, 75) ? 0 : (uint8_t)random_next(&random);
        if (addr.family == ADDR_IPV6 && random_chance(&random, 10)) {
            memset(addr.ip, 0, 10);
            memset(addr.ip + 10, 0xFF, 2);
        }
        if (addr.family == ADDR_IPV6 && random_chance(&random, 20))
            addr.scope = (uint32_t)random_next(&random);

        char text[ADDR_TEXT_MAX];
        struct addr back = parsed(addr_format_ip(&addr, text));
        assert_memory_equal(&back, &addr, sizeof addr);
        if (strstr(text, "::") == NULL)
            assert_null(strstr(text, ":0:0"));

        addr.port = (uint16_t)random_next(&random);
        char host[ADDR_TEXT_MAX];
        uint16_t port;
        addr_format(&addr, text);
        assert_int_equal(addr_split(text, true, host, sizeof host, &port), ERR_OK);
        assert_int_equal(port, addr.port);
        back = with_port(host, port);
        assert_true(addr_equal(&back, &addr));
    }
}

/* Whatever the bytes, reading ends and gives an address only for a text that says one. */
static void mangled_addresses_do_no_harm(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789abcdefABCDEF:::::....%[]gx ";
    struct random random;
    random_init(&random, random_test_seed(), 2);
    for (int i = 0; i < 50000; i++) {
        char text[24];
        size_t len = (size_t)random_below(&random, sizeof text);
        for (size_t c = 0; c < len; c++)
            text[c] = alphabet[random_below(&random, sizeof alphabet - 1)];
        text[len] = '\0';

        struct addr addr;
        char host[16];
        uint16_t port;
        addr_split(text, true, host, sizeof host, &port);
        if (addr_parse_ip(text, &addr) != ERR_OK)
            continue;
        char formatted[ADDR_TEXT_MAX];
        struct addr again = parsed(addr_format_ip(&addr, formatted));
        assert_memory_equal(&again, &addr, sizeof addr);
    }
}

/* ---- splitting ---- */

static void host_and_port_are_split(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
    } cases[] = {
        {"10.0.0.5:7000", "10.0.0.5", 7000},
        {"game.example.org:1", "game.example.org", 1},
        {"[::1]:7000", "::1", 7000},
        {"[fe80::1%2]:80", "fe80::1%2", 80},
        {"[::]:65535", "::", 65535},
        {"[::ffff:1.2.3.4]:5", "::ffff:1.2.3.4", 5},
        {":7777", "", 7777},
        {"*:7777", "", 7777},
        {"a:007", "a", 7},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char host[32];
        uint16_t port = 0;
        assert_int_equal(addr_split(cases[i].text, false, host, sizeof host, &port), ERR_OK);
        assert_string_equal(host, cases[i].host);
        assert_int_equal(port, cases[i].port);
    }
}

static void expect_no_split(const char *text, bool zero_ok, size_t size, enum err expected)
{
    char host[32] = "untouched";
    uint16_t port = 4711;
    enum err err = addr_split(text, zero_ok, host, size, &port);
    if (err != expected)
        fail_msg("'%s': %s instead of %s", text, err_word(err), err_word(expected));
    assert_string_equal(host, "untouched");
    assert_int_equal(port, 4711);
}

static void a_bad_host_part_is_invalid(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "host",         "7777",      "::1",       "::1:80",    "fe80::1%2:80",
        "a:b:80",     "[]:80",        "[::1]",     "[::1]80",   "[::1:80",   "::1]:80",
        "[[::1]]:80", "[1.2.3.4]:80", "[host]:80", "[::1]x:80", "x[::1]:80", "**:80x:1",
        "x::1]:80",   "[abc:80",      "abc]:80",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_no_split(bad[i], true, 32, ERR_INVALID);
}

static void a_bad_port_is_out_of_range(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "host:",    "host:x",
        "host:80x", "host: 80",
        "host:80 ", "host:-1",
        "host:+80", "host:65536",
        "host:1e3", "host:0x50",
        "[::1]:",   ":",
        "*:",       "host:18446744073709551617",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        expect_no_split(bad[i], true, 32, ERR_RANGE);
}

static void port_zero_is_taken_only_when_asked_for(void **state)
{
    (void)state;
    char host[32];
    uint16_t port = 4711;
    expect_no_split("host:0", false, 32, ERR_RANGE);
    assert_int_equal(addr_split("host:0", true, host, sizeof host, &port), ERR_OK);
    assert_int_equal(port, 0);
}

static void a_host_that_does_not_fit_is_invalid(void **state)
{
    (void)state;
    char host[5];
    uint16_t port;
    assert_int_equal(addr_split("abcd:1", false, host, sizeof host, &port), ERR_OK);
    assert_string_equal(host, "abcd");
    expect_no_split("abcde:1", false, 5, ERR_INVALID);
    assert_int_equal(addr_split("[::12]:1", false, host, sizeof host, &port), ERR_OK);
    assert_string_equal(host, "::12");
    expect_no_split("[::123]:1", false, 5, ERR_INVALID);
    assert_int_equal(addr_split("*:1", false, host, 1, &port), ERR_OK);
    assert_string_equal(host, "");
}

/* ---- comparing ---- */

static void mapped_addresses_become_ipv4(void **state)
{
    (void)state;
    struct addr addr = with_port("::ffff:192.0.2.1%4", 77);
    addr_normalise(&addr);
    struct addr expected = with_port("192.0.2.1", 77);
    assert_memory_equal(&addr, &expected, sizeof addr);
}

static void other_addresses_stay_as_they_are(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "192.0.2.1", "::1", "::192.0.2.1", "::", "::fffe:1.2.3.4", "1::ffff:1.2.3.4"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct addr before = with_port(texts[i], 77);
        struct addr addr = before;
        addr_normalise(&addr);
        assert_memory_equal(&addr, &before, sizeof addr);
    }
    struct addr none = {0};
    addr_normalise(&none);
    assert_int_equal(none.family, ADDR_NONE);
}

static void addresses_differ_in_every_part(void **state)
{
    (void)state;
    const struct addr addr = with_port("fe80::1%2", 80);
    struct addr other = addr;
    assert_true(addr_equal(&addr, &other));
    other.port = 81;
    assert_false(addr_equal(&addr, &other));
    other = with_port("fe80::1%3", 80);
    assert_false(addr_equal(&addr, &other));
    other = with_port("fe80::2%2", 80);
    assert_false(addr_equal(&addr, &other));
    const struct addr ipv4 = with_port("0.0.0.0", 80);
    const struct addr ipv6 = with_port("::", 80);
    assert_false(addr_equal(&ipv4, &ipv6));
}

static void any_is_all_zeros_of_a_family(void **state)
{
    (void)state;
    static const char *const others[] = {"0.0.0.1", "1.0.0.0", "::1", "1::", "::ffff:0.0.0.0"};
    struct addr addr = with_port("0.0.0.0", 80);
    assert_true(addr_is_any(&addr));
    addr = with_port("::", 80);
    assert_true(addr_is_any(&addr));
    for (size_t i = 0; i < COUNT(others); i++) {
        addr = parsed(others[i]);
        assert_false(addr_is_any(&addr));
    }
    addr = (struct addr){0};
    assert_false(addr_is_any(&addr));
}

static void loopback_is_a_whole_net_of_ipv4(void **state)
{
    (void)state;
    static const char *const loopback[] = {"127.0.0.1", "127.255.255.254", "127.0.0.0", "::1"};
    static const char *const others[] = {
        "126.255.255.255", "128.0.0.1", "0.0.0.0", "::", "::2", "1::1", "7f00:1::"};
    struct addr addr;
    for (size_t i = 0; i < COUNT(loopback); i++) {
        addr = with_port(loopback[i], 80);
        assert_true(addr_is_loopback(&addr));
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        addr = with_port(others[i], 80);
        assert_false(addr_is_loopback(&addr));
    }
    addr = (struct addr){.ip = {127, 0, 0, 1}};
    assert_false(addr_is_loopback(&addr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4_is_four_decimal_numbers),
        cmocka_unit_test(ipv6_is_read_in_all_its_forms),
        cmocka_unit_test(what_is_no_address_is_refused_and_changes_nothing),
        cmocka_unit_test(addresses_are_written_as_rfc_5952_says),
        cmocka_unit_test(ports_follow_and_ipv6_stands_in_brackets),
        cmocka_unit_test(no_address_is_a_dash),
        cmocka_unit_test(the_longest_text_fits),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(mangled_addresses_do_no_harm),
        cmocka_unit_test(host_and_port_are_split),
        cmocka_unit_test(a_bad_host_part_is_invalid),
        cmocka_unit_test(a_bad_port_is_out_of_range),
        cmocka_unit_test(port_zero_is_taken_only_when_asked_for),
        cmocka_unit_test(a_host_that_does_not_fit_is_invalid),
        cmocka_unit_test(mapped_addresses_become_ipv4),
        cmocka_unit_test(other_addresses_stay_as_they_are),
        cmocka_unit_test(addresses_differ_in_every_part),
        cmocka_unit_test(any_is_all_zeros_of_a_family),
        cmocka_unit_test(loopback_is_a_whole_net_of_ipv4),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
