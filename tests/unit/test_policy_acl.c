#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/os.h"
#include "policy/acl.h"
#include "policy_fixture.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct line {
    const char *net;
    bool allow;
};

static struct acl *open_list(const struct line *lines, size_t count)
{
    struct conf_access rules[20] = {0};
    assert_true(count <= COUNT(rules));
    for (size_t i = 0; i < count; i++)
        rules[i] =
            (struct conf_access){.net = policy_net(lines[i].net), .allow = lines[i].allow};
    struct acl *acl;
    assert_int_equal(acl_open(&acl, rules, count), ERR_OK);
    return acl;
}

static enum acl_answer answer(const struct acl *acl, const char *text)
{
    struct addr addr = policy_addr(text);
    return acl_check(acl, &addr);
}

static bool admits(const struct acl *acl, const char *text)
{
    struct addr addr = policy_addr(text);
    return acl_admits(acl, &addr);
}

static void an_empty_list_admits_everybody(void **state)
{
    (void)state;
    struct acl *acl;
    assert_int_equal(acl_open(&acl, NULL, 0), ERR_OK);
    assert_int_equal(answer(acl, "10.0.0.1"), ACL_NO_RULE);
    assert_int_equal(answer(acl, "::1"), ACL_NO_RULE);
    assert_true(admits(acl, "10.0.0.1"));
    assert_true(admits(acl, "::1"));
    acl_close(acl);
    acl_close(NULL);
}

static void the_longest_network_decides_in_whatever_order_they_come(void **state)
{
    (void)state;
    const struct line lines[] = {{"10.1.2.3", true},      {"10.0.0.0/8", true},
                                 {"10.1.2.0/24", false},  {"10.1.0.0/16", false},
                                 {"10.1.2.128/25", true}, {"2001:db8::/32", false},
                                 {"2001:db8::7", true},   {"2001:db8:1::/48", true}};
    struct acl *acl = open_list(lines, COUNT(lines));
    assert_int_equal(answer(acl, "10.200.0.1"), ACL_ALLOW);
    assert_int_equal(answer(acl, "10.1.9.9"), ACL_DENY);
    assert_int_equal(answer(acl, "10.1.2.2"), ACL_DENY);
    assert_int_equal(answer(acl, "10.1.2.3"), ACL_ALLOW);
    assert_int_equal(answer(acl, "10.1.2.127"), ACL_DENY);
    assert_int_equal(answer(acl, "10.1.2.128"), ACL_ALLOW);
    assert_int_equal(answer(acl, "11.0.0.0"), ACL_NO_RULE);
    assert_int_equal(answer(acl, "2001:db8::6"), ACL_DENY);
    assert_int_equal(answer(acl, "2001:db8::7"), ACL_ALLOW);
    assert_int_equal(answer(acl, "2001:db8:1:2::"), ACL_ALLOW);
    assert_int_equal(answer(acl, "2001:db9::"), ACL_NO_RULE);
    acl_close(acl);
}

static void of_a_network_that_is_there_twice_the_last_one_counts(void **state)
{
    (void)state;
    const struct line lines[] = {{"10.0.0.0/8", true},
                                 {"10.1.0.0/16", false},
                                 {"10.0.0.0/8", false},
                                 {"10.1.0.0/16", true}};
    struct acl *acl = open_list(lines, COUNT(lines));
    assert_int_equal(answer(acl, "10.0.0.1"), ACL_DENY);
    assert_int_equal(answer(acl, "10.1.0.1"), ACL_ALLOW);
    acl_close(acl);
}

static void a_list_that_only_allows_lets_nobody_else_in(void **state)
{
    (void)state;
    const struct line lines[] = {{"10.0.0.0/8", true}, {"::1", true}};
    struct acl *acl = open_list(lines, COUNT(lines));
    assert_true(admits(acl, "10.0.0.1"));
    assert_true(admits(acl, "::1"));
    assert_false(admits(acl, "11.0.0.1"));
    assert_false(admits(acl, "::2"));
    acl_close(acl);
}

static void a_list_that_denies_somebody_lets_the_others_in(void **state)
{
    (void)state;
    const struct line lines[] = {{"10.0.0.0/8", false}, {"10.1.0.0/16", true}};
    struct acl *acl = open_list(lines, COUNT(lines));
    assert_false(admits(acl, "10.0.0.1"));
    assert_true(admits(acl, "10.1.0.1"));
    assert_true(admits(acl, "11.0.0.1"));
    assert_true(admits(acl, "::1"));
    acl_close(acl);
}

/* What came later on the list is the only deny, so nothing is denied any more. */
static void a_denial_that_was_taken_back_does_not_count(void **state)
{
    (void)state;
    const struct line lines[] = {{"10.0.0.0/8", false}, {"10.0.0.0/8", true}};
    struct acl *acl = open_list(lines, COUNT(lines));
    assert_true(admits(acl, "10.0.0.1"));
    assert_false(admits(acl, "11.0.0.1"));
    acl_close(acl);
}

