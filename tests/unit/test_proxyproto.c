/* test_proxyproto.c - PROXY headers of version 1, and streams without a header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proxyproto_fixture.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What a good line is followed by: it must be left alone. */
#define PAYLOAD "\r\nGET / HTTP/1.1\r\n"

#define ALL_BITS "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"

static const char not_a_protocol[] =
    "PROXY is not followed by TCP4, TCP6 or UNKNOWN and one space each";
static const char not_ipv4[] = "behind TCP4 stand two IPv4 addresses, one space before each";
static const char not_ipv6[] = "behind TCP6 stand two IPv6 addresses, one space before each";
static const char not_ports[] =
    "the addresses are followed by two ports of 0 to 65535 without leading zeros, one space "
    "before each, and CR LF";
static const char not_lf[] = "the line ends with CR, it must end with CR LF";
static const char too_long[] = "the line has no CR LF within 107 bytes";

static struct outcome parse_text(const char *text)
{
    return parse_twice((const uint8_t *)text, strlen(text));
}

static void assert_addr(const struct addr *addr, const char *expected)
{
    char text[ADDR_TEXT_MAX];
    assert_string_equal(addr_format(addr, text), expected);
}

/* ---- headers ---- */

static void a_line_says_where_the_client_comes_from_and_where_it_went_to(void **state)
{
    (void)state;
    static const struct {
        const char *line, *source, *destination;
    } cases[] = {
        {"TCP4 192.0.2.1 198.51.100.2 56324 443", "192.0.2.1:56324", "198.51.100.2:443"},
        {"TCP4 0.0.0.0 255.255.255.255 0 65535", "0.0.0.0:0", "255.255.255.255:65535"},
        {"TCP4 1.2.3.4 5.6.7.8 1 10", "1.2.3.4:1", "5.6.7.8:10"},
        {"TCP6 2001:db8::1 2001:db8::2 56324 443", "[2001:db8::1]:56324", "[2001:db8::2]:443"},
        {"TCP6 :: ::1 0 65535", "[::]:0", "[::1]:65535"},
        {"TCP6 1:2:3:4:5:6:7:8 FE80::ABCD 1 2", "[1:2:3:4:5:6:7:8]:1", "[fe80::abcd]:2"},
        {"TCP6 0001:0000:0:0:0:0:0:0008 ::2:3:4:5:6:7:8 1 2", "[1::8]:1",
         "[0:2:3:4:5:6:7:8]:2"},
        {"TCP6 " ALL_BITS " " ALL_BITS " 65535 65535", "[" ALL_BITS "]:65535",
         "[" ALL_BITS "]:65535"},
        /* one player has one address everywhere */
        {"TCP6 ::ffff:192.0.2.1 ::ffff:c633:6402 7 8", "192.0.2.1:7", "198.51.100.2:8"},
        {"TCP6 0000:0000:0000:0000:0000:ffff:192.0.2.111 ::2 7 8", "192.0.2.111:7", "[::2]:8"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char line[256];
        int len = snprintf(line, sizeof line, "PROXY %s\r\n", cases[i].line);
        snprintf(line + len, sizeof line - (size_t)len, PAYLOAD);
        struct outcome outcome = parse_text(line);
        assert_int_equal(outcome.state, PROXYPROTO_HEADER);
        assert_int_equal(outcome.consumed, len);
        assert_false(outcome.local);
        assert_addr(&outcome.source, cases[i].source);
        assert_addr(&outcome.destination, cases[i].destination);
    }
}

static void unknown_means_the_connections_own_addresses(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "PROXY UNKNOWN\r\n",
        "PROXY UNKNOWN \r\n",
        "PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY UNKNOWN " ALL_BITS " " ALL_BITS " 65535 65535\r\n",
        "PROXY UNKNOWN TCP4  \t\x7f\x80\xff PROXY\r\n",
        "PROXY UNKNOWN a single \r or \n is no end\r\n",
        "PROXY UNKNOWN\r\r\r\n",
        "PROXY UNKNOWN\rx\r\n",
    };
    for (size_t i = 0; i < COUNT(lines); i++) {
        char line[256];
        snprintf(line, sizeof line, "%s" PAYLOAD, lines[i]);
        struct outcome outcome = parse_text(line);
        assert_int_equal(outcome.state, PROXYPROTO_HEADER);
        assert_int_equal(outcome.consumed, strlen(lines[i]));
        assert_true(outcome.local);
        assert_addr(&outcome.source, "-");
        assert_addr(&outcome.destination, "-");
    }
}

