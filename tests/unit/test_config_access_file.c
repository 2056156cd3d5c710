/* test_config_access_file.c - allow = @FILE: which file, what may be in it, and what is said about
 * what may not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cmocka.h>

#include "base/addr_net.h"
#include "base/str.h"
#include "config/conf.h"
#include "config_text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ONE "test_config_access_1.tmp"
#define TWO "test_config_access_2.tmp"

static void write_bytes(const char *path, const char *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void write_text(const char *path, const char *text)
{
    write_bytes(path, text, strlen(text));
}

static int remove_files(void **state)
{
    (void)state;
    chmod(ONE, 0600);
    remove(ONE);
    remove(TWO);
    return 0;
}

static void assert_net(const struct conf_route *route, size_t i, bool allow, const char *net)
{
    char text[ADDR_NET_TEXT_MAX];
    assert_true(i < route->access_count);
    assert_string_equal(addr_net_format(&route->access[i].net, text), net);
    assert_int_equal(route->access[i].allow, allow);
}

/* ---- good files ---- */

static void a_file_has_a_network_in_each_line(void **state)
{
    (void)state;
    write_text(ONE, "\xef\xbb\xbf# players\r\n\r\n  10.0.0.0/8 ; the office\r\n;10.9.0.0/16\n"
                    "2001:db8::5\n::ffff:192.0.2.7\nall");
    struct conf *conf = load_with("deny = @" ONE);
    const struct conf_route *route = &conf->routes[0];
    assert_int_equal(route->access_count, 5);
    assert_net(route, 0, false, "0.0.0.0/0");
    assert_net(route, 1, false, "10.0.0.0/8");
    assert_net(route, 2, false, "192.0.2.7/32");
    assert_net(route, 3, false, "::/0");
    assert_net(route, 4, false, "2001:db8::5/128");
    assert_int_equal(route->access_file_count, 1);
    assert_string_equal(route->access_files[0].path, ONE);
    assert_false(route->access_files[0].allow);
    conf_free(conf);
}

static void an_empty_file_names_nobody(void **state)
{
    (void)state;
    write_text(ONE, "");
    write_text(TWO, "# nobody yet\n");
    struct conf *conf = load_with("allow = @" ONE "\nallow = @" TWO);
    assert_int_equal(conf->routes[0].access_count, 0);
    assert_int_equal(conf->routes[0].access_file_count, 2);
    assert_rewritten(conf);
    conf_free(conf);
}

static void a_file_is_looked_for_beside_the_configuration(void **state)
{
    (void)state;
    const char *text = GOOD_ROUTE "allow = @access.txt\n";
    const char *const names[] = {PAIRPORT_UNIT_DIR "/pairport.ini",
                                 PAIRPORT_UNIT_DIR "/../unit/x"};
    struct conf *conf = NULL;
    struct str messages;
    str_init(&messages);
    for (size_t i = 0; i < COUNT(names); ++i) {
        assert_int_equal(conf_load_text(names[i], text, strlen(text), &conf, &messages),
                         ERR_OK);
        assert_int_equal(conf->routes[0].access_count, 3);
        assert_net(&conf->routes[0], 0, true, "192.0.2.0/24");
        assert_string_equal(conf->routes[0].access_files[0].path, "access.txt");
        conf_free(conf);
    }
    str_free(&messages);
    conf = load_with("allow = @" PAIRPORT_UNIT_DIR "/access.txt");
    assert_int_equal(conf->routes[0].access_count, 3);
    conf_free(conf);
    assert_refused(text, "t.ini:4: [route r] allow: there is no file 'access.txt'; write the "
                         "name of one\n");
}

static void a_file_is_written_by_its_name(void **state)
{
    (void)state;
    write_text(ONE, "10.0.0.1\n10.0.0.2\n10.0.0.3\n");
    write_text(TWO, "10.0.0.3\n::1\n");
    struct str out;
    struct conf *conf = load_with("allow = 10.0.0.2, 10.0.0.9\nallow = @" TWO "\nallow = @" ONE
                                  "\nallow = @" TWO);
    str_init(&out);
    conf_write(conf, &out);
    assert_int_equal(conf->routes[0].access_count, 5);
    assert_non_null(strstr(out.data, "\nallow = @" TWO "\nallow = @" ONE
                                     "\nallow = 10.0.0.2/32, 10.0.0.9/32\ndeny =\n"));
    assert_rewritten(conf);
    struct conf *again = load_good(out.data);
    assert_int_equal(again->routes[0].access_count, 5);
    conf_free(again);
    conf_free(conf);
    str_free(&out);
}

static void the_defaults_may_name_a_file_for_all_routes(void **state)
{
    (void)state;
    write_text(ONE, "10.0.0.0/8\n");
    struct conf *conf = load_good("[defaults]\nallow = @" ONE "\n" GOOD_ROUTE
                                  "[route s]\nlisten=:1\nupstream=h:1\n"
                                  "[route t]\nlisten=:2\nupstream=h:1\ndeny = @" ONE "\n");
    for (size_t i = 0; i < 3; ++i) {
        assert_int_equal(conf->routes[i].access_count, 1);
        assert_int_equal(conf->routes[i].access_file_count, 1);
        assert_int_equal(conf->routes[i].access[0].allow, i < 2);
    }
    assert_rewritten(conf);
    conf_free(conf);
}

