#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "policy/bans.h"
#include "policy_fixture.h"

#define HOUR 3600000u
#define NOW  UINT64_C(1790000000000)

static struct bans *open_bans(void)
{
    struct bans *bans;
    assert_int_equal(bans_open(&bans, 4711), ERR_OK);
    return bans;
}

static struct ban ban_of(const char *net, uint64_t until_ms, const char *reason)
{
    struct ban ban = {.net = policy_net(net), .set_ms = NOW, .until_ms = until_ms};
    str_format(ban.by, sizeof ban.by, "%s", "console");
    str_format(ban.reason, sizeof ban.reason, "%s", reason);
    return ban;
}

/* Returns whether it took the place of another one. */
static bool add(struct bans *bans, const char *net, uint64_t until_ms, const char *reason,
                uint64_t now_ms)
{
    struct ban ban = ban_of(net, until_ms, reason);
    bool replaced;
    assert_int_equal(bans_add(bans, &ban, now_ms, &replaced), ERR_OK);
    return replaced;
}

static bool has(struct bans *bans, const char *text, uint64_t now_ms)
{
    struct addr addr = policy_addr(text);
    return bans_has(bans, &addr, now_ms, false, NULL);
}

/* Turns a client away; the reason of the ban that did it, "-" for none. */
static const char *hit(struct bans *bans, const char *text, uint64_t now_ms)
{
    static struct ban ban;
    struct addr addr = policy_addr(text);
    return bans_has(bans, &addr, now_ms, true, &ban) ? ban.reason : "-";
}

static bool removes(struct bans *bans, const char *net)
{
    struct addr_net parsed = policy_net(net);
    return bans_remove(bans, &parsed);
}

static void without_bans_nobody_is_banned(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    assert_false(has(bans, "10.0.0.1", NOW));
    assert_false(has(bans, "::1", NOW));
    assert_int_equal(bans_count(bans), 0);
    assert_int_equal(bans_expire(bans, NOW), 0);
    assert_false(removes(bans, "10.0.0.1"));
    bans_close(bans);
    bans_close(NULL);
}

static void a_ban_has_its_network_and_nobody_else(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    add(bans, "10.1.0.0/16", NOW + HOUR, "", NOW);
    add(bans, "2001:db8::/64", NOW + HOUR, "", NOW);
    add(bans, "192.0.2.1", NOW + HOUR, "", NOW);
    assert_true(has(bans, "10.1.255.255", NOW));
    assert_true(has(bans, "::ffff:10.1.0.0", NOW));
    assert_false(has(bans, "10.2.0.0", NOW));
    assert_true(has(bans, "2001:db8::1:2:3:4", NOW));
    assert_false(has(bans, "2001:db8:0:1::", NOW));
    assert_true(has(bans, "192.0.2.1", NOW));
    assert_false(has(bans, "192.0.2.0", NOW));
    assert_int_equal(bans_count(bans), 3);
    bans_close(bans);
}

static void port_and_zone_do_not_count(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    add(bans, "fe80::/64", NOW + HOUR, "", NOW);
    struct addr addr = policy_addr("fe80::7");
    addr.port = 7777;
    addr.scope = 2;
    assert_true(bans_has(bans, &addr, NOW, false, NULL));
    struct addr none = {0};
    assert_false(bans_has(bans, &none, NOW, false, NULL));
    bans_close(bans);
}

static void networks_of_no_bits_have_their_family(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    add(bans, "::/0", NOW + HOUR, "", NOW);
    assert_true(has(bans, "ffff::1", NOW));
    assert_false(has(bans, "255.0.0.1", NOW));
    add(bans, "0.0.0.0/0", NOW + HOUR, "", NOW);
    assert_true(has(bans, "255.0.0.1", NOW));
    bans_close(bans);
}

