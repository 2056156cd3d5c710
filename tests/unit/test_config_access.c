/* test_config_access.c - the networks of allow and deny lines; those in files are in
 * test_config_access_file.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr_net.h"
#include "base/str.h"
#include "config/conf.h"
#include "config_text.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The list of a route as "+10.0.0.0/8 -10.1.0.0/16". */
static void assert_access(const struct conf_route *route, const char *expected)
{
    struct str text;
    str_init(&text);
    for (size_t i = 0; i < route->access_count; ++i) {
        char net[ADDR_NET_TEXT_MAX];
        str_addf(&text, "%s%c%s", i > 0 ? " " : "", route->access[i].allow ? '+' : '-',
                 addr_net_format(&route->access[i].net, net));
    }
    assert_string_equal(text.data, expected);
    str_free(&text);
}

static void assert_lines_give(const char *lines, const char *expected)
{
    struct conf *conf = load_with(lines);
    assert_access(&conf->routes[0], expected);
    assert_rewritten(conf);
    conf_free(conf);
}

static void networks_are_read_in_any_number_and_order(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE);
    assert_int_equal(conf->routes[0].access_count, 0);
    assert_null(conf->routes[0].access);
    conf_free(conf);
    assert_lines_give("allow = 10.0.0.0/8", "+10.0.0.0/8");
    assert_lines_give("deny=10.1.0.0/16 , ::1,10.0.0.0/8\nallow = 10.1.2.3\ndeny = 9.0.0.1",
                      "-9.0.0.1/32 -10.0.0.0/8 -10.1.0.0/16 +10.1.2.3/32 -::1/128");
    assert_lines_give("allow = all", "+0.0.0.0/0 +::/0");
    assert_lines_give("deny = all, 10.0.0.0/8", "-0.0.0.0/0 -10.0.0.0/8 -::/0");
    assert_lines_give("allow =\ndeny =", "");
}

static void a_mapped_network_is_that_of_ipv4(void **state)
{
    (void)state;
    assert_lines_give("allow = ::ffff:10.0.0.0/104, ::ffff:192.0.2.1",
                      "+10.0.0.0/8 +192.0.2.1/32");
    assert_lines_give("deny = ::ffff:0:0/96, ::/0", "-0.0.0.0/0 -::/0");
}

static void the_same_network_is_kept_once(void **state)
{
    (void)state;
    assert_lines_give("allow = 10.0.0.0/8, 10.0.0.0/8\nallow = ::ffff:10.0.0.0/104\n"
                      "allow = 10.0.0.0/9",
                      "+10.0.0.0/8 +10.0.0.0/9");
}

static const struct bad_text contradictions[] = {
    {GOOD_ROUTE "allow = 10.0.0.0/8\ndeny = ::1, 10.0.0.0/8\n",
     "t.ini:5: [route r] deny: 10.0.0.0/8 is allowed in line 4; remove one of them\n"},
    {GOOD_ROUTE "deny = 10.0.0.1\nallow = ::ffff:10.0.0.1\ndeny = 10.0.0.1\n",
     "t.ini:5: [route r] allow: 10.0.0.1/32 is denied in line 4; remove one of them\n"},
    {"[defaults]\ndeny = all\nallow = all\n" GOOD_ROUTE "[route s]\nlisten=:1\nupstream=h:1\n",
     "t.ini:3: [defaults] allow: 0.0.0.0/0 is denied in line 2; remove one of them\n"
     "t.ini:3: [defaults] allow: ::/0 is denied in line 2; remove one of them\n"},
};

static void a_network_both_allowed_and_denied_is_told_with_both_places(void **state)
{
    (void)state;
    assert_all_refused(contradictions, COUNT(contradictions));
}

static void of_many_contradictions_the_first_are_told(void **state)
{
    (void)state;
    struct str text;
    struct str expected;
    str_init(&text);
    str_init(&expected);
    str_add(&text, GOOD_ROUTE);
    for (int i = 0; i < 30; ++i)
        str_addf(&text, "allow = 10.0.0.%d\ndeny = 10.0.0.%d\n", i, i);
    for (int i = 0; i < 20; ++i)
        str_addf(&expected,
                 "t.ini:%d: [route r] deny: 10.0.0.%d/32 is allowed in line %d; remove one of "
                 "them\n",
                 5 + 2 * i, i, 4 + 2 * i);
    str_add(&expected, "t.ini:63: [route r] allow and deny: 10 more networks are both allowed "
                       "and denied; mend these first\n");
    assert_refused(text.data, expected.data);
    str_free(&text);
    str_free(&expected);
}