/* Adding each in a time that grows with those before it would not end. */
static void a_hundred_thousand_lines_are_read_and_written_in_one(void **state)
{
    (void)state;
    struct str text;
    struct str out;
    str_init(&text);
    str_init(&out);
    for (unsigned i = 0; i < 100000; ++i) {
        unsigned mixed = i * 7919 % 100000;
        str_addf(&text, "10.%u.%u.%u\n", mixed >> 16, mixed >> 8 & 255, mixed & 255);
    }
    write_bytes(ONE, text.data, text.len);
    struct conf *conf = load_with("allow = @" ONE "\ndeny = all");
    assert_int_equal(conf->routes[0].access_count, 100002);
    for (size_t i = 1; i < conf->routes[0].access_count - 1; ++i)
        assert_true(memcmp(conf->routes[0].access[i - 1].net.addr.ip,
                           conf->routes[0].access[i].net.addr.ip, 4) < 0);
    conf_write(conf, &out);
    assert_true(out.len < 4096);
    conf_free(conf);
    str_free(&text);
    str_free(&out);
}

/* ---- files that can't be read ---- */

static const struct bad_line bad_files[] = {
    {"allow = @no/such/file", "there is no file 'no/such/file'; write the name of one"},
    {"allow = @.", "'.' is a directory; name a file in it"},
    {"allow = @", "right behind '@' stands no name; write one such as @players.txt"},
    {"allow = @ x", "right behind '@' stands no name; write one such as @players.txt"},
    {"allow = @a\tb", "'a b' has a tab in it; rename the file"},
    {"allow = @\"x y\"", "'\"x y\"' begins with a quotation mark, which would be part of it; "
                         "write it without"},
};

static void a_file_that_is_none_is_told(void **state)
{
    (void)state;
    assert_lines_refused(bad_files, COUNT(bad_files));
}

/* Reading one might wait for ever. */
static void a_device_is_not_read(void **state)
{
    (void)state;
    struct stat info;
    if (stat("/dev/zero", &info) != 0 || !S_ISCHR(info.st_mode))
        skip(); /* Windows has others, under other names */
    assert_refused(
        GOOD_ROUTE "allow = @/dev/zero\n",
        "t.ini:4: [route r] allow: '/dev/zero' is a pipe or a device; name a file\n");
}

static void a_file_without_permission_is_told_as_that(void **state)
{
    (void)state;
    write_text(ONE, "10.0.0.1\n");
    chmod(ONE, 0);
    FILE *file = fopen(ONE, "rb");
    if (file != NULL) { /* for root, and on Windows, every file can be read */
        fclose(file);
        skip();
    }
    assert_refused(GOOD_ROUTE "deny = @" ONE "\n",
                   "t.ini:4: [route r] deny: '" ONE "' can't be read: permission denied; allow "
                   "this user to read it\n");
}

static void a_name_too_long_is_told(void **state)
{
    (void)state;
    char name[CONF_PATH_MAX] = "";
    char text[2 * CONF_LINE_MAX];
    struct conf *conf = NULL;
    struct str messages;
    str_init(&messages);
    memset(name, 'd', 900);
    memcpy(name + 900, "/t.ini", sizeof "/t.ini");
    str_format(text, sizeof text, GOOD_ROUTE "allow = @%0200d\n", 0);
    assert_int_equal(conf_load_text(name, text, strlen(text), &conf, &messages), ERR_INVALID);
    assert_non_null(strstr(messages.data,
                           "...' and its folder have more than 1015 bytes; move the file\n"));
    str_free(&messages);
}

static void sixty_four_files_are_the_most(void **state)
{
    (void)state;
    struct str text;
    str_init(&text);
    write_text(ONE, "10.0.0.1\n");
    str_add(&text, GOOD_ROUTE);
    for (int i = 0; i < 64; ++i)
        str_addf(
            &text, "allow = @%.*s" ONE "\n", 2 * i,
            "./././././././././././././././././././././././././././././././././././././././"
            "./././././././././././././././././././././././././");
    conf_free(load_good(text.data));
    str_add(&text, "allow = @" ONE "\ndeny = @" ONE "\n");
    assert_refused(text.data, "t.ini:69: [route r] deny: there are 64 files already, which is "
                              "the most; join some\n");
    str_free(&text);
}

/* ---- what is wrong in a file ---- */

#define ALLOW GOOD_ROUTE "allow = @" ONE "\n"
#define AT    "t.ini:4: [route r] allow: " ONE