static void of_several_bans_the_longest_one_is_told_and_hit(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    add(bans, "10.0.0.0/8", NOW + HOUR, "eight", NOW);
    add(bans, "10.1.2.3", NOW + 1000, "all", NOW);
    add(bans, "10.1.0.0/16", NOW + HOUR, "sixteen", NOW);
    assert_string_equal(hit(bans, "10.1.2.3", NOW), "all");
    assert_string_equal(hit(bans, "10.1.2.4", NOW), "sixteen");
    assert_string_equal(hit(bans, "10.2.0.0", NOW), "eight");
    assert_string_equal(hit(bans, "10.1.2.3", NOW + 1000), "sixteen"); /* that one is over */
    assert_true(removes(bans, "10.1.0.0/16"));
    assert_string_equal(hit(bans, "10.1.2.3", NOW + 1000), "eight");
    assert_string_equal(hit(bans, "11.0.0.0", NOW), "-");
    struct ban *list;
    size_t count;
    assert_int_equal(bans_list(bans, NOW, &list, &count), ERR_OK);
    assert_int_equal(count, 2);
    assert_int_equal(list[0].hits, 2); /* 10.0.0.0/8 */
    assert_int_equal(list[1].hits, 1);
    free(list);
    bans_close(bans);
}

static void who_only_looks_is_no_hit(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    add(bans, "10.0.0.1", NOW + HOUR, "", NOW);
    struct addr addr = policy_addr("10.0.0.1");
    struct ban ban;
    assert_true(bans_has(bans, &addr, NOW, false, &ban));
    assert_int_equal(ban.hits, 0);
    assert_true(bans_has(bans, &addr, NOW, true, &ban));
    assert_int_equal(ban.hits, 1);
    bans_close(bans);
}

static void a_ban_ends_at_its_time(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    add(bans, "10.0.0.1", NOW + 1000, "", NOW);
    assert_true(has(bans, "10.0.0.1", NOW + 999));
    assert_false(has(bans, "10.0.0.1", NOW + 1000));
    assert_int_equal(bans_count(bans), 1); /* until somebody looks for those that are over */
    assert_int_equal(bans_expire(bans, NOW + 999), 0);
    assert_int_equal(bans_expire(bans, NOW + 1000), 1);
    assert_int_equal(bans_count(bans), 0);
    bans_close(bans);
}

static void a_ban_for_ever_does_not_end(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    add(bans, "10.0.0.1", BAN_FOR_EVER, "", NOW);
    assert_true(has(bans, "10.0.0.1", UINT64_MAX));
    assert_int_equal(bans_expire(bans, UINT64_MAX), 0);
    bans_close(bans);
}

static void a_second_ban_takes_the_place_of_the_first_and_keeps_its_hits(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    assert_false(add(bans, "10.0.0.1", NOW + 1000, "first", NOW));
    hit(bans, "10.0.0.1", NOW);
    assert_true(add(bans, "10.0.0.1", NOW + HOUR, "second", NOW));
    assert_int_equal(bans_count(bans), 1);
    struct addr addr = policy_addr("10.0.0.1");
    struct ban ban;
    assert_true(bans_has(bans, &addr, NOW + 1000, false, &ban));
    assert_string_equal(ban.reason, "second");
    assert_int_equal(ban.hits, 1);
    assert_int_equal(bans_expire(bans, NOW + 1000), 0);
    bans_close(bans);
}

static void a_ban_that_is_over_does_not_count_as_there(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    add(bans, "10.0.0.1", NOW + 1000, "first", NOW);
    hit(bans, "10.0.0.1", NOW);
    assert_false(add(bans, "10.0.0.1", NOW + HOUR, "second", NOW + 1000));
    struct addr addr = policy_addr("10.0.0.1");
    struct ban ban;
    assert_true(bans_has(bans, &addr, NOW + 1000, false, &ban));
    assert_int_equal(ban.hits, 0);
    assert_int_equal(bans_count(bans), 1);
    bans_close(bans);
}

static void only_the_ban_of_exactly_this_network_is_removed(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    add(bans, "10.0.0.0/8", NOW + HOUR, "", NOW);
    add(bans, "10.0.0.0/16", NOW + HOUR, "", NOW);
    assert_false(removes(bans, "10.0.0.0/24"));
    assert_false(removes(bans, "10.0.0.0"));
    assert_true(removes(bans, "10.0.0.0/16"));
    assert_false(removes(bans, "10.0.0.0/16"));
    assert_true(has(bans, "10.0.0.0", NOW));
    assert_true(removes(bans, "10.0.0.0/8"));
    assert_false(has(bans, "10.0.0.0", NOW));
    bans_close(bans);
}

