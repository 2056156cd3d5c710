/* test_addr_net.c - networks: read, written, asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr_net.h"
#include "base/str.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct addr_net net_of(const char *text)
{
    struct addr_net net;
    memset(&net, 0xEE, sizeof net);
    if (addr_net_parse(text, &net) != ERR_OK)
        fail_msg("'%s' is not read", text);
    return net;
}

static struct addr addr_of(const char *text)
{
    struct addr addr;
    if (addr_parse_ip(text, &addr) != ERR_OK)
        fail_msg("'%s' is not read", text);
    return addr;
}

static void networks_have_one_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *written;
    } cases[] = {
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"10.1.2.3", "10.1.2.3/32"},
        {"10.1.2.3/32", "10.1.2.3/32"},
        {"10.1.2.2/31", "10.1.2.2/31"},
        {"128.0.0.0/1", "128.0.0.0/1"},
        {"::/0", "::/0"},
        {"::1", "::1/128"},
        {"2001:DB8:0::/32", "2001:db8::/32"},
        {"2001:db8::8000:0:0:0/65", "2001:db8:0:0:8000::/65"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
        {"::ffff:10.1.2.3", "10.1.2.3/32"},
        {"::ffff:0.0.0.0/96", "0.0.0.0/0"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[ADDR_NET_TEXT_MAX];
        struct addr_net net = net_of(cases[i].text);
        assert_ptr_equal(addr_net_format(&net, text), text);
        assert_string_equal(text, cases[i].written);
        struct addr_net again = net_of(text);
        assert_int_equal(again.bits, net.bits);
        assert_true(addr_equal(&again.addr, &net.addr));
    }
}

static void what_is_no_network_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err err;
    } cases[] = {
        {"", ERR_INVALID},
        {"/8", ERR_INVALID},
        {"localhost", ERR_INVALID},
        {"10.0/8", ERR_INVALID},
        {"10.0.0.0:80/8", ERR_INVALID},
        {"[::1]/128", ERR_INVALID},
        {"[::1]", ERR_INVALID},
        {" 10.0.0.0/8", ERR_INVALID},
        {"fe80::1%2", ERR_INVALID},
        {"fe80::1%0/128", ERR_INVALID},
        {"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/8",
         ERR_INVALID},
        {"10.0.0.0/", ERR_RANGE},
        {"10.0.0.0/33", ERR_RANGE},
        {"10.0.0.0/-1", ERR_RANGE},
        {"10.0.0.0/8 ", ERR_RANGE},
        {"10.0.0.0/8/8", ERR_RANGE},
        {"10.0.0.0/255.0.0.0", ERR_RANGE},
        {"10.0.0.0/18446744073709551624", ERR_RANGE},
        {"::/129", ERR_RANGE},
        {"::/256", ERR_RANGE},
        {"10.0.0.1/8", ERR_UNSUPPORTED},
        {"10.1.2.3/31", ERR_UNSUPPORTED},
        {"128.0.0.0/0", ERR_UNSUPPORTED},
        {"2001:db8::1/127", ERR_UNSUPPORTED},
        {"::ffff:0.0.0.0/95", ERR_UNSUPPORTED},
        {"::ffff:10.0.0.1/104", ERR_UNSUPPORTED},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct addr_net net;
        struct addr_net before;
        memset(&net, 0xEE, sizeof net);
        before = net;
        enum err err = addr_net_parse(cases[i].text, &net);
        if (err != cases[i].err)
            fail_msg("'%s': %s instead of %s", cases[i].text, err_word(err),
                     err_word(cases[i].err));
        assert_memory_equal(&net, &before, sizeof net);
    }
}

static void a_network_has_the_addresses_from_its_first_to_its_last(void **state)
{
    (void)state;
    static const struct {
        const char *net;
        const char *first;
        const char *last;
        const char *before; /* NULL: there is none */
        const char *behind;
    } cases[] = {
        {"10.0.0.0/8", "10.0.0.0", "10.255.255.255", "9.255.255.255", "11.0.0.0"},
        {"192.0.2.16/28", "192.0.2.16", "192.0.2.31", "192.0.2.15", "192.0.2.32"},
        {"192.0.2.16/32", "192.0.2.16", "192.0.2.16", "192.0.2.15", "192.0.2.17"},
        {"0.0.0.0/0", "0.0.0.0", "255.255.255.255", "::", "::1"},
        {"128.0.0.0/1", "128.0.0.0", "255.255.255.255", "127.255.255.255", NULL},
        {"2001:db8::/33", "2001:db8::", "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff",
         "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8:8000::"},
        {"::1", "::1", "::1", "::", "::2"},
        {"::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0", "10.0.0.1"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct addr_net net = net_of(cases[i].net);
        struct addr addr = addr_of(cases[i].first);
        assert_true(addr_net_has(&net, &addr));
        addr = addr_of(cases[i].last);
        assert_true(addr_net_has(&net, &addr));
        const char *others[] = {cases[i].before, cases[i].behind};
        for (size_t j = 0; j < 2; j++) {
            if (others[j] == NULL)
                continue;
            addr = addr_of(others[j]);
            assert_false(addr_net_has(&net, &addr));
        }
    }
}