static const struct bad_line bad_networks[] = {
    {"allow = everybody",
     "'everybody' is not an address or network; write such as 10.0.0.0/8, 2001:db8::5"},
    {"allow = 10.0.0.0/33", "'10.0.0.0/33' has a wrong number behind its slash; write 0 to 32 "
                            "there for IPv4 and 0 to 128 for IPv6"},
    {"allow = 10.0.0.1/8", "'10.0.0.1/8' has bits set behind its prefix; write zeros there for "
                           "the network, or no slash for the address"},
    {"deny = 10.0.0.1,", "the list has a comma too many; write an address or network, such as "
                         "10.0.0.0/8, 2001:db8::5"},
    {"deny = 10.0.0.1 10.0.0.2",
     "'10.0.0.1 10.0.0.2' has a blank in it; part addresses by commas, such as 10.0.0.0/8, "
     "2001:db8::5"},
    {"deny = [::1]:80", "'[::1]:80' has brackets or a port; write the address alone, such as "
                        "10.0.0.0/8, 2001:db8::5"},
    {"deny = fe80::1%2", "'fe80::1%2' has a zone; write it without"},
    {"deny = 10.0.0.1, @x", "'@x' names a file; write it alone, in a line of its own"},
};

static void a_wrong_network_is_told_with_what_would_be_right(void **state)
{
    (void)state;
    assert_lines_refused(bad_networks, COUNT(bad_networks));
}

/* ---- [defaults] ---- */

static void the_defaults_hold_for_routes_without_lists_of_their_own(void **state)
{
    (void)state;
    struct conf *conf = load_good("[route a]\nlisten=:1\nupstream=h:1\n"
                                  "[route b]\nlisten=:2\nupstream=h:1\nallow = ::1\n"
                                  "[defaults]\nallow = 10.0.0.0/8\ndeny = all\n"
                                  "[route c]\nlisten=:3\nupstream=h:1\n"
                                  "[route d]\nlisten=:4\nupstream=h:1\ndeny =\n");
    assert_access(&conf->routes[0], "-0.0.0.0/0 +10.0.0.0/8 -::/0");
    assert_access(&conf->routes[1], "+::1/128");
    assert_access(&conf->routes[2], "-0.0.0.0/0 +10.0.0.0/8 -::/0");
    assert_access(&conf->routes[3], "");
    assert_false(conf->routes[0].access_shared);
    assert_true(conf->routes[2].access_shared);
    assert_ptr_equal(conf->routes[0].access, conf->routes[2].access);
    assert_rewritten(conf);
    conf_free(conf);
}

static void defaults_that_no_route_uses_are_checked_all_the_same(void **state)
{
    (void)state;
    const char *own = "[route r]\nlisten=:1\nupstream=h:1\nallow =\n";
    char text[256];
    str_format(text, sizeof text, "[defaults]\nallow = ::1\n%s", own);
    conf_free(load_good(text));
    str_format(text, sizeof text, "[defaults]\nallow = ::1\ndeny = ::1\n%s", own);
    assert_refused(text,
                   "t.ini:3: [defaults] deny: ::1/128 is allowed in line 2; remove one of "
                   "them\n");
}

/* ---- written ---- */

static void long_lists_are_written_in_lines_of_moderate_length(void **state)
{
    (void)state;
    struct str text;
    struct str out;
    str_init(&text);
    str_init(&out);
    str_add(&text, GOOD_ROUTE);
    for (int i = 0; i < 5000; ++i)
        str_addf(&text, "%s = 10.%d.%d.0/24\n", i % 3 == 0 ? "deny" : "allow", i / 256,
                 i % 256);
    struct conf *conf = load_good(text.data);
    assert_int_equal(conf->routes[0].access_count, 5000);
    conf_write(conf, &out);
    size_t lines = 0;
    for (const char *line = out.data; *line != '\0'; line = strchr(line, '\n') + 1) {
        assert_true(strcspn(line, "\n") <= 96);
        ++lines;
    }
    assert_true(lines < 1500);
    assert_rewritten(conf);
    conf_free(conf);
    str_free(&text);
    str_free(&out);
}

/* ---- random lists against a slow model ---- */

#define MODEL_MAX 64