static void behind_unknown_a_zero_byte_is_ignored_too(void **state)
{
    (void)state;
    static const uint8_t line[] = "PROXY UNKNOWN a\0b\r\n";
    struct outcome outcome = parse_twice(line, sizeof line - 1);
    assert_int_equal(outcome.state, PROXYPROTO_HEADER);
    assert_int_equal(outcome.consumed, sizeof line - 1);
}

/* ---- the length of a line ---- */

/* "PROXY UNKNOWN xxx...", CR LF included. */
static struct outcome parse_unknown_of(size_t len)
{
    uint8_t line[200];
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    memcpy(line + len - 2, "\r\n", 2);
    return parse_twice(line, sizeof line);
}

static void a_line_has_107_bytes_at_most(void **state)
{
    (void)state;
    for (size_t len = 16; len <= 107; len++) {
        struct outcome outcome = parse_unknown_of(len);
        assert_int_equal(outcome.state, PROXYPROTO_HEADER);
        assert_int_equal(outcome.consumed, len);
    }
    for (size_t len = 108; len <= 120; len++) {
        struct outcome outcome = parse_unknown_of(len);
        assert_int_equal(outcome.state, PROXYPROTO_BAD);
        assert_string_equal(outcome.why, too_long);
        assert_int_equal(outcome.consumed, 107);
    }
}

static void without_a_line_end_106_bytes_wait_and_107_are_bad(void **state)
{
    (void)state;
    uint8_t line[107];
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(parse_twice(line, 106).state, PROXYPROTO_MORE);
    assert_int_equal(parse_twice(line, 107).state, PROXYPROTO_BAD);
    line[106] = '\r';
    assert_int_equal(parse_twice(line, 107).state, PROXYPROTO_BAD);
}

/* The mapped form of IPv6 is longer than the specification counts with, so that a line with
 * nothing else wrong in it can be too long. */
static void a_line_of_addresses_may_be_too_long_as_well(void **state)
{
    (void)state;
#define MAPPED_LINE(last_port)                                                                 \
    "PROXY TCP6 0000:0000:0000:0000:0000:ffff:1.2.3.4 "                                        \
    "0000:0000:0000:0000:0000:ffff:111.222.111.222 12345 " last_port "\r\n"
    const char *shorter = MAPPED_LINE("123");
    const char *longest = MAPPED_LINE("1234");
    assert_int_equal(strlen(shorter), 106);
    assert_int_equal(parse_text(shorter).state, PROXYPROTO_HEADER);
    assert_int_equal(strlen(longest), 107);
    assert_int_equal(parse_text(longest).state, PROXYPROTO_HEADER);
    struct outcome outcome = parse_text(MAPPED_LINE("12345"));
    assert_int_equal(outcome.state, PROXYPROTO_BAD);
    assert_int_equal(outcome.consumed, 107);
    assert_string_equal(outcome.why, too_long);
}

/* ---- what breaks the rules ---- */

