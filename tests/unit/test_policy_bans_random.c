/* test_policy_bans_random.c - thousands of bans that come, end and are lifted, against a model that
 * is slow and obvious: it keeps them in a table and looks at all of it each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "policy/bans.h"
#include "policy_fixture.h"

#define MODEL_MAX 1000

static struct random dice;
static struct bans *bans;
static uint64_t now_ms;

static struct ban model[MODEL_MAX];
static size_t model_count;
static uint64_t found, not_found, replaced_count, removed_count, expired_count;

static bool model_is_over(const struct ban *ban)
{
    return ban->until_ms != BAN_FOR_EVER && ban->until_ms <= now_ms;
}

static bool is_same_net(const struct addr_net *a, const struct addr_net *b)
{
    return a->bits == b->bits && addr_equal(&a->addr, &b->addr);
}

static struct ban *model_find(const struct addr_net *net)
{
    for (size_t i = 0; i < model_count; i++) {
        if (is_same_net(&model[i].net, net))
            return &model[i];
    }
    return NULL;
}

static void model_drop(struct ban *ban)
{
    *ban = model[--model_count];
}

static struct ban *model_longest(const struct addr *addr)
{
    struct ban *longest = NULL;
    for (size_t i = 0; i < model_count; i++) {
        struct ban *ban = &model[i];
        if (!model_is_over(ban) && addr_net_has(&ban->net, addr) &&
            (longest == NULL || ban->net.bits > longest->net.bits))
            longest = ban;
    }
    return longest;
}

static void expect_same(const struct ban *a, const struct ban *b)
{
    assert_true(is_same_net(&a->net, &b->net));
    assert_true(a->set_ms == b->set_ms && a->until_ms == b->until_ms && a->hits == b->hits);
    assert_string_equal(a->by, b->by);
    assert_string_equal(a->reason, b->reason);
}

/* ---- operations ---- */

static struct addr_net some_net(void)
{
    if (model_count > 0 && random_chance(&dice, 40))
        return model[random_below(&dice, model_count)].net;
    return policy_random_net(&dice);
}

static void do_add(void)
{
    if (model_count == MODEL_MAX)
        return;
    struct ban ban = {.net = some_net(), .set_ms = now_ms};
    ban.until_ms =
        random_chance(&dice, 10) ? BAN_FOR_EVER : now_ms + random_below(&dice, 100000);
    ban.hits = random_below(&dice, 3);
    str_format(ban.by, sizeof ban.by, "by %u", (unsigned)random_below(&dice, 100));
    str_format(ban.reason, sizeof ban.reason, "why %u", (unsigned)random_below(&dice, 100));
    struct ban *old = model_find(&ban.net);
    bool expected = old != NULL && !model_is_over(old);
    bool replaced = !expected;
    assert_int_equal(bans_add(bans, &ban, now_ms, &replaced), ERR_OK);
    assert_int_equal(replaced, expected);
    replaced_count += replaced;
    if (replaced)
        ban.hits = old->hits;
    if (old == NULL)
        old = &model[model_count++];
    *old = ban;
}

static void do_remove(void)
{
    struct addr_net net = some_net();
    struct ban *old = model_find(&net);
    assert_int_equal(bans_remove(bans, &net), old != NULL);
    removed_count += old != NULL;
    if (old != NULL)
        model_drop(old);
}

static void do_look(void)
{
    struct addr addr = policy_random_addr(&dice);
    bool count = random_chance(&dice, 50);
    struct ban *expected = model_longest(&addr);
    struct ban ban;
    bool is_banned = bans_has(bans, &addr, now_ms, count, &ban);
    assert_int_equal(is_banned, expected != NULL);
    found += is_banned;
    not_found += !is_banned;
    if (!is_banned)
        return;
    expected->hits += count;
    expect_same(&ban, expected);
}

static void do_expire(void)
{
    size_t expected = 0;
    for (size_t i = model_count; i-- > 0;) {
        if (model_is_over(&model[i])) {
            model_drop(&model[i]);
            expected++;
        }
    }
    assert_int_equal(bans_expire(bans, now_ms), expected);
    expired_count += expected;
}

static void do_list(void)
{
    struct ban *list;
    size_t count;
    assert_int_equal(bans_list(bans, now_ms, &list, &count), ERR_OK);
    size_t expected = 0;
    for (size_t i = 0; i < model_count; i++)
        expected += !model_is_over(&model[i]);
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++) {
        const struct ban *ban = model_find(&list[i].net);
        assert_non_null(ban);
        expect_same(&list[i], ban);
        if (i == 0)
            continue;
        const struct addr_net *before = &list[i - 1].net;
        const struct addr_net *net = &list[i].net;
        int order = memcmp(before->addr.ip, net->addr.ip, sizeof net->addr.ip);
        assert_true(before->addr.family < net->addr.family ||
                    (before->addr.family == net->addr.family &&
                     (order < 0 || (order == 0 && before->bits < net->bits))));
    }
    free(list);
}

/* The clock of the wall may also be set back. */
static void do_time(void)
{
    now_ms += random_below(&dice, 10000);
    if (random_chance(&dice, 5))
        now_ms -= random_below(&dice, 50000);
}

static void step(void)
{
    uint64_t roll = random_below(&dice, 100);
    if (roll < 25)
        do_add();
    else if (roll < 35)
        do_remove();
    else if (roll < 85)
        do_look();
    else if (roll < 88)
        do_expire();
    else if (roll < 89)
        do_list();
    else
        do_time();
    assert_int_equal(bans_count(bans), model_count);
}

static void bans_are_as_in_the_model_whatever_happens(void **state)
{
    (void)state;
    random_init(&dice, random_test_seed(), 0);
    for (int round = 0; round < 30; round++) {
        model_count = 0;
        now_ms = UINT64_C(1790000000000);
        assert_int_equal(bans_open(&bans, random_next(&dice)), ERR_OK);
        for (int i = 0; i < 3000; i++)
            step();
        do_list();
        bans_close(bans);
    }
    assert_true(found > 1000 && not_found > 1000 && replaced_count > 1000 &&
                removed_count > 1000 && expired_count > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bans_are_as_in_the_model_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