struct model {
    struct addr_net nets[MODEL_MAX];
    bool allow[MODEL_MAX];
    size_t count;
    bool contradicts;
};

static void model_add(struct model *model, const struct addr_net *net, bool allow)
{
    for (size_t i = 0; i < model->count; ++i) {
        if (model->nets[i].bits == net->bits && addr_equal(&model->nets[i].addr, &net->addr)) {
            model->contradicts = model->contradicts || model->allow[i] != allow;
            return;
        }
    }
    model->nets[model->count] = *net;
    model->allow[model->count] = allow;
    ++model->count;
}

/* Few addresses and lengths, so that many are the same. */
static void random_net(struct random *random, struct addr_net *net)
{
    char text[ADDR_NET_TEXT_MAX];
    struct addr addr;
    bool is_ipv4 = random_chance(random, 60);
    str_format(text, sizeof text, is_ipv4 ? "10.%u.%u.%u" : "2001:db8:%x:%x::%x",
               (unsigned)random_below(random, 3), (unsigned)random_below(random, 2) * 128,
               (unsigned)random_below(random, 4));
    assert_int_equal(addr_parse_ip(text, &addr), ERR_OK);
    net->bits = (uint8_t)(random_below(random, 5) * (is_ipv4 ? 8 : 32));
    addr_net_mask(&addr, net->bits);
    net->addr = addr;
}

static void check_against(const struct conf_route *route, const struct model *model)
{
    assert_int_equal(route->access_count, model->count);
    for (size_t i = 0; i < model->count; ++i) {
        unsigned found = 0;
        for (size_t j = 0; j < route->access_count; ++j) {
            const struct conf_access *access = &route->access[j];
            found += access->net.bits == model->nets[i].bits &&
                     addr_equal(&access->net.addr, &model->nets[i].addr) &&
                     access->allow == model->allow[i];
        }
        assert_int_equal(found, 1);
    }
}

static void random_lists_hold_each_network_once_or_are_refused(void **state)
{
    (void)state;
    uint64_t seed = random_test_seed();
    unsigned refused = 0;
    for (unsigned round = 0; round < 2000; ++round) {
        struct random random;
        struct model model = {.count = 0};
        struct str text;
        struct str messages;
        struct conf *conf = NULL;
        str_init(&text);
        str_init(&messages);
        random_init(&random, seed, round);
        str_add(&text, GOOD_ROUTE);
        size_t lines = random_between(&random, 1, 6);
        bool one_kind = random_chance(&random, 50);
        for (size_t i = 0; i < lines; ++i) {
            bool allow = one_kind || random_chance(&random, 50);
            str_add(&text, allow ? "allow =" : "deny =");
            size_t items = random_between(&random, 1, 6);
            for (size_t j = 0; j < items; ++j) {
                struct addr_net net;
                char written[ADDR_NET_TEXT_MAX];
                random_net(&random, &net);
                str_addf(&text, "%s %s", j > 0 ? "," : "", addr_net_format(&net, written));
                model_add(&model, &net, allow);
            }
            str_add_char(&text, '\n');
        }
        enum err err = conf_load_text("t.ini", text.data, text.len, &conf, &messages);
        assert_int_equal(err, model.contradicts ? ERR_INVALID : ERR_OK);
        refused += model.contradicts;
        if (err == ERR_OK) {
            check_against(&conf->routes[0], &model);
            assert_rewritten(conf);
        }
        conf_free(conf);
        str_free(&text);
        str_free(&messages);
    }
    assert_true(refused > 100 && refused < 1900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_are_read_in_any_number_and_order),
        cmocka_unit_test(a_mapped_network_is_that_of_ipv4),
        cmocka_unit_test(the_same_network_is_kept_once),
        cmocka_unit_test(a_network_both_allowed_and_denied_is_told_with_both_places),
        cmocka_unit_test(of_many_contradictions_the_first_are_told),
        cmocka_unit_test(a_wrong_network_is_told_with_what_would_be_right),
        cmocka_unit_test(the_defaults_hold_for_routes_without_lists_of_their_own),
        cmocka_unit_test(defaults_that_no_route_uses_are_checked_all_the_same),
        cmocka_unit_test(long_lists_are_written_in_lines_of_moderate_length),
        cmocka_unit_test(random_lists_hold_each_network_once_or_are_refused),
    };
    return cmocka_run_group_tests_name("config_access", tests, NULL, NULL);
}