/* The line up to its first wrong byte, and what comes behind it. */
static const struct {
    const char *up_to, *rest, *why;
} mistakes[] = {
    {"PROXYT", "CP4 1.2.3.4 5.6.7.8 1 2\r\n", not_a_protocol},
    {"PROXY\r", "\n", not_a_protocol},
    {"PROXY  ", "TCP4 1.2.3.4 5.6.7.8 1 2\r\n", not_a_protocol},
    {"PROXY\t", "TCP4 1.2.3.4 5.6.7.8 1 2\r\n", not_a_protocol},
    {"PROXY t", "cp4 1.2.3.4 5.6.7.8 1 2\r\n", not_a_protocol},
    {"PROXY TCP5", " 1.2.3.4 5.6.7.8 1 2\r\n", not_a_protocol},
    {"PROXY TCP ", "1.2.3.4 5.6.7.8 1 2\r\n", not_a_protocol},
    {"PROXY TCP44", " 1.2.3.4 5.6.7.8 1 2\r\n", not_a_protocol},
    {"PROXY TCP4\r", "\n", not_a_protocol},
    {"PROXY UD", "P4 1.2.3.4 5.6.7.8 1 2\r\n", not_a_protocol},
    {"PROXY UNKNOWNX", "\r\n", not_a_protocol},
    {"PROXY UNKNOWN\n", "\r\n", not_a_protocol},
    {"PROXY \r", "\n", not_a_protocol},

    {"PROXY TCP4  ", "1.2.3.4 5.6.7.8 1 2\r\n", not_ipv4},
    {"PROXY TCP4 1.2.3 ", "5.6.7.8 1 2\r\n", not_ipv4},
    {"PROXY TCP4 1.2.3.4.5 ", "5.6.7.8 1 2\r\n", not_ipv4},
    {"PROXY TCP4 1.2.3.256 ", "5.6.7.8 1 2\r\n", not_ipv4},
    {"PROXY TCP4 1.2.3.04 ", "5.6.7.8 1 2\r\n", not_ipv4},
    {"PROXY TCP4 1.2..4 ", "5.6.7.8 1 2\r\n", not_ipv4},
    {"PROXY TCP4 1.2.3.4  ", "5.6.7.8 1 2\r\n", not_ipv4},
    {"PROXY TCP4 1.2.3.4 5.6.7 ", "1 2\r\n", not_ipv4},
    {"PROXY TCP4 2001:", ":1 2001::2 1 2\r\n", not_ipv4},
    {"PROXY TCP4 1.2.3.4 :", ":2 1 2\r\n", not_ipv4},
    {"PROXY TCP4 l", "ocalhost 5.6.7.8 1 2\r\n", not_ipv4},
    {"PROXY TCP4 -", "1.2.3.4 5.6.7.8 1 2\r\n", not_ipv4},
    {"PROXY TCP4 1.2.3.4\r", "\n", not_ipv4},
    {"PROXY TCP4 1.2.3.4 5.6.7.8\r", "\n", not_ipv4},
    {"PROXY TCP4 0000000000000000000000000000000000000000000000", " 5.6.7.8 1 2\r\n", not_ipv4},

    {"PROXY TCP6 1.2.3.4 ", "5.6.7.8 1 2\r\n", not_ipv6},
    {"PROXY TCP6 ::1 5.6.7.8 ", "1 2\r\n", not_ipv6},
    {"PROXY TCP6  ", "::1 ::2 1 2\r\n", not_ipv6},
    {"PROXY TCP6 ::1  ", "::2 1 2\r\n", not_ipv6},
    {"PROXY TCP6 fe80::1%", "2 ::2 1 2\r\n", not_ipv6},
    {"PROXY TCP6 [", "::1] ::2 1 2\r\n", not_ipv6},
    {"PROXY TCP6 ::g", " ::2 1 2\r\n", not_ipv6},
    {"PROXY TCP6 1::2::3 ", "::2 1 2\r\n", not_ipv6},
    {"PROXY TCP6 1:2:3:4:5:6:7 ", "::2 1 2\r\n", not_ipv6},
    {"PROXY TCP6 1:2:3:4:5:6:7:8:9 ", "::2 1 2\r\n", not_ipv6},
    {"PROXY TCP6 1:2:3:4:5:6:7:8:: ", "::2 1 2\r\n", not_ipv6},
    {"PROXY TCP6 00000::1 ", "::2 1 2\r\n", not_ipv6},
    {"PROXY TCP6 ::1 ::ffff:1.2.3.04 ", "1 2\r\n", not_ipv6},
    {"PROXY TCP6 0000:0000:0000:0000:0000:0000:0000:0000:00000:", "0 ::2 1 2\r\n", not_ipv6},

    {"PROXY TCP4 1.2.3.4 5.6.7.8  ", "1 2\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1  ", "2\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 ", "\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1\r", "\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1 \r", "\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 65536", " 2\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536", "\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999", "\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1 655350", "\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 01", " 2\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1 00", "\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 -", "1 2\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 +", "1 2\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 0x", "1 2\r\n", not_ports},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2:", "\r\n", not_ports},
    {"PROXY TCP6 ::1 ::2 1 2x", "\r\n", not_ports},

    {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx", "\r\n", not_lf},
    {"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r", "\n", not_lf},
};

static void a_broken_rule_is_seen_at_its_first_wrong_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(mistakes); i++) {
        char line[256];
        size_t wrong = strlen(mistakes[i].up_to);
        snprintf(line, sizeof line, "%s%s", mistakes[i].up_to, mistakes[i].rest);
        struct outcome outcome = parse_text(line);
        if (outcome.state != PROXYPROTO_BAD || outcome.consumed != wrong)
            fail_msg("'%s': state %d at %zu", line, outcome.state, outcome.consumed);
        assert_string_equal(outcome.why, mistakes[i].why);
        assert_int_equal(read_as_a_whole((uint8_t *)line, strlen(line)).state, PROXYPROTO_BAD);
        assert_int_equal(parse((uint8_t *)line, wrong - 1).state, PROXYPROTO_MORE);
    }
}