static const struct {
    const char *content;
    const char *messages;
} bad_contents[] = {
    {"10.0.0.1\n\nlobby.example.com\n10.0.0.0/40\n",
     AT ":3: 'lobby.example.com' is not an address or network; write such as 10.0.0.0/8 or "
        "2001:db8::5\n" AT ":4: '10.0.0.0/40' has a wrong number behind its slash; write 0 to "
        "32 there for IPv4 and 0 to 128 for IPv6\n"},
    {"10.0.0.1, 10.0.0.2\n",
     AT ":1: '10.0.0.1, 10.0.0.2' is more than one network; write each into a line of its own, "
        "and ';' or '#' before a comment\n"},
    {"10.0.0.1 cheats\n",
     AT ":1: '10.0.0.1 cheats' is more than one network; write each into a line of its own, "
        "and ';' or '#' before a comment\n"},
    {"@other.txt\n", AT ":1: '@other.txt' names another file; write that one into the "
                        "configuration\n"},
    {"10.0.0.1\n\x80\n", AT ":2: at byte 1 of the line is 0x80, which is not UTF-8; save the "
                            "file as UTF-8\n"},
    {"\xff\xfe"
     "1",
     AT ": the file is UTF-16; save it as UTF-8\n"},
};

static void what_is_wrong_in_a_file_is_told_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_contents); ++i) {
        write_text(ONE, bad_contents[i].content);
        assert_refused(ALLOW, bad_contents[i].messages);
    }
    write_bytes(ONE, "10.0.0.1\n10.0\0.0.2\n", 18);
    assert_refused(ALLOW, AT ":2: the line holds a NUL byte; a configuration is plain UTF-8 "
                             "text\n");
}

static void a_line_over_the_limit_is_told(void **state)
{
    (void)state;
    char content[CONF_LINE_MAX + 16];
    memset(content, ' ', sizeof content);
    memcpy(content, "::1", 3);
    content[CONF_LINE_MAX] = '\n';
    write_bytes(ONE, content, CONF_LINE_MAX + 1);
    conf_free(load_good(ALLOW));
    content[CONF_LINE_MAX] = ' ';
    write_bytes(ONE, content, CONF_LINE_MAX + 1);
    assert_refused(ALLOW, AT ":1: the line has 1025 bytes; at most 1024 are read, make it "
                             "shorter\n");
}

static void of_a_file_that_is_no_list_the_first_lines_are_told(void **state)
{
    (void)state;
    struct str text;
    struct str expected;
    str_init(&text);
    str_init(&expected);
    for (int i = 1; i <= 50000; ++i)
        str_addf(&text, "x%d\n", i);
    write_bytes(ONE, text.data, text.len);
    for (int i = 1; i <= 20; ++i)
        str_addf(&expected,
                 AT ":%d: 'x%d' is not an address or network; write such as 10.0.0.0/8 or "
                    "2001:db8::5\n",
                 i, i);
    str_add(&expected,
            "t.ini:4: [route r] allow: 49980 more lines of " ONE
            " are wrong; mend these first\n"
            "t.ini:5: [route r] backlog: 'x' is not a number; write auto, or 1 to 65535\n");
    assert_refused(ALLOW "backlog = x\n", expected.data);
    str_free(&text);
    str_free(&expected);
}

static void a_contradiction_between_files_is_told_with_both_places(void **state)
{
    (void)state;
    write_text(ONE, "\n10.0.0.0/8\n::1\n");
    write_text(TWO, "192.0.2.1\n10.0.0.0/8\n");
    assert_refused(GOOD_ROUTE "allow = @" ONE "\ndeny = @" TWO "\n",
                   "t.ini:5: [route r] deny: " TWO ":2: 10.0.0.0/8 is allowed in " ONE
                   ":2; remove one of them\n");
    assert_refused(GOOD_ROUTE "allow = @" ONE "\ndeny = ::1\n",
                   "t.ini:5: [route r] deny: ::1/128 is allowed in " ONE
                   ":3; remove one of them\n");
    assert_refused(GOOD_ROUTE "deny = ::1\nallow = @" ONE "\n",
                   "t.ini:5: [route r] allow: " ONE
                   ":3: ::1/128 is denied in line 4; remove one of them\n");
}

#define FILE_TEST(name) cmocka_unit_test_teardown(name, remove_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(a_file_has_a_network_in_each_line),
        FILE_TEST(an_empty_file_names_nobody),
        FILE_TEST(a_file_is_looked_for_beside_the_configuration),
        FILE_TEST(a_file_is_written_by_its_name),
        FILE_TEST(the_defaults_may_name_a_file_for_all_routes),
        FILE_TEST(a_hundred_thousand_lines_are_read_and_written_in_one),
        FILE_TEST(a_file_that_is_none_is_told),
        FILE_TEST(a_device_is_not_read),
        FILE_TEST(a_file_without_permission_is_told_as_that),
        FILE_TEST(a_name_too_long_is_told),
        FILE_TEST(sixty_four_files_are_the_most),
        FILE_TEST(what_is_wrong_in_a_file_is_told_with_its_line),
        FILE_TEST(a_line_over_the_limit_is_told),
        FILE_TEST(of_a_file_that_is_no_list_the_first_lines_are_told),
        FILE_TEST(a_contradiction_between_files_is_told_with_both_places),
    };
    return cmocka_run_group_tests_name("config_access_file", tests, NULL, NULL);
}
