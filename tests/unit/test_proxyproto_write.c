/* test_proxyproto_write.c - PROXY headers as they are sent, and that they are read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxyproto_fixture.h"
#include "support/platform.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct addr none; /* ADDR_NONE */

static void assert_line(const struct addr *source, const struct addr *destination,
                        const char *expected)
{
    uint8_t out[PROXYPROTO_OUT_MAX];
    size_t len = proxyproto_write_v1(source, destination, out);
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(out, expected, len);
}

/* ---- version 1 ---- */

static void a_line_names_both_ends(void **state)
{
    (void)state;
    struct addr source = address("192.0.2.1", 56324);
    struct addr destination = address("198.51.100.2", 0);
    assert_line(&source, &destination, "PROXY TCP4 192.0.2.1 198.51.100.2 56324 0\r\n");
    source = address("2001:db8::1", 65535);
    destination = address("fe80::2%3", 443);
    assert_line(&source, &destination, "PROXY TCP6 2001:db8::1 fe80::2 65535 443\r\n");
    source = address("::ffff:192.0.2.1", 1);
    destination = address("198.51.100.2", 2);
    assert_line(&source, &destination, "PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n");
}

static void ends_of_two_families_are_both_written_as_ipv6(void **state)
{
    (void)state;
    struct addr ipv4 = address("192.0.2.1", 1);
    struct addr ipv6 = address("2001:db8::2", 2);
    assert_line(&ipv4, &ipv6, "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n");
    assert_line(&ipv6, &ipv4, "PROXY TCP6 2001:db8::2 ::ffff:192.0.2.1 2 1\r\n");
}

static void without_an_address_a_line_says_unknown(void **state)
{
    (void)state;
    struct addr ipv4 = address("192.0.2.1", 1);
    assert_line(&none, &none, "PROXY UNKNOWN\r\n");
    assert_line(&ipv4, &none, "PROXY UNKNOWN\r\n");
    assert_line(&none, &ipv4, "PROXY UNKNOWN\r\n");
}

/* ---- version 2 ---- */

/* The header as the specification has it, made by hand. */
static void assert_v2(const struct addr *source, const struct addr *destination, uint64_t id,
                      const char *id_text)
{
    static struct v2 expected;
    if (source->family == ADDR_NONE || destination->family == ADDR_NONE) {
        v2_begin(&expected, V2_LOCAL, 0);
    } else {
        v2_begin(&expected, V2_PROXY, source->family == ADDR_IPV4 ? V2_TCP4 : V2_TCP6);
        v2_add_addresses(&expected, source, destination);
    }
    if (id_text != NULL)
        v2_add_tlv(&expected, V2_ID, id_text, strlen(id_text));
    v2_seal(&expected, v2_add_crc(&expected));

    uint8_t out[PROXYPROTO_OUT_MAX];
    size_t len = proxyproto_write_v2(source, destination, id, out);
    assert_int_equal(len, expected.len);
    assert_memory_equal(out, expected.bytes, len);
}

static void a_binary_header_has_addresses_id_and_checksum(void **state)
{
    (void)state;
    struct addr source = address("192.0.2.1", 56324);
    struct addr destination = address("198.51.100.2", 443);
    assert_v2(&source, &destination, 0, NULL);
    assert_v2(&source, &destination, 1, "1");
    assert_v2(&source, &destination, UINT64_MAX, "18446744073709551615");
    assert_v2(&none, &destination, 17, "17");
    assert_v2(&source, &none, 0, NULL);
    source = address("2001:db8::1", 0);
    destination = address("2001:db8::2", 65535);
    assert_v2(&source, &destination, 17, "17");
}

static void the_relays_own_connections_are_local(void **state)
{
    (void)state;
    static const uint8_t v2[] = "\r\n\r\n\0\r\nQUIT\n\x20\x00\x00";
    uint8_t out[PROXYPROTO_OUT_MAX];
    assert_int_equal(proxyproto_write_local(true, out), V2_HEAD);
    assert_memory_equal(out, v2, V2_HEAD);
    struct outcome outcome = parse_twice(out, V2_HEAD);
    assert_int_equal(outcome.state, PROXYPROTO_HEADER);
    assert_true(outcome.local);

    size_t len = proxyproto_write_local(false, out);
    assert_int_equal(len, 15);
    assert_memory_equal(out, "PROXY UNKNOWN\r\n", len);
}

/* ---- round trips ---- */

static void assert_read_back(const uint8_t *out, size_t len, const struct addr *source,
                             const struct addr *destination)
{
    assert_true(len <= PROXYPROTO_OUT_MAX);
    struct outcome outcome = parse_twice(out, len);
    assert_int_equal(outcome.state, PROXYPROTO_HEADER);
    assert_int_equal(outcome.consumed, len);
    if (source->family == ADDR_NONE || destination->family == ADDR_NONE) {
        assert_true(outcome.local);
        return;
    }
    struct addr normal[] = {*source, *destination};
    for (size_t i = 0; i < COUNT(normal); i++) {
        addr_normalise(&normal[i]);
        normal[i].scope = 0;
    }
    assert_false(outcome.local);
    assert_memory_equal(&outcome.source, &normal[0], sizeof normal[0]);
    assert_memory_equal(&outcome.destination, &normal[1], sizeof normal[1]);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 3);
    for (uint64_t n = test_scaled(20000); n > 0; n--) {
        struct addr ends[2], others[2];
        random_addresses(&random, random_chance(&random, 50), &ends[0], &ends[1]);
        random_addresses(&random, random_chance(&random, 50), &others[0], &others[1]);
        if (random_chance(&random, 30))
            ends[1] = others[1];
        if (random_chance(&random, 5))
            ends[random_below(&random, 2)] = none;
        if (ends[0].family == ADDR_IPV6 && random_chance(&random, 20))
            ends[0].scope = (uint32_t)random_next(&random);

        uint8_t out[PROXYPROTO_OUT_MAX];
        uint64_t id = random_next(&random) >> random_below(&random, 64);
        assert_read_back(out, proxyproto_write_v1(&ends[0], &ends[1], out), &ends[0], &ends[1]);
        assert_read_back(out, proxyproto_write_v2(&ends[0], &ends[1], id, out), &ends[0],
                         &ends[1]);
    }
}

static void the_longest_headers_have_room(void **state)
{
    (void)state;
    struct addr longest = address("1111:1111:1111:1111:1111:1111:1111:1111", 65535);
    uint8_t out[PROXYPROTO_OUT_MAX];
    assert_int_equal(proxyproto_write_v1(&longest, &longest, out), 104);
    assert_int_equal(proxyproto_write_v2(&longest, &longest, UINT64_MAX, out),
                     V2_HEAD + 36 + 23 + 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_names_both_ends),
        cmocka_unit_test(ends_of_two_families_are_both_written_as_ipv6),
        cmocka_unit_test(without_an_address_a_line_says_unknown),
        cmocka_unit_test(a_binary_header_has_addresses_id_and_checksum),
        cmocka_unit_test(the_relays_own_connections_are_local),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(the_longest_headers_have_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