static void a_mapped_address_counts_as_ipv4(void **state)
{
    (void)state;
    const struct line lines[] = {{"10.0.0.0/8", false}, {"::/0", true}};
    struct acl *acl = open_list(lines, COUNT(lines));
    assert_int_equal(answer(acl, "::ffff:10.0.0.1"), ACL_DENY);
    assert_int_equal(answer(acl, "::ffff:11.0.0.1"), ACL_NO_RULE);
    assert_int_equal(answer(acl, "::fffe:10.0.0.1"), ACL_ALLOW);
    acl_close(acl);
}

static void a_network_of_no_bits_has_its_whole_family(void **state)
{
    (void)state;
    const struct line lines[] = {{"0.0.0.0/0", false}, {"0.0.0.0/8", true}, {"0.0.0.0", false}};
    struct acl *acl = open_list(lines, COUNT(lines));
    assert_int_equal(answer(acl, "255.255.255.255"), ACL_DENY);
    assert_int_equal(answer(acl, "0.1.2.3"), ACL_ALLOW);
    assert_int_equal(answer(acl, "0.0.0.0"), ACL_DENY);
    assert_int_equal(answer(acl, "::"), ACL_NO_RULE);
    acl_close(acl);
}

/* The bits in which these differ lie on both sides of the middle of an address. */
static void networks_that_differ_in_the_middle_are_told_apart(void **state)
{
    (void)state;
    const struct line lines[] = {
        {"2001:db8::/66", true},           {"2001:db8:0:0:4000::/66", true},
        {"2001:db8:0:0:8000::/66", false}, {"2001:db8:0:0:c000::/66", false},
        {"2001:db8:0:2::/66", true},       {"2001:db8:0:2:4000::/66", true},
        {"2001:db8:0:2:8000::/66", false}, {"2001:db8:0:2:c000::/66", false}};
    struct acl *acl = open_list(lines, COUNT(lines));
    assert_int_equal(answer(acl, "2001:db8::4000:0:0:1"), ACL_ALLOW);
    assert_int_equal(answer(acl, "2001:db8::8000:0:0:1"), ACL_DENY);
    assert_int_equal(answer(acl, "2001:db8:0:2:7000::"), ACL_ALLOW);
    assert_int_equal(answer(acl, "2001:db8:0:2:f000::"), ACL_DENY);
    assert_int_equal(answer(acl, "2001:db8:0:1::"), ACL_NO_RULE);
    acl_close(acl);
}

static void port_and_zone_do_not_count(void **state)
{
    (void)state;
    const struct line lines[] = {{"fe80::/10", true}, {"10.0.0.1", true}};
    struct acl *acl = open_list(lines, COUNT(lines));
    struct addr addr = policy_addr("fe80::1");
    addr.scope = 3;
    addr.port = 7777;
    assert_int_equal(acl_check(acl, &addr), ACL_ALLOW);
    addr = policy_addr("10.0.0.1");
    addr.port = 7777;
    assert_int_equal(acl_check(acl, &addr), ACL_ALLOW);
    acl_close(acl);
}

static void no_address_has_no_rule(void **state)
{
    (void)state;
    const struct line lines[] = {{"0.0.0.0/0", false}, {"::/0", false}};
    struct acl *acl = open_list(lines, COUNT(lines));
    struct addr none = {0};
    assert_int_equal(acl_check(acl, &none), ACL_NO_RULE);
    acl_close(acl);
}

/* ---- random ---- */

#define RULES_MAX 300

/* Slow and obvious: looks at every rule. */
static enum acl_answer model_check(const struct conf_access *rules, size_t count,
                                   const struct addr *addr)
{
    int longest = -1;
    enum acl_answer answer = ACL_NO_RULE;
    for (size_t i = 0; i < count; i++) {
        if (addr_net_has(&rules[i].net, addr) && rules[i].net.bits >= longest) {
            longest = rules[i].net.bits;
            answer = rules[i].allow ? ACL_ALLOW : ACL_DENY;
        }
    }
    return answer;
}

