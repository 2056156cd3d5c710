/* test_config_diff.c - what is different between two configurations, and what a reload keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "config/conf.h"
#include "config/diff.h"
#include "config/value/keys.h"
#include "config/value/value.h"
#include "config_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const kinds[] = {
    [DIFF_ROUTE_ADDED] = "route added",
    [DIFF_ROUTE_REMOVED] = "route removed",
    [DIFF_KEY] = "key",
    [DIFF_UPSTREAM_ADDED] = "upstream added",
    [DIFF_UPSTREAM_REMOVED] = "upstream removed",
    [DIFF_UPSTREAM_CHANGED] = "upstream changed",
    [DIFF_UPSTREAM_ORDER] = "order",
};

/* "KIND ROUTE UPSTREAM KEY: FROM => TO" a line, "-" for what there is not. */
static void write_diff(const struct diff *diff, struct str *out)
{
    for (size_t i = 0; i < diff->count; i++) {
        const struct diff_change *change = &diff->changes[i];
        str_addf(out, "%s %s %s %s: %s => %s%s\n", kinds[change->kind],
                 change->route == NULL ? "-" : change->route,
                 change->upstream == NULL ? "-" : change->upstream,
                 change->key == NULL ? "-" : change->key, change->from.data, change->to.data,
                 change->restart ? " (restart)" : "");
    }
}

static void assert_diff_of(const struct conf *before, const struct conf *after,
                           const char *expected)
{
    struct diff diff;
    struct str text;
    str_init(&text);
    assert_int_equal(diff_make(&diff, before, after), ERR_OK);
    write_diff(&diff, &text);
    assert_string_equal(text.data, expected);
    str_free(&text);
    diff_free(&diff);
}

static void assert_diff(const char *before, const char *after, const char *expected)
{
    struct conf *from = load_good(before);
    struct conf *to = load_good(after);
    assert_diff_of(from, to, expected);
    assert_diff_of(from, from, "");
    assert_diff_of(to, to, "");
    conf_free(from);
    conf_free(to);
}

/* ---- every key ---- */

static const char *const candidates[] = {"no",
                                         "kill",
                                         "2",
                                         "3000",
                                         "7m",
                                         "2s",
                                         "3s",
                                         "64KB",
                                         "debug",
                                         "first",
                                         "v1",
                                         "tcp",
                                         "hold 3s",
                                         "close",
                                         "dry_run",
                                         "10.0.0.1",
                                         "1MB/s",
                                         "5/s burst 5",
                                         "100B/s over 30s",
                                         "3 in 5s for 10s",
                                         "none",
                                         "3 refusals in 5s for 10s",
                                         "30",
                                         "7%",
                                         "another"};

static void make_text(const struct key *key, const char *value, struct str *out)
{
    /* Who trusts somebody must read what he says, and the other way round. */
    bool proxy = strncmp(key->name, "proxy_", 6) == 0;
    if (key->section != KEY_ROUTE)
        str_addf(out, "%s\n%s = %s\n", key_section_word(key->section), key->name, value);
    str_add(out, GOOD_ROUTE);
    if (key->section == KEY_ROUTE)
        str_addf(out, "%s = %s\n", key->name, value);
    if (proxy && strcmp(key->name, "proxy_trust") != 0)
        str_add(out, "proxy_trust = 10.0.0.0/8\n");
    if (proxy && strcmp(key->name, "proxy_protocol_in") != 0)
        str_add(out, "proxy_protocol_in = optional\n");
}

/* NULL: it can't have this value. */
static struct conf *try_value(const struct key *key, const char *value)
{
    struct str text, messages;
    struct conf *conf = NULL;
    str_init(&text);
    str_init(&messages);
    make_text(key, value, &text);
    conf_load_text("t.ini", text.data, text.len, &conf, &messages);
    str_free(&text);
    str_free(&messages);
    return conf;
}

static const void *owner_of(const struct key *key, const struct conf *conf)
{
    return key->section == KEY_ROUTE ? (const void *)&conf->routes[0] : conf;
}

/* Two configurations in which the key alone differs. */
static bool find_two(const struct key *key, struct conf **one, struct conf **other)
{
    *one = NULL;
    for (size_t i = 0; i < COUNT(candidates); i++) {
        struct conf *conf = try_value(key, candidates[i]);
        if (conf != NULL && *one == NULL) {
            *one = conf;
            continue;
        }
        *other = conf;
        if (conf != NULL && !value_equal(key, owner_of(key, *one), owner_of(key, conf)))
            return true;
        conf_free(conf);
    }
    /* One value among the candidates: the default is another. */
    *other = load_good(GOOD_ROUTE);
    return *one != NULL && !value_equal(key, owner_of(key, *one), owner_of(key, *other));
}