static void a_zero_byte_is_wrong_anywhere_before_unknown(void **state)
{
    (void)state;
    static const char line[] = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n";
    for (size_t at = 5; at < strlen(line); at++) {
        char changed[sizeof line];
        memcpy(changed, line, sizeof line);
        changed[at] = '\0';
        struct outcome outcome = parse_twice((uint8_t *)changed, sizeof changed - 1);
        assert_int_equal(outcome.state, PROXYPROTO_BAD);
        assert_int_equal(outcome.consumed, at + 1);
    }
}

/* ---- streams without a header ---- */

static void a_byte_that_fits_neither_signature_means_there_is_no_header(void **state)
{
    (void)state;
    static const uint8_t v2[] = "\r\n\r\n\0\r\nQUIT\n";
    static const uint8_t v1[] = "PROXY";
    for (size_t at = 0; at < sizeof v2 - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t stream[16];
            memcpy(stream, v2, sizeof v2);
            stream[at] = (uint8_t)byte;
            bool fits = byte == v2[at] || (at == 0 && byte == v1[0]);
            assert_int_equal(parse_twice(stream, at + 1).state,
                             fits ? PROXYPROTO_MORE : PROXYPROTO_NONE);
        }
    }
    for (size_t at = 1; at < sizeof v1 - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            uint8_t stream[] = "PROXY";
            stream[at] = (uint8_t)byte;
            assert_int_equal(parse_twice(stream, at + 1).state,
                             byte == v1[at] ? PROXYPROTO_MORE : PROXYPROTO_NONE);
        }
    }
}

/* The stream as its owner gets it back: what earlier calls had taken, then the last call's. */
static size_t payload_of(const uint8_t *stream, size_t len, size_t first, uint8_t *payload)
{
    struct proxyproto_parser parser = {0};
    size_t used, taken;
    size_t last = 0; /* where the call begins that finds out */
    if (proxyproto_take(&parser, stream, first, &used) == PROXYPROTO_MORE) {
        last = first;
        proxyproto_take(&parser, stream + first, len - first, &used);
    }
    assert_int_equal(parser.state, PROXYPROTO_NONE);
    assert_int_equal(used, 0);
    const uint8_t *bytes = proxyproto_taken(&parser, &taken);
    assert_true(taken <= PROXYPROTO_TAKEN_MAX);
    memcpy(payload, bytes, taken);
    memcpy(payload + taken, stream + last, len - last);
    return taken + len - last;
}

static void without_a_header_nothing_is_lost(void **state)
{
    (void)state;
    static const uint8_t streams[][16] = {
        "GET / HTTP/1.1",       "PRO gamer",     "PROX!", "P",
        "\r\n\r\n\0\r\nQUIT\r", "\r\n\r\nhello", "\n",
    };
    for (size_t i = 0; i < COUNT(streams); i++) {
        for (size_t first = 0; first <= sizeof streams[i]; first++) {
            uint8_t payload[32];
            size_t len = payload_of(streams[i], sizeof streams[i], first, payload);
            assert_int_equal(len, sizeof streams[i]);
            assert_memory_equal(payload, streams[i], len);
        }
    }
}

/* The beginning of a stream that has `len` bytes, which come one by one. */
static void end_after(struct proxyproto_parser *parser, const uint8_t *stream, size_t len)
{
    *parser = (struct proxyproto_parser){0};
    for (size_t i = 0; i < len; i++) {
        size_t used;
        assert_int_equal(proxyproto_take(parser, stream + i, 1, &used), PROXYPROTO_MORE);
    }
    enum proxyproto_state end = proxyproto_end(parser);
    assert_int_equal(end, parser->state);
    assert_int_equal(proxyproto_end(parser), end);
}