static void the_list_is_in_the_order_of_the_networks(void **state)
{
    (void)state;
    static const char *const nets[] = {"9.0.0.0/8",    "10.0.0.0/8",  "10.0.0.0/16",
                                       "10.0.0.0/32",  "10.1.0.0/16", "::/0",
                                       "2001:db8::/32"};
    enum { COUNT = sizeof nets / sizeof nets[0] };
    struct bans *bans = open_bans();
    for (size_t i = 0; i < COUNT; i++)
        add(bans, nets[i * 3 % COUNT], NOW + HOUR, nets[i * 3 % COUNT], NOW);
    add(bans, "10.0.0.0/24", NOW + 1, "over", NOW);
    struct ban *list;
    size_t count;
    assert_int_equal(bans_list(bans, NOW + 1, &list, &count), ERR_OK);
    assert_int_equal(count, COUNT);
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(list[i].reason, nets[i]);
        assert_string_equal(list[i].by, "console");
        assert_true(list[i].set_ms == NOW && list[i].until_ms == NOW + HOUR);
    }
    free(list);
    bans_close(bans);
}

static void the_version_grows_with_each_change_but_not_with_hits(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    uint64_t version = bans_version(bans);
    add(bans, "10.0.0.1", NOW + 1000, "", NOW);
    assert_true(bans_version(bans) > version);
    version = bans_version(bans);
    hit(bans, "10.0.0.1", NOW);
    removes(bans, "10.0.0.2");
    bans_expire(bans, NOW);
    assert_true(bans_version(bans) == version);
    add(bans, "10.0.0.1", NOW + 2000, "", NOW);
    assert_true(bans_version(bans) > version);
    version = bans_version(bans);
    bans_expire(bans, NOW + 2000);
    assert_true(bans_version(bans) > version);
    add(bans, "10.0.0.1", NOW + 1000, "", NOW);
    version = bans_version(bans);
    removes(bans, "10.0.0.1");
    assert_true(bans_version(bans) > version);
    bans_close(bans);
}

static struct ban numbered(uint32_t number, uint64_t until_ms)
{
    struct ban ban = {.set_ms = NOW, .until_ms = until_ms};
    ban.net.bits = 32;
    ban.net.addr = (struct addr){
        .family = ADDR_IPV4,
        .ip = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8), (uint8_t)number}};
    return ban;
}

static void there_is_room_for_so_many_and_for_more_when_some_are_over(void **state)
{
    (void)state;
    struct bans *bans = open_bans();
    for (uint32_t i = 0; i < BANS_MAX; i++) {
        struct ban ban = numbered(i, NOW + (i == 777 ? 1000 : HOUR + i));
        assert_int_equal(bans_add(bans, &ban, NOW, NULL), ERR_OK);
    }
    uint64_t version = bans_version(bans);
    struct ban another = numbered(BANS_MAX, NOW + HOUR);
    assert_int_equal(bans_add(bans, &another, NOW, NULL), ERR_RANGE);
    assert_true(bans_version(bans) == version);
    assert_int_equal(bans_count(bans), BANS_MAX);
    assert_false(bans_has(bans, &another.net.addr, NOW, false, NULL));
    struct ban known = numbered(5, NOW + HOUR);
    assert_int_equal(bans_add(bans, &known, NOW, NULL), ERR_OK);

    assert_int_equal(bans_add(bans, &another, NOW + 1000, NULL), ERR_OK);
    assert_int_equal(bans_count(bans), BANS_MAX);
    assert_true(bans_has(bans, &another.net.addr, NOW + 1000, false, NULL));
    struct ban *list;
    size_t count;
    assert_int_equal(bans_list(bans, NOW, &list, &count), ERR_OK);
    assert_int_equal(count, BANS_MAX);
    free(list);

    enum { LOOKS = 1000000 };
    uint64_t begin_us = os_mono_us();
    size_t banned = 0;
    for (uint32_t i = 0; i < LOOKS; i++) {
        struct addr addr = numbered(i, 0).net.addr;
        banned += bans_has(bans, &addr, NOW, true, NULL);
    }
    printf("%d bans: a look takes %.0f ns\n", BANS_MAX,
           (double)(os_mono_us() - begin_us) * 1000 / LOOKS);
    assert_int_equal(banned, BANS_MAX);
    assert_int_equal(bans_expire(bans, NOW + 2 * HOUR), BANS_MAX);
    assert_int_equal(bans_count(bans), 0);
    bans_close(bans);
}

