/* test_config_sections.c - sections and keys in wrong places, under wrong names, too often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "config_text.h"

static const struct bad_text bad_keys[] = {
    {"[relay]\nworker = 2\n" GOOD_ROUTE,
     "t.ini:2: [relay]: unknown key 'worker'; did you mean 'workers'?\n"},
    {"[relay]\nWorkers = 2\n" GOOD_ROUTE,
     "t.ini:2: [relay]: unknown key 'Workers'; did you mean 'workers'?\n"},
    {"[relay]\nfoo = 2\n" GOOD_ROUTE, "t.ini:2: [relay]: unknown key 'foo'; keys are workers, "
                                      "max_sessions, stop_timeout, log_level, log_file, "
                                      "connect_rate, client_table, client_prefix_ipv4, "
                                      "client_prefix_ipv6, tarpit_max and state_file\n"},
    {"[console]\nfoo = 1\n" GOOD_ROUTE,
     "t.ini:2: [console]: unknown key 'foo'; keys are listen and name\n"},
    {"[defaults]\nfoo = :1\n" GOOD_ROUTE,
     "t.ini:2: [defaults]: unknown key 'foo'; conf/pairport.ini has all keys with their "
     "meaning\n"},
    {GOOD_ROUTE "protocol = udp\n",
     "t.ini:4: [route r]: unknown key 'protocol'; every route relays TCP\n"},
    {GOOD_ROUTE "proxy_pass = x:1\n",
     "t.ini:4: [route r]: unknown key 'proxy_pass'; write upstream = HOST:PORT\n"},
    {GOOD_ROUTE "idletimeout = 5s\nupstraem = h:1\n",
     "t.ini:4: [route r]: unknown key 'idletimeout'; did you mean 'idle_timeout'?\n"
     "t.ini:5: [route r]: unknown key 'upstraem'; did you mean 'upstream'?\n"},
    {"[relay]\nbacklog = 2\n" GOOD_ROUTE,
     "t.ini:2: [relay]: 'backlog' is a key of [route NAME]; move it there\n"},
    {GOOD_ROUTE "workers = 2\n",
     "t.ini:4: [route r]: 'workers' is a key of [relay]; move it there\n"},
    {GOOD_ROUTE "name = two\n",
     "t.ini:4: [route r]: 'name' is a key of [console]; move it there\n"},
    {"[relay]\nlisten = :1\n" GOOD_ROUTE,
     "t.ini:2: [relay]: 'listen' is a key of [route NAME]; move it there\n"},
    {"[defaults]\nlisten = :1\nupstream = h:1\n" GOOD_ROUTE,
     "t.ini:2: [defaults]: 'listen' is a key of [route NAME]; move it there\n"
     "t.ini:3: [defaults]: 'upstream' is a key of [route NAME]; move it there\n"},
    {"workers = 2\n" GOOD_ROUTE,
     "t.ini:1: 'workers' stands before any section; put it under [relay]\n"},
    {"foo = 2\n" GOOD_ROUTE, "t.ini:1: 'foo' stands before any section; put it under [relay], "
                             "[console], [defaults] or [route NAME]\n"},
    {"listen 0.0.0.0:7777\n" GOOD_ROUTE, "t.ini:1: 'listen 0.0.0.0:7777' has no '=' behind its "
                                         "key; write KEY = VALUE, or ';' before a comment\n"},
    {"[relay]\nworkers 2\n" GOOD_ROUTE, "t.ini:2: [relay]: 'workers 2' has no '=' behind its "
                                        "key; write KEY = VALUE, or ';' before a comment\n"},
    {"[relay]\nworkers: 2\n" GOOD_ROUTE, "t.ini:2: [relay]: 'workers: 2' has no '=' behind its "
                                         "key; write KEY = VALUE, or ';' before a comment\n"},
    {"[relay]\n= 2\n" GOOD_ROUTE,
     "t.ini:2: [relay]: '= 2' has no key; write KEY = VALUE, or ';' before a comment\n"},
    {"[relay]\n: 2\n" GOOD_ROUTE,
     "t.ini:2: [relay]: ': 2' has no key; write KEY = VALUE, or ';' before a comment\n"},
    {"[relay]\nworkers = 1\nworkers = 2\nworkers = x\n" GOOD_ROUTE,
     "t.ini:3: [relay] workers: given twice, the first time in line 2; remove one of them\n"
     "t.ini:4: [relay] workers: given twice, the first time in line 2; remove one of them\n"
     "t.ini:4: [relay] workers: 'x' is not a number; write auto, or 1 to 256\n"},
    {GOOD_ROUTE "nodelay = yes\nbacklog = 7\nnodelay = no\n",
     "t.ini:6: [route r] nodelay: given twice, the first time in line 4; remove one of them\n"},
};

static void a_key_that_does_not_belong_there_is_told(void **state)
{
    (void)state;
    assert_all_refused(bad_keys, sizeof bad_keys / sizeof bad_keys[0]);
}

static const struct bad_text bad_sections[] = {
    {"[relay]\nworkers=1\n[relay]\nworkers=2\n" GOOD_ROUTE,
     "t.ini:3: [relay] is there twice, the first time in line 1; merge them\n"},
    {"[console]\n" GOOD_ROUTE "[console]\n",
     "t.ini:5: [console] is there twice, the first time in line 1; merge them\n"},
    {"[defaults]\n[console]\n[defaults]\n[defaults]\n" GOOD_ROUTE,
     "t.ini:3: [defaults] is there twice, the first time in line 1; merge them\n"
     "t.ini:4: [defaults] is there twice, the first time in line 1; merge them\n"},
    {GOOD_ROUTE "[route r]\nlisten = :1\nupstream = h:1\nnodelay = maybe\n",
     "t.ini:4: [route r] is there twice, the first time in line 1; give each route a name of "
     "its own\n"
     "t.ini:7: [route r] nodelay: 'maybe' is neither yes nor no; write one of them\n"},
    {"[route]\nlisten = :1\nupstream = h\n",
     "t.ini:1: [route] has no name; write one behind it, such as [route lobby]\n"
     "t.ini:3: [route ?] upstream: 'h' has no port; write HOST:PORT, such as 10.0.0.5:7000\n"},
    {"[route a b]\nlisten = :1\nupstream = h:1\n",
     "t.ini:1: 'a b' is not a route name; it has 1 to 31 letters, digits, '_', '-' or '.'\n"},
    {"[route a/b]\nlisten = :1\nupstream = h:1\n",
     "t.ini:1: 'a/b' is not a route name; it has 1 to 31 letters, digits, '_', '-' or '.'\n"},
    {"[route abcdefghijkl.mnopq-rstuvw_XYZ090]\nlisten = :1\nupstream = h:1\n",
     "t.ini:1: 'abcdefghijkl.mnopq-rstuvw_XYZ090' is not a route name; it has 1 to 31 letters, "
     "digits, '_', '-' or '.'\n"},
    {"[route ä]\nlisten = :1\nupstream = h:1\n",
     "t.ini:1: 'ä' is not a route name; it has 1 to 31 letters, digits, '_', '-' or '.'\n"},
    {"[route All]\nlisten = :1\nupstream = h:1\n",
     "t.ini:1: [route All]: 'All' is a word of the console's commands, so a route can't be "
     "named "
     "so; write another name, such as [route All-1]\n"},
    {"[route a=b]\nlisten = :1\nupstream = h:1\n",
     "t.ini:1: 'a=b' is not a route name; it has 1 to 31 letters, digits, '_', '-' or '.'\n"},
    {"[relay x]\n" GOOD_ROUTE, "t.ini:1: unknown section 'relay x'; did you mean [relay]?\n"},
    {"[Relay]\nworkers = many\n" GOOD_ROUTE,
     "t.ini:1: unknown section 'Relay'; did you mean [relay]?\n"},
    {"[default]\n" GOOD_ROUTE,
     "t.ini:1: unknown section 'default'; did you mean [defaults]?\n"},
    {"[lobby]\nlisten = :1\nnonsense\n" GOOD_ROUTE,
     "t.ini:1: unknown section 'lobby'; sections are [relay], [console], [defaults] and [route "
     "NAME]\n"
     "t.ini:3: 'nonsense' has no '=' behind its key; write KEY = VALUE, or ';' before a "
     "comment\n"},
    {"[]\n" GOOD_ROUTE, "t.ini:1: unknown section ''; sections are [relay], [console], "
                        "[defaults] and [route NAME]\n"},
    {"[routes lobby]\nlisten = :1\n",
     "t.ini:1: unknown section 'routes lobby'; did you mean [route NAME]?\n"},
    {"[console\nlisten = nowhere\n" GOOD_ROUTE,
     "t.ini:1: '[console' has no closing bracket; write ']' at its end\n"
     "t.ini:2: [console] listen: 'nowhere' is not known; write local or none\n"},
    {"[console] listen = none\n" GOOD_ROUTE,
     "t.ini:1: 'listen = none' stands behind a section's name; put it into the next line\n"},
    {"[relay]\n", "t.ini: there is no route; add a section [route NAME] with a listen and an "
                  "upstream line\n"},
    {"; nothing but a comment\n", "t.ini: there is no route; add a section [route NAME] with a "
                                  "listen and an upstream line\n"},
};

static void a_section_that_does_not_belong_there_is_told(void **state)
{
    (void)state;
    assert_all_refused(bad_sections, sizeof bad_sections / sizeof bad_sections[0]);
}

static const struct bad_text bad_all_over[] = {
    {"level = 1\n[relay]\nworkers = 0.5\n[route b]\nlisten = :99999\n[rotue "
     "c]\n[relay]\n[route a]\nupstream = 1.2.3.4:5\nlisten\n",
     "t.ini:1: 'level' stands before any section; put it under [relay], [console], [defaults] "
     "or [route NAME]\n"
     "t.ini:3: [relay] workers: '0.5' is not a number; write auto, or 1 to 256\n"
     "t.ini:4: [route b] has no upstream; add a line such as 'upstream = 10.0.0.5:7000'\n"
     "t.ini:5: [route b] listen: the port of ':99999' is no number from 1 to 65535; write "
     "ADDRESS:PORT, such as 0.0.0.0:7777 or *:7777\n"
     "t.ini:6: unknown section 'rotue c'; did you mean [route NAME]?\n"
     "t.ini:7: [relay] is there twice, the first time in line 2; merge them\n"
     "t.ini:8: [route a] has no listen; add a line such as 'listen = *:7777'\n"
     "t.ini:10: [route a]: 'listen' has no '=' behind its key; write KEY = VALUE, or ';' "
     "before a comment\n"},
};

static void all_mistakes_come_in_one_go_in_order_of_line(void **state)
{
    (void)state;
    assert_all_refused(bad_all_over, 1);
}

static void blanks_around_sections_and_keys_do_not_matter(void **state)
{
    (void)state;
    struct conf *conf = load_good("  [ \t relay ]\t\n\tworkers=3  \n [route   r]\n"
                                  "    listen   =   :1  \n\t upstream\t=\th:1\t\n");
    assert_int_equal(conf->workers, 3);
    assert_string_equal(conf->routes[0].upstreams[0].name, "h:1");
    conf_free(conf);
}

static void a_long_word_is_shown_cut_between_letters(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    str_add(&text, GOOD_ROUTE "xy");
    for (int i = 0; i < 100; ++i)
        str_add(&text, "\xc3\xa4");
    str_add(&text, " = 1\n");

    struct conf *conf = NULL;
    struct str messages;
    str_init(&messages);
    assert_int_equal(conf_load_text("t.ini", text.data, text.len, &conf, &messages),
                     ERR_INVALID);
    assert_non_null(strstr(messages.data, "\xc3\xa4...'; conf/pairport.ini has all keys"));
    assert_int_equal(str_utf8_prefix(messages.data, messages.len), messages.len);
    str_free(&messages);
    str_free(&text);
}

/* Asserts that of `found` mistakes, one a line from the first on, the first 100 are shown. */
static void assert_shown(const char *text, size_t found)
{
    struct conf *conf = NULL;
    struct str messages;
    size_t shown = 0;
    str_init(&messages);
    assert_int_equal(conf_load_text("t.ini", text, strlen(text), &conf, &messages),
                     ERR_INVALID);
    for (const char *c = messages.data; *c != '\0'; ++c)
        shown += *c == '\n';
    if (found <= 100) {
        assert_int_equal(shown, found);
    } else {
        char last[128];
        str_format(
            last, sizeof last,
            "t.ini:100: 'x' has no '=' behind its key; write KEY = VALUE, "
            "or ';' before a comment\nt.ini: %zu more mistakes are not shown; mend these "
            "first\n",
            found - 100);
        assert_int_equal(shown, 101);
        assert_non_null(strstr(messages.data, last));
    }
    str_free(&messages);
}