/* One that differs from a network of the list in one bit, or not at all. */
static struct addr address_near(struct random *dice, const struct addr_net *net)
{
    struct addr addr = net->addr;
    size_t bit = random_below(dice, addr.family == ADDR_IPV4 ? 32 : 128);
    if (random_chance(dice, 80))
        addr.ip[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
    return addr;
}

static void a_list_answers_as_the_model_whatever_is_on_it(void **state)
{
    (void)state;
    static struct conf_access rules[RULES_MAX];
    struct random dice;
    random_init(&dice, random_test_seed(), 0);
    unsigned answers[3] = {0};
    for (int round = 0; round < 200; round++) {
        size_t count = random_below(&dice, random_chance(&dice, 50) ? 10 : RULES_MAX);
        for (size_t i = 0; i < count; i++) {
            rules[i] = (struct conf_access){.net = policy_random_net(&dice),
                                            .allow = random_chance(&dice, 50)};
        }
        struct acl *acl;
        assert_int_equal(acl_open(&acl, rules, count), ERR_OK);
        for (int i = 0; i < 300; i++) {
            struct addr addr = policy_random_addr(&dice);
            if (count > 0 && random_chance(&dice, 50))
                addr = address_near(&dice, &rules[random_below(&dice, count)].net);
            enum acl_answer expected = model_check(rules, count, &addr);
            assert_int_equal(acl_check(acl, &addr), expected);
            answers[expected]++;
        }
        acl_close(acl);
    }
    for (size_t i = 0; i < COUNT(answers); i++)
        assert_true(answers[i] > 1000); /* the test means something */
}

#define MANY  100000
#define LOOKS 1000000

static struct addr_net any_net(struct random *dice, bool is_ipv4)
{
    struct addr_net net = {.addr = {.family = is_ipv4 ? ADDR_IPV4 : ADDR_IPV6}};
    random_fill(dice, net.addr.ip, is_ipv4 ? 4 : 16);
    net.bits = (uint8_t)(is_ipv4 ? random_between(dice, 16, 32) : random_between(dice, 32, 64));
    if (!is_ipv4)
        net.addr.ip[0] = 0x20; /* as long as they are, they are close to each other */
    addr_net_mask(&net.addr, net.bits);
    return net;
}

static void measure(struct random *dice, const char *name, unsigned ipv4_percent)
{
    struct conf_access *rules = calloc(MANY, sizeof *rules);
    struct addr *addrs = calloc(LOOKS, sizeof *addrs);
    assert_true(rules != NULL && addrs != NULL);
    for (size_t i = 0; i < MANY; i++)
        rules[i] = (struct conf_access){.net = any_net(dice, random_chance(dice, ipv4_percent)),
                                        .allow = random_chance(dice, 50)};
    for (size_t i = 0; i < LOOKS; i++) {
        addrs[i] = rules[random_below(dice, MANY)].net.addr;
        size_t len = addrs[i].family == ADDR_IPV4 ? 4 : 16;
        if (random_chance(dice, 50))
            random_fill(dice, addrs[i].ip + len / 4, len - len / 4);
    }
    struct acl *acl;
    uint64_t begin_us = os_mono_us();
    assert_int_equal(acl_open(&acl, rules, MANY), ERR_OK);
    uint64_t built_us = os_mono_us() - begin_us;
    size_t with_rule = 0;
    uint64_t took_us = UINT64_MAX;
    for (int round = 0; round < 3; round++) { /* of which the least disturbed one is told */
        begin_us = os_mono_us();
        for (size_t i = 0; i < LOOKS; i++)
            with_rule += acl_check(acl, &addrs[i]) != ACL_NO_RULE;
        uint64_t this_us = os_mono_us() - begin_us;
        took_us = this_us < took_us ? this_us : took_us;
    }
    printf("%s: %d entries built in %.0f ms, %.1f MB; a look takes %.0f ns\n", name, MANY,
           (double)built_us / 1000, (double)acl_bytes(acl) / 1e6,
           (double)took_us * 1000 / LOOKS);
    assert_true(with_rule > LOOKS / 4);
    assert_true(acl_bytes(acl) <= 72u * MANY + 1024);
    /* A few against the model, which looks at all of them. */
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(acl_check(acl, &addrs[i]), model_check(rules, MANY, &addrs[i]));
    acl_close(acl);
    free(addrs);
    free(rules);
}

static void a_hundred_thousand_entries_answer_right(void **state)
{
    (void)state;
    struct random dice;
    random_init(&dice, random_test_seed(), 1);
    measure(&dice, "IPv4", 100);
    measure(&dice, "IPv6", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_admits_everybody),
        cmocka_unit_test(the_longest_network_decides_in_whatever_order_they_come),
        cmocka_unit_test(of_a_network_that_is_there_twice_the_last_one_counts),
        cmocka_unit_test(a_list_that_only_allows_lets_nobody_else_in),
        cmocka_unit_test(a_list_that_denies_somebody_lets_the_others_in),
        cmocka_unit_test(a_denial_that_was_taken_back_does_not_count),
        cmocka_unit_test(a_mapped_address_counts_as_ipv4),
        cmocka_unit_test(a_network_of_no_bits_has_its_whole_family),
        cmocka_unit_test(networks_that_differ_in_the_middle_are_told_apart),
        cmocka_unit_test(port_and_zone_do_not_count),
        cmocka_unit_test(no_address_has_no_rule),
        cmocka_unit_test(a_list_answers_as_the_model_whatever_is_on_it),
        cmocka_unit_test(a_hundred_thousand_entries_answer_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