/* ---- threads ---- */

#define THREADS 4
#define ROUNDS  20000

static struct bans *shared;
static _Atomic uint64_t hits, added, removed;

static void hit_many(void *arg)
{
    (void)arg;
    struct addr addr = policy_addr("10.0.0.1");
    for (int i = 0; i < ROUNDS; i++)
        hits += bans_has(shared, &addr, NOW, true, NULL);
}

static void add_and_remove_many(void *arg)
{
    struct random dice;
    random_init(&dice, random_test_seed(), 10 + *(size_t *)arg);
    for (int i = 0; i < ROUNDS; i++) {
        struct ban ban = numbered((uint32_t)random_below(&dice, 50), NOW + HOUR);
        ban.net.bits = (uint8_t)random_between(&dice, 30, 32);
        addr_net_mask(&ban.net.addr, ban.net.bits);
        bool replaced;
        if (random_chance(&dice, 50))
            added += bans_add(shared, &ban, NOW, &replaced) == ERR_OK && !replaced;
        else
            removed += bans_remove(shared, &ban.net);
        bans_has(shared, &ban.net.addr, NOW, false, &ban);
    }
}

static void run_threads(void (*body)(void *arg))
{
    struct os_thread *threads[THREADS];
    size_t numbers[THREADS];
    random_test_seed(); /* from this thread first */
    for (size_t i = 0; i < THREADS; i++) {
        numbers[i] = i;
        assert_int_equal(os_thread_start(&threads[i], "bans", body, &numbers[i]), ERR_OK);
    }
    for (size_t i = 0; i < THREADS; i++)
        os_thread_join(threads[i]);
}

static void each_hit_of_each_thread_counts(void **state)
{
    (void)state;
    shared = open_bans();
    add(shared, "10.0.0.0/24", NOW + HOUR, "", NOW);
    run_threads(hit_many);
    assert_int_equal(hits, THREADS * ROUNDS);
    struct addr addr = policy_addr("10.0.0.1");
    struct ban ban;
    assert_true(bans_has(shared, &addr, NOW, false, &ban));
    assert_int_equal(ban.hits, THREADS * ROUNDS);
    bans_close(shared);
}

static void threads_that_add_and_remove_lose_none(void **state)
{
    (void)state;
    shared = open_bans();
    run_threads(add_and_remove_many);
    struct ban *list;
    size_t count;
    assert_int_equal(bans_list(shared, NOW, &list, &count), ERR_OK);
    assert_int_equal(count, added - removed);
    assert_int_equal(bans_count(shared), count);
    for (size_t i = 0; i < count; i++)
        assert_true(bans_remove(shared, &list[i].net));
    free(list);
    assert_int_equal(bans_count(shared), 0);
    bans_close(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_bans_nobody_is_banned),
        cmocka_unit_test(a_ban_has_its_network_and_nobody_else),
        cmocka_unit_test(port_and_zone_do_not_count),
        cmocka_unit_test(networks_of_no_bits_have_their_family),
        cmocka_unit_test(of_several_bans_the_longest_one_is_told_and_hit),
        cmocka_unit_test(who_only_looks_is_no_hit),
        cmocka_unit_test(a_ban_ends_at_its_time),
        cmocka_unit_test(a_ban_for_ever_does_not_end),
        cmocka_unit_test(a_second_ban_takes_the_place_of_the_first_and_keeps_its_hits),
        cmocka_unit_test(a_ban_that_is_over_does_not_count_as_there),
        cmocka_unit_test(only_the_ban_of_exactly_this_network_is_removed),
        cmocka_unit_test(the_list_is_in_the_order_of_the_networks),
        cmocka_unit_test(the_version_grows_with_each_change_but_not_with_hits),
        cmocka_unit_test(there_is_room_for_so_many_and_for_more_when_some_are_over),
        cmocka_unit_test(each_hit_of_each_thread_counts),
        cmocka_unit_test(threads_that_add_and_remove_lose_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