static void of_very_many_mistakes_the_first_are_shown_and_the_rest_counted(void **state)
{
    (void)state;
    static const size_t counts[] = {99, 100, 101, 5000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; ++i) {
        struct str text;
        str_init(&text);
        for (size_t j = 0; j < counts[i]; ++j)
            str_add(&text, "x\n");
        str_add(&text, GOOD_ROUTE);
        assert_shown(text.data, counts[i]);
        str_free(&text);
    }
}

/* What only the checks at the end find may stand before what was found first. */
static void mistakes_found_late_push_out_those_of_later_lines(void **state)
{
    (void)state;
    struct str text;
    struct conf *conf = NULL;
    struct str messages;
    str_init(&text);
    str_init(&messages);
    str_add(&text, "[route early]\nlisten = :1\n");
    for (int i = 0; i < 150; ++i)
        str_add(&text, "x\n");
    assert_int_equal(conf_load_text("t.ini", text.data, text.len, &conf, &messages),
                     ERR_INVALID);
    assert_ptr_equal(strstr(messages.data, "t.ini:1: [route early] has no upstream"),
                     messages.data);
    assert_null(strstr(messages.data, "t.ini:102:"));
    assert_non_null(strstr(messages.data, "t.ini:101:"));
    assert_non_null(strstr(messages.data, "t.ini: 51 more mistakes are not shown"));
    str_free(&messages);
    str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_does_not_belong_there_is_told),
        cmocka_unit_test(a_section_that_does_not_belong_there_is_told),
        cmocka_unit_test(all_mistakes_come_in_one_go_in_order_of_line),
        cmocka_unit_test(blanks_around_sections_and_keys_do_not_matter),
        cmocka_unit_test(a_long_word_is_shown_cut_between_letters),
        cmocka_unit_test(of_very_many_mistakes_the_first_are_shown_and_the_rest_counted),
        cmocka_unit_test(mistakes_found_late_push_out_those_of_later_lines),
    };
    return cmocka_run_group_tests_name("config_sections", tests, NULL, NULL);
}