static void each_key_is_a_difference_of_its_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < key_count; i++) {
        const struct key *key = &keys[i];
        struct conf *one, *other;
        if (key->preset == NULL)
            continue;
        if (strcmp(key->name, "proxy_protocol_in") == 0) {
            one = load_with("proxy_protocol_in = optional\nproxy_trust = ::1");
            other = load_with("proxy_protocol_in = required\nproxy_trust = ::1");
        } else if (!find_two(key, &one, &other)) {
            fail_msg("no second value of %s was found", key->name);
        }
        struct diff diff;
        assert_int_equal(diff_make(&diff, one, other), ERR_OK);
        bool found = false;
        for (size_t k = 0; k < diff.count; k++) {
            const struct diff_change *change = &diff.changes[k];
            assert_int_equal(change->kind, DIFF_KEY);
            if (change->section != key->section || strcmp(change->key, key->name) != 0)
                continue;
            found = true;
            assert_int_equal(change->restart, !key->reloadable);
            assert_string_not_equal(change->from.data, change->to.data);
        }
        if (!found)
            fail_msg("%s is no difference", key->name);
        diff_free(&diff);
        if (key->section == KEY_ROUTE) {
            const struct conf_route *was = &one->routes[0], *is = &other->routes[0];
            assert_true(diff_key(was, is, key->name) && diff_any_key(was, is));
            assert_false(diff_key(is, is, key->name) || diff_any_key(is, is));
        }

        /* What needs a restart stays as it was, all else becomes new. */
        assert_true(diff_keep_fixed(one, other));
        assert_int_equal(value_equal(key, owner_of(key, one), owner_of(key, other)),
                         !key->reloadable);
        conf_free(one);
        conf_free(other);
    }
}

/* ---- routes, addresses, upstreams ---- */

#define TWO_ROUTES GOOD_ROUTE "[route s]\nlisten = *:7778\nupstream = h:1\nupstream = h:2\n"

static void routes_come_and_go(void **state)
{
    (void)state;
    /* A second one takes part of the room that max_sessions = auto had given to the first. */
    assert_diff(GOOD_ROUTE, TWO_ROUTES,
                "key r - max_sessions: 10000 => 9000\n"
                "route added s - -:  => *:7778 -> h:1, h:2\n");
    assert_diff(TWO_ROUTES, GOOD_ROUTE,
                "key r - max_sessions: 9000 => 10000\n"
                "route removed s - -: *:7778 -> h:1, h:2 => \n");
    assert_diff("[route a]\nlisten = *:1\nupstream = h:1\n",
                "[route b]\nlisten = *:1\nupstream = h:1\n",
                "route added b - -:  => *:1 -> h:1\nroute removed a - -: *:1 -> h:1 => \n");
}

static void the_order_of_routes_is_no_difference(void **state)
{
    (void)state;
    assert_diff(TWO_ROUTES,
                "[route s]\nlisten = *:7778\nupstream = h:2\nupstream = h:1\n" GOOD_ROUTE, "");
}

static void listeners_are_one_difference(void **state)
{
    (void)state;
    assert_diff("[route r]\nlisten = *:1\nlisten = *:3-5\nupstream = h:1\n",
                "[route r]\nlisten = *:3-4\nlisten = *:1\nlisten = *:9\nupstream = h:1\n",
                "key r - listen: *:1, *:3-5 => *:3-4, *:1, *:9\n");
    assert_diff("[route r]\nlisten = *:1\nlisten = *:3\nupstream = h:1\n",
                "[route r]\nlisten = *:3\nlisten = *:1\nupstream = h:1\n", "");
    assert_diff("[route r]\nlisten = *:1\nupstream = h:1\n",
                "[route r]\nlisten = :1\nupstream = h:1\n", ""); /* it is written so */
}

static void upstreams_come_go_and_change(void **state)
{
    (void)state;
    assert_diff("[route r]\nlisten = *:1\nupstream = h:1\nupstream = h:2 weight=3\n",
                "[route r]\nlisten = *:1\nupstream = h:3 backup\nupstream = h:2\n",
                "upstream added r h:3 -:  => h:3 backup\n"
                "upstream changed r h:2 -: h:2 weight=3 => h:2\n"
                "upstream removed r h:1 -: h:1 => \n");
}

static void the_order_of_upstreams_counts_where_it_decides(void **state)
{
    (void)state;
    static const char before[] = "[route r]\nlisten = *:1\nupstream = h:1\nupstream = h:2\n";
    static const char after[] = "[route r]\nlisten = *:1\nupstream = h:2\nupstream = h:1\n";
    assert_diff(before, after, "");
    char first_before[256], first_after[256];
    str_format(first_before, sizeof first_before, "%sbalance = first\n", before);
    str_format(first_after, sizeof first_after, "%sbalance = first\n", after);
    assert_diff(first_before, first_after, "order r - -:  => \n");
}

static void what_was_removed_before_is_not_there(void **state)
{
    (void)state;
    struct conf *before =
        load_good("[route r]\nlisten = *:1\nupstream = h:1\nupstream = h:2\n");
    struct conf *after = load_good("[route r]\nlisten = *:1\nupstream = h:1\n");
    before->routes[0].upstreams[1].removed = true;
    assert_diff_of(before, after, "");
    assert_diff_of(after, before, "upstream added r h:2 -:  => h:2\n");
    conf_free(before);
    conf_free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_is_a_difference_of_its_own),
        cmocka_unit_test(routes_come_and_go),
        cmocka_unit_test(the_order_of_routes_is_no_difference),
        cmocka_unit_test(listeners_are_one_difference),
        cmocka_unit_test(upstreams_come_go_and_change),
        cmocka_unit_test(the_order_of_upstreams_counts_where_it_decides),
        cmocka_unit_test(what_was_removed_before_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
