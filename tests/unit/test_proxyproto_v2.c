/* test_proxyproto_v2.c - PROXY headers of version 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxyproto_fixture.h"
#include "relay/proxyproto/crc32c.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define HAS_IPV4 (V2_HEAD + 12) /* bytes of a header with addresses and nothing else */
#define HAS_UNIX (V2_HEAD + 216)

static const char too_short[] = "the header is too short for the addresses of its family";
static const char cut_tlv[] = "the header ends within the type and length of a TLV";
static const char long_tlv[] = "a TLV is longer than what is left of the header";
static const char wrong_crc[] = "the checksum is wrong";

static struct v2 v2; /* too large for a stack; every test begins it again */

static void begin_ipv4(void)
{
    struct addr source = address("192.0.2.1", 56324);
    struct addr destination = address("198.51.100.2", 443);
    v2_begin(&v2, V2_PROXY, V2_TCP4);
    v2_add_addresses(&v2, &source, &destination);
}

static struct outcome parse_v2(void)
{
    return parse_twice(v2.bytes, v2.len);
}

static void assert_addr(const struct addr *addr, const char *expected)
{
    char text[ADDR_TEXT_MAX];
    assert_string_equal(addr_format(addr, text), expected);
}

static void assert_ends(const char *source, const char *destination)
{
    struct outcome outcome = parse_v2();
    assert_int_equal(outcome.state, PROXYPROTO_HEADER);
    assert_int_equal(outcome.consumed, v2.len);
    assert_false(outcome.local);
    assert_addr(&outcome.source, source);
    assert_addr(&outcome.destination, destination);
}

static void assert_local(void)
{
    struct outcome outcome = parse_v2();
    assert_int_equal(outcome.state, PROXYPROTO_HEADER);
    assert_int_equal(outcome.consumed, v2.len);
    assert_true(outcome.local);
    assert_addr(&outcome.source, "-");
    assert_addr(&outcome.destination, "-");
}

static void assert_bad(const char *why, size_t consumed)
{
    struct outcome outcome = parse_v2();
    assert_int_equal(outcome.state, PROXYPROTO_BAD);
    assert_string_equal(outcome.why, why);
    assert_int_equal(outcome.consumed, consumed);
}

/* ---- addresses ---- */

static void a_header_says_where_the_client_comes_from_and_where_it_went_to(void **state)
{
    (void)state;
    begin_ipv4();
    assert_ends("192.0.2.1:56324", "198.51.100.2:443");

    struct addr source = address("2001:db8::1", 0);
    struct addr destination = address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535);
    v2_begin(&v2, V2_PROXY, V2_TCP6);
    v2_add_addresses(&v2, &source, &destination);
    assert_ends("[2001:db8::1]:0", "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void a_datagram_has_ends_like_a_stream(void **state)
{
    (void)state;
    begin_ipv4();
    v2.bytes[13] = 0x12;
    assert_ends("192.0.2.1:56324", "198.51.100.2:443");
}

static void an_ipv4_mapped_address_becomes_ipv4(void **state)
{
    (void)state;
    struct addr source = address("::ffff:192.0.2.1", 7);
    struct addr destination = address("2001:db8::2", 8);
    v2_begin(&v2, V2_PROXY, V2_TCP6);
    v2_add_addresses(&v2, &source, &destination);
    assert_ends("192.0.2.1:7", "[2001:db8::2]:8");
}

static void what_follows_the_header_is_left_alone(void **state)
{
    (void)state;
    begin_ipv4();
    memcpy(v2.bytes + v2.len, "\r\n\r\n", 4);
    struct outcome outcome = parse_twice(v2.bytes, v2.len + 4);
    assert_int_equal(outcome.state, PROXYPROTO_HEADER);
    assert_int_equal(outcome.consumed, HAS_IPV4);
}

static void an_address_block_that_is_cut_off_is_bad_as_soon_as_the_length_is_known(void **state)
{
    (void)state;
    static const struct {
        uint8_t family;
        size_t size;
    } cases[] = {{0x11, 12}, {0x12, 12}, {0x21, 36}, {0x22, 36}, {0x31, 216}, {0x32, 216}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        for (size_t len = 0; len < cases[i].size; len++) {
            v2_begin(&v2, V2_PROXY, cases[i].family);
            v2_add_zeros(&v2, len);
            assert_bad(too_short, V2_HEAD);
        }
        v2_add_zeros(&v2, 1);
        assert_int_equal(parse_v2().state, PROXYPROTO_HEADER);
    }
}

static void what_has_not_come_is_waited_for(void **state)
{
    (void)state;
    begin_ipv4();
    v2_seal(&v2, v2_add_crc(&v2));
    for (size_t len = 0; len < v2.len; len++)
        assert_int_equal(parse_twice(v2.bytes, len).state, PROXYPROTO_MORE);
    assert_int_equal(parse_v2().state, PROXYPROTO_HEADER);
}

/* ---- version, command, family, transport ---- */

static void only_version_2_with_local_or_proxy_is_taken(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        begin_ipv4();
        v2.bytes[12] = (uint8_t)byte;
        if (byte == V2_LOCAL)
            assert_local();
        else if (byte == V2_PROXY)
            assert_ends("192.0.2.1:56324", "198.51.100.2:443");
        else if (byte >> 4 == 2)
            assert_bad("the command is neither LOCAL nor PROXY", 13);
        else
            assert_bad("the version in the binary header is not 2", 13);
    }
}

