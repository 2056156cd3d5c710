/* test_config_slots.c - upstreams keep their places when the configuration changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "config/slots.h"
#include "support/random.h"

/* A route with upstreams of one letter each; a capital is one that was removed. */
static struct conf_route make_route(const char *letters)
{
    struct conf_route route = {.name = "r", .upstream_count = strlen(letters)};
    route.upstreams = calloc(route.upstream_count + 1, sizeof *route.upstreams);
    assert_non_null(route.upstreams);
    for (size_t i = 0; i < route.upstream_count; i++) {
        struct conf_upstream *upstream = &route.upstreams[i];
        upstream->removed = letters[i] < 'a';
        str_format(upstream->name, sizeof upstream->name, "%c",
                   upstream->removed ? letters[i] - 'A' + 'a' : letters[i]);
        upstream->weight = (uint32_t)i;
    }
    return route;
}

static bool is_listed(void *ctx, size_t slot)
{
    return strchr(ctx, (int)('0' + slot)) != NULL;
}

static void expect_slots(const char *before, const char *after, const char *free_slots,
                         const char *expected)
{
    struct conf_route old = make_route(before), next = make_route(after);
    char letters[64] = "", slots[16];
    str_format(slots, sizeof slots, "%s", free_slots);
    assert_int_equal(slots_arrange(&next, &old, is_listed, slots), ERR_OK);
    for (size_t i = 0; i < next.upstream_count; i++) {
        char letter = next.upstreams[i].name[0];
        letters[i] = next.upstreams[i].removed ? (char)(letter - 'a' + 'A') : letter;
        assert_int_equal(slots_stay(&old, &next, i),
                         i < old.upstream_count && old.upstreams[i].name[0] == letter);
    }
    assert_string_equal(letters, expected);
    free(old.upstreams);
    free(next.upstreams);
}

static void the_same_name_has_the_same_slot(void **state)
{
    (void)state;
    expect_slots("abc", "abc", "", "abc");
    expect_slots("abc", "cba", "", "abc");
}

static void new_ones_come_behind(void **state)
{
    (void)state;
    expect_slots("ab", "xayb", "", "abxy");
}

static void those_that_go_keep_their_slots(void **state)
{
    (void)state;
    expect_slots("abc", "b", "", "AbC");
    expect_slots("AbC", "b", "", "AbC");
    expect_slots("abc", "xb", "012", "AbCx"); /* they have just been removed */
}

static void a_free_slot_is_given_away(void **state)
{
    (void)state;
    expect_slots("AbC", "bxy", "2", "Abxy");
    expect_slots("AbC", "bxy", "02", "xby");
    expect_slots("abc", "x", "012", "ABCx"); /* no slot of one that is there is free */
}

static void one_that_comes_back_has_its_slot_again(void **state)
{
    (void)state;
    expect_slots("AbC", "xcb", "02", "xbc");
}

static void what_the_new_file_says_holds(void **state)
{
    (void)state;
    char none[] = "";
    struct conf_route old = make_route("abc"), next = make_route("xcba");
    assert_int_equal(slots_arrange(&next, &old, is_listed, none), ERR_OK);
    assert_int_equal(next.upstreams[0].weight, 3);
    assert_int_equal(next.upstreams[2].weight, 1);
    assert_int_equal(next.upstreams[3].weight, 0);
    free(old.upstreams);
    free(next.upstreams);
}

/* Whatever comes and goes: who stays keeps his index, and everybody who is wanted is there once. */
static void nobody_moves_at_random(void **state)
{
    (void)state;
    struct random dice;
    random_init(&dice, random_test_seed(), 0);
    struct conf_route now = make_route("a");
    for (int round = 0; round < 2000; round++) {
        char wanted[27] = "";
        for (int letter = 'a'; letter <= 'z'; letter++)
            if (random_chance(&dice, 30))
                wanted[strlen(wanted)] = (char)letter;
        if (wanted[0] == '\0')
            continue;
        char empty[8] = "";
        for (int slot = '0'; slot < '6'; slot++)
            if (random_chance(&dice, 50))
                empty[strlen(empty)] = (char)slot;
        struct conf_route next = make_route(wanted);
        assert_int_equal(slots_arrange(&next, &now, is_listed, empty), ERR_OK);
        size_t there = 0;
        for (size_t i = 0; i < next.upstream_count; i++) {
            bool is_wanted = strchr(wanted, next.upstreams[i].name[0]) != NULL;
            assert_int_equal(next.upstreams[i].removed, !is_wanted);
            there += is_wanted;
            if (i < now.upstream_count && !slots_stay(&now, &next, i))
                assert_true(now.upstreams[i].removed && is_listed(empty, i) && is_wanted);
        }
        assert_int_equal(there, strlen(wanted));
        free(now.upstreams);
        now = next;
    }
    assert_true(now.upstream_count < 26 + 26);
    free(now.upstreams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_name_has_the_same_slot),
        cmocka_unit_test(new_ones_come_behind),
        cmocka_unit_test(those_that_go_keep_their_slots),
        cmocka_unit_test(a_free_slot_is_given_away),
        cmocka_unit_test(one_that_comes_back_has_its_slot_again),
        cmocka_unit_test(what_the_new_file_says_holds),
        cmocka_unit_test(nobody_moves_at_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
