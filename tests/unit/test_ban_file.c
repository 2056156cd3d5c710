/* Bans as a file: what is written comes back, and what is damaged is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "os/os.h"
#include "relay/guard/ban_file.h"
#include "support/platform.h"

static char dir[TEST_PATH_MAX], path[TEST_PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(test_make_dir(dir), ERR_OK);
    str_format(path, sizeof path, "%s/state.json", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    test_remove_dir(dir);
    return 0;
}

static struct ban make(const char *net, uint64_t until_ms, const char *reason)
{
    struct ban ban = {.set_ms = 1700000000000, .until_ms = until_ms, .hits = 12};
    assert_int_equal(addr_net_parse(net, &ban.net), ERR_OK);
    str_format(ban.by, sizeof ban.by, "console");
    str_format(ban.reason, sizeof ban.reason, "%s", reason);
    return ban;
}

static void what_is_written_comes_back(void **state)
{
    (void)state;
    struct ban bans[] = {
        make("192.0.2.7", BAN_FOR_EVER, "speed \"hack\" \\ größe"),
        make("10.0.0.0/8", 1800000000000, ""),
        make("2001:db8::/32", 1, "x"),
        make("0.0.0.0/0", BAN_FOR_EVER - 1 > INT64_MAX ? INT64_MAX : 0, "all"),
    };
    enum { COUNT = sizeof bans / sizeof bans[0] };
    struct ban *read;
    size_t count;
    struct str why;
    str_init(&why);
    assert_int_equal(ban_file_write(path, bans, COUNT, NULL), ERR_OK);
    assert_int_equal(ban_file_read(path, &read, &count, &why), ERR_OK);
    assert_int_equal(count, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_true(addr_equal(&read[i].net.addr, &bans[i].net.addr));
        assert_int_equal(read[i].net.bits, bans[i].net.bits);
        assert_int_equal(read[i].set_ms, bans[i].set_ms);
        assert_true(read[i].until_ms == bans[i].until_ms);
        assert_int_equal(read[i].hits, bans[i].hits);
        assert_string_equal(read[i].by, bans[i].by);
        assert_string_equal(read[i].reason, bans[i].reason);
    }
    free(read);
    str_free(&why);
}

static void no_bans_are_a_file_too(void **state)
{
    (void)state;
    struct ban *read;
    size_t count = 9;
    struct str why;
    str_init(&why);
    assert_int_equal(ban_file_read(path, &read, &count, &why), ERR_NOT_FOUND);
    assert_int_equal(ban_file_write(path, NULL, 0, NULL), ERR_OK);
    assert_int_equal(ban_file_read(path, &read, &count, &why), ERR_OK);
    assert_int_equal(count, 0);
    free(read);
    str_free(&why);
}

static void a_file_that_cannot_be_written_leaves_the_old_one(void **state)
{
    (void)state;
    char beside[TEST_PATH_MAX + 8];
    struct ban ban = make("192.0.2.7", BAN_FOR_EVER, "");
    assert_int_equal(ban_file_write(path, &ban, 1, NULL), ERR_OK);
    char *before = test_read_file(path);
    char other[TEST_PATH_MAX];
    str_format(other, sizeof other, "%s/no/such/folder", dir);
    assert_int_not_equal(ban_file_write(other, &ban, 1, NULL), ERR_OK);
    str_format(beside, sizeof beside, "%s.new", path);
    assert_null(test_read_file(beside));
    char *after = test_read_file(path);
    assert_string_equal(before, after);
    free(before);
    free(after);
}

static void a_file_with_nothing_in_it_has_no_bans(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", " \t\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ban *read = NULL;
        size_t count = 9;
        struct str why;
        str_init(&why);
        assert_int_equal(test_write_file(path, texts[i]), ERR_OK);
        assert_int_equal(ban_file_read(path, &read, &count, &why), ERR_OK);
        assert_int_equal(count, 0);
        free(read);
        str_free(&why);
    }
}

static void what_is_no_file_is_not_damaged(void **state)
{
    (void)state;
    struct ban *read = NULL;
    size_t count;
    struct str why;
    str_init(&why);
    assert_int_equal(ban_file_read(dir, &read, &count, &why), ERR_UNSUPPORTED);
    assert_string_equal(why.data, "it is no plain file");
    str_free(&why);
}

static void each_ban_has_a_line(void **state)
{
    (void)state;
    struct ban bans[] = {make("192.0.2.7", BAN_FOR_EVER, "a"), make("192.0.2.8", 1, "b")};
    uint64_t bytes = 0;
    assert_int_equal(ban_file_write(path, bans, 2, &bytes), ERR_OK);
    char *text = test_read_file(path);
    assert_int_equal(strlen(text), bytes);
    size_t lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 4);
    free(text);
}

#define HEAD  "{\"format\": \"pairport state\", \"version\": 1, \"bans\": ["
#define WRONG "number 1 of \"bans\": "

static void a_damaged_file_is_told_by_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } files[] = {
        {"{\"format\": \"pairport state\", \"vers", "line 1, column"},
        {"[]", "\"format\" is not \"pairport state\""},
        {"{\"format\": 1}", "\"format\" is not"},
        {"{\"format\": \"pairport state\", \"version\": 2}", "\"version\" is not 1"},
        {"{\"format\": \"pairport state\"}", "\"version\" is not 1"},
        {"{\"format\": \"pairport state\", \"version\": 1, \"bans\": 5}",
         "\"bans\" is no array"},
        {HEAD "5]}", WRONG "\"network\" is missing or wrong"},
        {HEAD "{\"network\": \"10.0.0.1/8\"}]}", WRONG "\"network\""},
        {HEAD "{\"network\": \"10.0.0.0/8\", \"set_ms\": -1}]}", WRONG "\"set_ms\""},
        {HEAD "{\"network\": \"10.0.0.0/8\", \"set_ms\": 1}]}", WRONG "\"until_ms\""},
        {HEAD "{\"network\": \"10.0.0.0/8\", \"set_ms\": 1, \"until_ms\": null, "
              "\"hits\": 1.5}]}",
         WRONG "\"hits\""},
        {HEAD "{\"network\": \"10.0.0.0/8\", \"set_ms\": 1, \"until_ms\": null, "
              "\"hits\": 1}]}",
         WRONG "\"by\""},
        {HEAD "{\"network\": \"10.0.0.0/8\", \"set_ms\": 1, \"until_ms\": null, "
              "\"hits\": 1, \"by\": \"console\", \"reason\": \"a\\u001b[2J\"}]}",
         WRONG "\"reason\""},
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct ban *read = NULL;
        size_t count;
        struct str why;
        str_init(&why);
        assert_int_equal(test_write_file(path, files[i].text), ERR_OK);
        assert_int_equal(ban_file_read(path, &read, &count, &why), ERR_INVALID);
        if (strstr(why.data, files[i].why) == NULL)
            fail_msg("of '%s' is said '%s'", files[i].text, why.data);
        assert_null(read);
        str_free(&why);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    os_init();
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_comes_back),
        TEST(no_bans_are_a_file_too),
        TEST(a_file_that_cannot_be_written_leaves_the_old_one),
        TEST(a_file_with_nothing_in_it_has_no_bans),
        TEST(what_is_no_file_is_not_damaged),
        TEST(each_ban_has_a_line),
        TEST(a_damaged_file_is_told_by_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