static void ports_zones_and_the_mapped_form_do_not_matter(void **state)
{
    (void)state;
    struct addr_net net = net_of("fe80::/10");
    struct addr addr = addr_of("fe80::1%3");
    addr.port = 7777;
    assert_true(addr_net_has(&net, &addr));

    net = net_of("10.0.0.0/8");
    addr = addr_of("::ffff:10.1.2.3");
    addr.port = 7777;
    assert_true(addr_net_has(&net, &addr));
    addr = addr_of("::10.1.2.3");
    assert_false(addr_net_has(&net, &addr));
    net = net_of("::/0");
    addr = addr_of("::ffff:10.1.2.3"); /* a player of IPv4, whatever socket he came by */
    assert_false(addr_net_has(&net, &addr));
}

static void nobody_is_in_no_network(void **state)
{
    (void)state;
    const struct addr none = {0};
    struct addr_net net = net_of("0.0.0.0/0");
    assert_false(addr_net_has(&net, &none));
    net = net_of("::/0");
    assert_false(addr_net_has(&net, &none));
}

/* Compared bit by bit with what masking is defined as. */
static void masking_leaves_exactly_the_leading_bits(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 1);
    for (unsigned bits = 0; bits <= 128; bits++) {
        struct addr addr = {.family = ADDR_IPV6, .port = 7};
        random_fill(&random, addr.ip, sizeof addr.ip);
        struct addr masked = addr;
        addr_net_mask(&masked, bits);
        assert_int_equal(masked.port, 7);
        for (unsigned bit = 0; bit < 128; bit++) {
            unsigned before = addr.ip[bit / 8] >> (7 - bit % 8) & 1;
            unsigned after = masked.ip[bit / 8] >> (7 - bit % 8) & 1;
            assert_int_equal(after, bit < bits ? before : 0);
        }
    }
}

static void mangled_networks_do_no_harm(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789abcdef::::....///%[]x ";
    struct random random;
    random_init(&random, random_test_seed(), 2);
    for (int i = 0; i < 50000; i++) {
        char text[24];
        char written[ADDR_NET_TEXT_MAX];
        struct addr_net net;
        size_t len = (size_t)random_below(&random, sizeof text);
        for (size_t c = 0; c < len; c++)
            text[c] = alphabet[random_below(&random, sizeof alphabet - 1)];
        text[len] = '\0';
        if (addr_net_parse(text, &net) != ERR_OK)
            continue;
        struct addr_net again = net_of(addr_net_format(&net, written));
        assert_int_equal(again.bits, net.bits);
        assert_true(addr_equal(&again.addr, &net.addr));
        assert_true(addr_net_has(&net, &net.addr));
    }
}

static void a_single_address_can_be_written_without_its_length(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"10.0.0.7/32", "10.0.0.7"},        {"10.0.0.0/31", "10.0.0.0/31"},
        {"0.0.0.0/0", "0.0.0.0/0"},         {"2001:db8::1/128", "2001:db8::1"},
        {"2001:db8::/32", "2001:db8::/32"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct addr_net net;
        char text[ADDR_NET_TEXT_MAX];
        assert_int_equal(addr_net_parse(texts[i][0], &net), ERR_OK);
        assert_string_equal(addr_net_format_short(&net, text), texts[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_have_one_spelling),
        cmocka_unit_test(what_is_no_network_is_refused_and_changes_nothing),
        cmocka_unit_test(a_network_has_the_addresses_from_its_first_to_its_last),
        cmocka_unit_test(ports_zones_and_the_mapped_form_do_not_matter),
        cmocka_unit_test(nobody_is_in_no_network),
        cmocka_unit_test(a_single_address_can_be_written_without_its_length),
        cmocka_unit_test(masking_leaves_exactly_the_leading_bits),
        cmocka_unit_test(mangled_networks_do_no_harm),
    };
    return cmocka_run_group_tests_name("addr_net", tests, NULL, NULL);
}