static void only_known_families_and_transports_are_taken(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        v2_begin(&v2, V2_PROXY, (uint8_t)byte);
        v2_add_zeros(&v2, 216); /* for IPv4 and IPv6: TLVs of no bytes */
        if (byte >> 4 > 3)
            assert_bad("the address family is none of UNSPEC, INET, INET6 and UNIX", 14);
        else if ((byte & 15) > 2)
            assert_bad("the transport is none of UNSPEC, STREAM and DGRAM", 14);
        else
            assert_int_equal(parse_v2().state, PROXYPROTO_HEADER);
    }
}

static void unspec_means_the_connections_own_addresses(void **state)
{
    (void)state;
    static const uint8_t families[] = {0x00, 0x01, 0x02, 0x10, 0x20, 0x30};
    for (size_t i = 0; i < COUNT(families); i++) {
        v2_begin(&v2, V2_PROXY, families[i]);
        assert_local();
        v2_add(&v2, "\xFF\xFF\xFF\xFF\xFF\x03", 6); /* neither addresses nor TLVs */
        assert_local();
    }
}

static void local_is_taken_with_any_family_and_anything_behind_it(void **state)
{
    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        v2_begin(&v2, V2_LOCAL, (uint8_t)byte);
        assert_local();
        v2_add(&v2, "\xFF\x03\x00\x04garbage", 11);
        assert_local();
    }
}

static void af_unix_is_local_and_its_tlvs_are_checked(void **state)
{
    (void)state;
    v2_begin(&v2, V2_PROXY, V2_UNIX);
    for (size_t i = 0; i < 216; i++)
        v2_add(&v2, "/", 1);
    assert_local();
    v2_seal(&v2, v2_add_crc(&v2));
    assert_local();
    v2.bytes[100] ^= 1;
    assert_bad(wrong_crc, HAS_UNIX + 7);
}

/* ---- the length ---- */

static void a_header_of_16_bytes_and_65535_is_taken(void **state)
{
    (void)state;
    v2_begin(&v2, V2_LOCAL, 0);
    v2_add_zeros(&v2, 65535);
    assert_local();

    begin_ipv4();
    uint8_t *noop = calloc(1, 65535);
    assert_non_null(noop);
    v2_add_tlv(&v2, V2_NOOP, noop, 65535 - 12 - 3 - 7);
    free(noop);
    v2_seal(&v2, v2_add_crc(&v2));
    assert_int_equal(v2.len, V2_MAX);
    assert_ends("192.0.2.1:56324", "198.51.100.2:443");
    v2.bytes[40000] ^= 0x10;
    assert_bad(wrong_crc, V2_MAX);
}

static void a_length_of_zero_is_the_whole_header(void **state)
{
    (void)state;
    v2_begin(&v2, V2_PROXY, 0);
    assert_local();
    assert_int_equal(v2.len, V2_HEAD);
    assert_int_equal(parse(v2.bytes, V2_HEAD - 1).state, PROXYPROTO_MORE);
}

/* ---- TLVs ---- */

static void unknown_tlvs_are_passed_over(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        begin_ipv4();
        if (type == V2_CRC)
            continue;
        v2_add_tlv(&v2, (uint8_t)type, "", 0);
        v2_add_tlv(&v2, (uint8_t)type, "\x03\x00\x04\x00\x00\x00\x00", 7);
        assert_ends("192.0.2.1:56324", "198.51.100.2:443");
    }
}

static void the_lengths_of_tlvs_must_add_up(void **state)
{
    (void)state;
    begin_ipv4();
    v2_add(&v2, "\x04", 1);
    assert_bad(cut_tlv, HAS_IPV4 + 1);
    v2_add(&v2, "\x00", 1);
    assert_bad(cut_tlv, HAS_IPV4 + 1);
    v2_add(&v2, "\x01", 1);
    assert_bad(long_tlv, HAS_IPV4 + 3);
    v2_add(&v2, "x", 1);
    assert_ends("192.0.2.1:56324", "198.51.100.2:443");
    v2_add(&v2, "\x04\xFF\xFF", 3);
    assert_bad(long_tlv, HAS_IPV4 + 7);
}

/* ---- the checksum ---- */