static void a_stream_that_ends_within_a_signature_has_no_header(void **state)
{
    (void)state;
    static const struct {
        const uint8_t *signature;
        size_t len;
    } cases[] = {{(const uint8_t *)"PROXY", 5}, {(const uint8_t *)"\r\n\r\n\0\r\nQUIT\n", 12}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct proxyproto_parser parser;
        for (size_t len = 0; len < cases[i].len; len++) {
            size_t taken;
            end_after(&parser, cases[i].signature, len);
            assert_int_equal(parser.state, PROXYPROTO_NONE);
            assert_int_equal(parser.consumed, 0);
            const uint8_t *bytes = proxyproto_taken(&parser, &taken);
            assert_int_equal(taken, len);
            assert_memory_equal(bytes, cases[i].signature, len);
        }
        end_after(&parser, cases[i].signature, cases[i].len);
        assert_int_equal(parser.state, PROXYPROTO_BAD);
        assert_int_equal(parser.consumed, cases[i].len);
        assert_string_equal(parser.why, "the header is not complete");
    }
}

static void a_stream_that_ends_within_a_header_is_bad(void **state)
{
    (void)state;
    static const uint8_t line[] = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n";
    struct proxyproto_parser parser;
    for (size_t len = 5; len < sizeof line - 1; len++) {
        end_after(&parser, line, len);
        assert_int_equal(parser.state, PROXYPROTO_BAD);
    }
}

static void what_was_said_once_stays(void **state)
{
    (void)state;
    static const char *const streams[] = {"PROXY UNKNOWN\r\n", "PROXY TCP5", "PROX!"};
    static const enum proxyproto_state states[] = {PROXYPROTO_HEADER, PROXYPROTO_BAD,
                                                   PROXYPROTO_NONE};
    for (size_t i = 0; i < COUNT(streams); i++) {
        struct proxyproto_parser parser = {0};
        const uint8_t *stream = (const uint8_t *)streams[i];
        size_t used, taken;
        proxyproto_take(&parser, stream, 4, &used);
        assert_int_equal(used, 4);
        assert_int_equal(proxyproto_take(&parser, stream + 4, strlen(streams[i]) - 4, &used),
                         states[i]);
        struct outcome before = {.consumed = parser.consumed, .why = parser.why};
        assert_int_equal(proxyproto_take(&parser, (const uint8_t *)"PROXY", 5, &used),
                         states[i]);
        assert_int_equal(used, 0);
        assert_int_equal(parser.consumed, before.consumed);
        assert_ptr_equal(parser.why, before.why);
        assert_int_equal(proxyproto_end(&parser), states[i]);
        if (states[i] == PROXYPROTO_NONE) {
            proxyproto_taken(&parser, &taken);
            assert_int_equal(taken, 4);
        }
    }
}

static void no_bytes_change_nothing(void **state)
{
    (void)state;
    struct proxyproto_parser parser = {0};
    static const struct proxyproto_parser zero;
    size_t used = 7;
    assert_int_equal(proxyproto_take(&parser, NULL, 0, &used), PROXYPROTO_MORE);
    assert_int_equal(used, 0);
    assert_memory_equal(&parser, &zero, sizeof parser);
}

static void a_parser_is_as_small_as_it_says(void **state)
{
    (void)state;
    assert_true(sizeof(struct proxyproto_parser) <= 88);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_where_the_client_comes_from_and_where_it_went_to),
        cmocka_unit_test(unknown_means_the_connections_own_addresses),
        cmocka_unit_test(behind_unknown_a_zero_byte_is_ignored_too),
        cmocka_unit_test(a_line_has_107_bytes_at_most),
        cmocka_unit_test(without_a_line_end_106_bytes_wait_and_107_are_bad),
        cmocka_unit_test(a_line_of_addresses_may_be_too_long_as_well),
        cmocka_unit_test(a_broken_rule_is_seen_at_its_first_wrong_byte),
        cmocka_unit_test(a_zero_byte_is_wrong_anywhere_before_unknown),
        cmocka_unit_test(a_byte_that_fits_neither_signature_means_there_is_no_header),
        cmocka_unit_test(without_a_header_nothing_is_lost),
        cmocka_unit_test(a_stream_that_ends_within_a_signature_has_no_header),
        cmocka_unit_test(a_stream_that_ends_within_a_header_is_bad),
        cmocka_unit_test(what_was_said_once_stays),
        cmocka_unit_test(no_bytes_change_nothing),
        cmocka_unit_test(a_parser_is_as_small_as_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
