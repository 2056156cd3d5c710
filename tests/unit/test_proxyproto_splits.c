/* test_proxyproto_splits.c - a PROXY header means the same however it is cut into pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyproto_fixture.h"
#include "support/platform.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define X20 "xxxxxxxxxxxxxxxxxxxx"

static struct v2 v2; /* too large for a stack */

/* In two pieces, at every place; in pieces of one, two and three bytes. */
static void assert_same_in_all_pieces(const uint8_t *bytes, size_t len)
{
    struct outcome whole = parse_twice(bytes, len);
    for (size_t first = 0; first <= len; first++) {
        struct outcome outcome = parse_in_pieces(bytes, len, first, len);
        if (!outcome_equal(&outcome, &whole))
            fail_msg("cut at %zu of %zu: state %d", first, len, outcome.state);
    }
    for (size_t piece = 1; piece <= 3; piece++) {
        struct outcome outcome = parse_in_pieces(bytes, len, piece, piece);
        if (!outcome_equal(&outcome, &whole))
            fail_msg("pieces of %zu: state %d", piece, outcome.state);
    }
}

static void a_line_may_be_cut_anywhere(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\npayload",
        "PROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 0 65535\r\n",
        "PROXY UNKNOWN\r\nPROXY UNKNOWN\r\n",
        "PROXY UNKNOWN \r \n \r\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324 65536\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.2 56324 65536\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\r\n",
        "PROXY UNKNOWN " X20 X20 X20 X20 X20,
        "PROXI",
        "GET / HTTP/1.1\r\n",
        "\r\n\r\nhello",
    };
    for (size_t i = 0; i < COUNT(lines); i++)
        assert_same_in_all_pieces((const uint8_t *)lines[i], strlen(lines[i]));
}

static void a_binary_header_may_be_cut_anywhere(void **state)
{
    (void)state;
    struct addr source = address("2001:db8::1", 1);
    struct addr destination = address("2001:db8::2", 2);
    v2_begin(&v2, V2_PROXY, V2_TCP6);
    v2_add_addresses(&v2, &source, &destination);
    v2_add_tlv(&v2, V2_ID, "17", 2);
    size_t crc_at = v2_add_crc(&v2);
    v2_add_tlv(&v2, V2_NOOP, "", 0);
    assert_same_in_all_pieces(v2.bytes, v2.len); /* a wrong checksum */
    v2_seal(&v2, crc_at);
    assert_same_in_all_pieces(v2.bytes, v2.len);
    assert_same_in_all_pieces(v2.bytes, v2.len + 5); /* and payload */
    v2_add(&v2, "\x04\x00", 2);
    assert_same_in_all_pieces(v2.bytes, v2.len);

    v2_begin(&v2, V2_LOCAL, 0xFF);
    assert_same_in_all_pieces(v2.bytes, v2.len);
    v2_add_zeros(&v2, 300);
    assert_same_in_all_pieces(v2.bytes, v2.len);
    v2_begin(&v2, V2_PROXY, V2_UNIX);
    v2_add_zeros(&v2, 217);
    assert_same_in_all_pieces(v2.bytes, v2.len);
}

static void every_beginning_of_a_header_waits_for_more(const uint8_t *bytes, size_t len)
{
    struct feed feed = {.bytes = bytes};
    for (size_t end = 0; end < len; end++)
        assert_int_equal(feed_up_to(&feed, end).state, PROXYPROTO_MORE);
    assert_int_equal(feed_up_to(&feed, len).state, PROXYPROTO_HEADER);
}

static void random_headers_are_read_in_random_pieces(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 1);
    for (uint64_t n = test_scaled(20000); n > 0; n--) {
        char line[128];
        const uint8_t *bytes = v2.bytes;
        size_t len;
        if (random_chance(&random, 40)) {
            len = random_v1(line, &random);
            bytes = (const uint8_t *)line;
        } else {
            random_v2(&v2, &random, random_chance(&random, 5) ? V2_MAX : 600);
            len = v2.len;
        }
        struct outcome whole = parse_twice(bytes, len);
        assert_int_equal(whole.state, PROXYPROTO_HEADER);
        assert_int_equal(whole.consumed, len);
        every_beginning_of_a_header_waits_for_more(bytes, len);
        struct outcome outcome = parse_at_random(bytes, len, &random);
        assert_true(outcome_equal(&outcome, &whole));
    }
}

/* A byte or two of a good header become others: most are bad then, and how far it was good
 * must not depend on the pieces. */
static void changed_headers_are_judged_the_same_in_random_pieces(void **state)
{
    (void)state;
    static const char likely[] = "\r\n 0169:.fTCPUx%\x03\x04";
    struct random random;
    size_t seen[PROXYPROTO_BAD + 1] = {0};
    random_init(&random, random_test_seed(), 2);
    for (uint64_t n = test_scaled(50000); n > 0; n--) {
        char line[128];
        size_t len;
        if (random_chance(&random, 50)) {
            len = random_v1(line, &random);
            memcpy(v2.bytes, line, len);
        } else {
            random_v2(&v2, &random, 600);
            len = v2.len;
        }
        for (uint64_t change = random_between(&random, 1, 2); change > 0; change--)
            v2.bytes[random_below(&random, len)] =
                random_chance(&random, 60)
                    ? (uint8_t)likely[random_below(&random, sizeof likely - 1)]
                    : (uint8_t)random_next(&random);
        struct outcome whole = parse_twice(v2.bytes, len);
        struct outcome outcome = parse_at_random(v2.bytes, len, &random);
        assert_true(outcome_equal(&outcome, &whole));
        seen[whole.state]++;
    }
    for (size_t i = 0; i < COUNT(seen); i++)
        assert_true(seen[i] > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_may_be_cut_anywhere),
        cmocka_unit_test(a_binary_header_may_be_cut_anywhere),
        cmocka_unit_test(random_headers_are_read_in_random_pieces),
        cmocka_unit_test(changed_headers_are_judged_the_same_in_random_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