static void the_checksum_is_crc32c(void **state)
{
    (void)state;
    static const uint8_t digits[] = "123456789";
    uint8_t bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, digits, 9), 0xE3069283u); /* the catalogue's check value */
    assert_int_equal(crc32c(0, bytes, 32), 0x46DD794Eu); /* RFC 3720 appendix B.4 */
    assert_int_equal(crc32c(0, bytes, 0), 0);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        uint32_t crc = crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut);
        assert_int_equal(crc, crc32c_by_bits(bytes, sizeof bytes));
    }
}

static void the_checksum_may_stand_anywhere_among_the_tlvs(void **state)
{
    (void)state;
    for (size_t before = 0; before < 4; before++) {
        begin_ipv4();
        for (size_t i = 0; i < before; i++)
            v2_add_tlv(&v2, V2_ID, "a session", 9);
        size_t at = v2_add_crc(&v2);
        for (size_t i = before; i < 3; i++)
            v2_add_tlv(&v2, V2_NOOP, "", 0);
        v2_seal(&v2, at);
        assert_ends("192.0.2.1:56324", "198.51.100.2:443");
    }
}

static void the_checksum_sees_every_bit_behind_the_length(void **state)
{
    (void)state;
    begin_ipv4();
    v2_add_tlv(&v2, V2_ID, "17", 2);
    v2_seal(&v2, v2_add_crc(&v2));
    v2_add_tlv(&v2, V2_CUSTOM, "x", 1); /* the checksum is wrong from here on */
    size_t crc_at = v2.len - 4 - 4;
    assert_bad(wrong_crc, v2.len);
    v2_seal(&v2, crc_at);
    assert_ends("192.0.2.1:56324", "198.51.100.2:443");

    /* Left out: the command, the family, the length and the type of the checksum's TLV. With
     * others of them there is no checksum where one was. */
    for (size_t bit = 8 * V2_HEAD; bit < 8 * v2.len; bit++) {
        if (bit / 8 == crc_at - 3)
            continue;
        v2.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (parse_v2().state == PROXYPROTO_HEADER)
            fail_msg("bit %zu of byte %zu can be changed", bit % 8, bit / 8);
        v2.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void the_checksum_sees_the_first_bytes_too(void **state)
{
    (void)state;
    begin_ipv4();
    v2_seal(&v2, v2_add_crc(&v2));
    v2.bytes[13] = 0x12; /* a datagram */
    assert_bad(wrong_crc, v2.len);
    v2.bytes[13] = V2_TCP4;
    assert_ends("192.0.2.1:56324", "198.51.100.2:443");
    v2_add_tlv(&v2, V2_NOOP, "", 0);
    assert_bad(wrong_crc, v2.len);
}

static void a_checksum_has_four_bytes(void **state)
{
    (void)state;
    for (size_t len = 0; len < 9; len++) {
        begin_ipv4();
        v2_add_tlv(&v2, V2_CRC, "\0\0\0\0\0\0\0\0", len);
        if (len == 4)
            assert_bad(wrong_crc, v2.len);
        else
            assert_bad("the checksum has not 4 bytes", HAS_IPV4 + 3);
    }
}

static void two_checksums_are_bad(void **state)
{
    (void)state;
    begin_ipv4();
    size_t first = v2_add_crc(&v2);
    v2_seal(&v2, v2_add_crc(&v2));
    v2_seal(&v2, first);
    assert_bad("the header has two checksums", HAS_IPV4 + 7 + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_says_where_the_client_comes_from_and_where_it_went_to),
        cmocka_unit_test(a_datagram_has_ends_like_a_stream),
        cmocka_unit_test(an_ipv4_mapped_address_becomes_ipv4),
        cmocka_unit_test(what_follows_the_header_is_left_alone),
        cmocka_unit_test(
            an_address_block_that_is_cut_off_is_bad_as_soon_as_the_length_is_known),
        cmocka_unit_test(what_has_not_come_is_waited_for),
        cmocka_unit_test(only_version_2_with_local_or_proxy_is_taken),
        cmocka_unit_test(only_known_families_and_transports_are_taken),
        cmocka_unit_test(unspec_means_the_connections_own_addresses),
        cmocka_unit_test(local_is_taken_with_any_family_and_anything_behind_it),
        cmocka_unit_test(af_unix_is_local_and_its_tlvs_are_checked),
        cmocka_unit_test(a_header_of_16_bytes_and_65535_is_taken),
        cmocka_unit_test(a_length_of_zero_is_the_whole_header),
        cmocka_unit_test(unknown_tlvs_are_passed_over),
        cmocka_unit_test(the_lengths_of_tlvs_must_add_up),
        cmocka_unit_test(the_checksum_is_crc32c),
        cmocka_unit_test(the_checksum_may_stand_anywhere_among_the_tlvs),
        cmocka_unit_test(the_checksum_sees_every_bit_behind_the_length),
        cmocka_unit_test(the_checksum_sees_the_first_bytes_too),
        cmocka_unit_test(a_checksum_has_four_bytes),
        cmocka_unit_test(two_checksums_are_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
