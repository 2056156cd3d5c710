/* test_config_lines.c - the bytes of a file: what is a line, and what can't be one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "config/conf.h"
#include "config_text.h"

/* A route, with `line` in the place of its fourth line, of `len` bytes. */
static void make_text(struct str *text, const char *line, size_t len)
{
    str_init(text);
    str_add(text, GOOD_ROUTE);
    str_add_bytes(text, line, len);
    str_add(text, "\nbacklog = 7\n");
}

static void assert_line_refused(const char *line, size_t len, const char *message)
{
    struct str text;
    char expected[256];
    make_text(&text, line, len);
    str_format(expected, sizeof expected, "t.ini:4: %s\n", message);
    assert_refused_bytes(text.data, text.len, expected);
    str_free(&text);
}

#define REFUSE(line, message) assert_line_refused(line, sizeof(line) - 1, message)

static void a_line_with_a_nul_byte_is_refused(void **state)
{
    (void)state;
    static const char nul[] = "the line holds a NUL byte; a configuration is plain UTF-8 text";
    REFUSE("nodelay = no\0", nul);
    REFUSE("nodelay = \0no", nul);
    REFUSE("\0", nul);
    REFUSE("; comment \0", nul);
}

static void a_line_that_is_not_utf8_is_refused(void **state)
{
    (void)state;
    REFUSE("; gr\xfc\xdf",
           "at byte 5 of the line is 0xfc, which is not UTF-8; save the file as UTF-8");
    REFUSE("\xc3", "at byte 1 of the line is 0xc3, which is not UTF-8; save the file as UTF-8");
    REFUSE("a\xc0\xaf",
           "at byte 2 of the line is 0xc0, which is not UTF-8; save the file as UTF-8");
    REFUSE("\xed\xa0\x80",
           "at byte 1 of the line is 0xed, which is not UTF-8; save the file as UTF-8");
}

/* A file in Latin-1 has many such lines, and without them others lack something. */
static void of_a_file_that_is_not_utf8_only_the_cause_is_told(void **state)
{
    (void)state;
    assert_refused(
        "[route caf\xe9]\nlisten = *:1\n; caf\xe9\nupstream = caf\xe9:1\n",
        "t.ini:1: at byte 11 of the line is 0xe9, which is not UTF-8; save the file as "
        "UTF-8\n");
}

static void a_line_with_characters_that_nobody_sees_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned at;
        const char *what;
    } cases[] = {
        {"nodelay = no\x1b[2J", 13, "a control character"},
        {"nodelay = no\x7f", 13, "a control character"},
        {"nodelay = no\xc2\x9b", 13, "a control character"},
        {"nodelay\r= no", 8, "a control character"},
        {"nodelay =\xc2\xa0no", 10, "a no-break space"},
        {"\xe2\x80\x8bnodelay = no", 1, "a zero-width space"},
        {"\xef\xbb\xbfnodelay = no", 1, "a byte order mark"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char message[128];
        str_format(message, sizeof message,
                   "at byte %u of the line is %s; remove it or write a plain blank",
                   cases[i].at, cases[i].what);
        assert_line_refused(cases[i].line, strlen(cases[i].line), message);
    }
}

static void a_comment_may_hold_any_character(void **state)
{
    (void)state;
    struct conf *conf = load_good(GOOD_ROUTE "; \xc2\xab\xc2\xa0"
                                             "oui\xc2\xa0\xc2\xbb\f\n"
                                             "backlog = 7 # \xe2\x80\x8b\n");
    assert_int_equal(conf->routes[0].backlog, 7);
    conf_free(conf);
}

static void a_line_of_1024_bytes_is_read_whole_and_a_longer_one_refused(void **state)
{
    (void)state;
    struct str line;
    struct str text;
    str_init(&line);
    str_add(&line, "[relay]\nlog_file = /");
    while (line.len < strlen("[relay]\n") + CONF_LINE_MAX)
        str_add_char(&line, 'x');
    make_text(&text, line.data, line.len);
    /* "backlog" behind it is no key of [relay]. */
    text.len -= strlen("backlog = 7\n");
    text.data[text.len] = '\0';
    struct conf *conf = load_good(text.data);
    assert_int_equal(strlen(conf->log_file), CONF_LINE_MAX - strlen("log_file = "));
    assert_int_equal(strspn(conf->log_file + 1, "x"), strlen(conf->log_file) - 1);
    conf_free(conf);

    text.data[text.len - 1] = 'x';
    assert_refused(text.data,
                   "t.ini:5: the line has 1025 bytes; at most 1024 are read, make it "
                   "shorter\n");
    str_free(&text);
    str_free(&line);
}

static void every_length_of_line_is_read_whole_or_refused(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 1100; ++len) {
        char host[1101];
        struct str text;
        struct str messages;
        struct conf *conf = NULL;
        memset(host, 'x', len);
        host[len] = '\0';
        str_init(&text);
        str_init(&messages);
        str_addf(&text, "%s[relay]\nlog_file=%s\n", GOOD_ROUTE, host);
        enum err err = conf_load_text("t.ini", text.data, text.len, &conf, &messages);
        if (len <= CONF_LINE_MAX - strlen("log_file = ")) {
            assert_int_equal(err, ERR_OK);
            assert_string_equal(conf->log_file, host);
        } else {
            assert_int_equal(err, ERR_INVALID);
        }
        conf_free(conf);
        str_free(&messages);
        str_free(&text);
    }
}

static void a_comment_of_any_length_up_to_the_limit_is_fine(void **state)
{
    (void)state;
    char comment[CONF_LINE_MAX + 1];
    struct str text;
    memset(comment, ';', CONF_LINE_MAX);
    comment[CONF_LINE_MAX] = '\0';
    str_init(&text);
    str_addf(&text, "%s\n%s", comment, GOOD_ROUTE);
    conf_free(load_good(text.data));
    str_free(&text);
}

static void lines_may_end_as_on_windows_or_not_at_all(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[route r]\r\nlisten = :1\r\nupstream = h:1\r\nbacklog = 7\r\n",
        "[route r]\r\nlisten = :1\nupstream = h:1\r\n\r\nbacklog = 7",
        "\n\n[route r]\nlisten = :1\nupstream = h:1\nbacklog = 7",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        struct conf *conf = load_good(texts[i]);
        assert_string_equal(conf->routes[0].upstreams[0].name, "h:1");
        assert_int_equal(conf->routes[0].backlog, 7);
        conf_free(conf);
    }
}

static void a_byte_order_mark_at_the_start_is_dropped(void **state)
{
    (void)state;
    conf_free(load_good("\xef\xbb\xbf" GOOD_ROUTE));
    assert_refused("\xef\xbb\xbf",
                   "t.ini: there is no route; add a section [route NAME] with a "
                   "listen and an upstream line\n");
}

static void utf16_is_recognised(void **state)
{
    (void)state;
    static const char little[] = "\xff\xfe[\0r\0]\0";
    static const char big[] = "\xfe\xff\0[\0r\0]";
    static const char told[] = "t.ini: the file is UTF-16; save it as UTF-8\n";
    assert_refused_bytes(little, sizeof little - 1, told);
    assert_refused_bytes(big, sizeof big - 1, told);
    assert_refused_bytes(little, 2, told);
}

/* The INI library would take it for a part of the value above. */
static void an_indented_line_is_a_line_of_its_own(void **state)
{
    (void)state;
    struct conf *conf = load_good("[route r]\nlisten = :1\n   listen = :2\n\tupstream = h:1\n");
    assert_int_equal(conf->routes[0].listen_count, 2);
    assert_int_equal(conf->routes[0].listens[1].addr.port, 2);
    assert_int_equal(conf->routes[0].listens[1].line, 3);
    conf_free(conf);
    assert_refused(GOOD_ROUTE "   10.0.0.6:7000\n",
                   "t.ini:4: [route r]: '10.0.0.6:7000' has no '=' behind its key; write KEY = "
                   "VALUE, or ';' before a comment\n");
}

static void a_comment_begins_at_the_start_or_behind_a_blank(void **state)
{
    (void)state;
    struct conf *conf =
        load_good("; one\n# two\n   ; three\n\t#four\n"
                  "[route r] ; five\nlisten = :1 # six\nupstream = h:1\t;seven\n"
                  "[relay] #\nlog_file = /a;b#c ;d\n");
    assert_string_equal(conf->log_file, "/a;b#c");
    conf_free(conf);
}

static void a_comment_does_not_begin_in_a_quoted_text(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *log_file;
    } cases[] = {
        {"log_file = a=\"b ;c\" ;d", "a=\"b ;c\""},
        {"log_file = a=\"b #c\" #d \"e\"", "a=\"b #c\""},
        {"log_file = a=\"b\\\" ;c\" ;d", "a=\"b\\\" ;c\""},
        {"log_file = a=\"b\" ;c=\"d\"", "a=\"b\""},
        {"log_file = a=\"b ;c", "a=\"b"},         /* it never ends, so it never began */
        {"log_file = a \"b ;c\"", "a \"b"},       /* not behind a '=' */
        {"log_file = a=b\"c ;d\"", "a=b\"c"},     /* nor here */
        {"log_file = a='b ;c'", "a='b"},          /* not that kind of mark */
        {"log_file = a=\"b\\\" ;c", "a=\"b\\\""}, /* the second one is a part of the text */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char text[256];
        str_format(text, sizeof text, "[relay]\n%s\n%s", cases[i].line, GOOD_ROUTE);
        struct conf *conf = load_good(text);
        assert_string_equal(conf->log_file, cases[i].log_file);
        assert_rewritten(conf);
        conf_free(conf);
    }
}

static void a_quoted_text_holds_no_characters_that_nobody_sees(void **state)
{
    (void)state;
    REFUSE("health = tcp send=\"a ;\x1b\"",
           "at byte 23 of the line is a control character; remove it or write a plain blank");
}

static void a_value_may_hold_what_separates_keys(void **state)
{
    (void)state;
    struct conf *conf = load_good("[relay]\nlog_file = C:\\p=q\\[x]:y.log\n" GOOD_ROUTE);
    assert_string_equal(conf->log_file, "C:\\p=q\\[x]:y.log");
    conf_free(conf);
}

static void letters_of_any_language_are_kept(void **state)
{
    (void)state;
    /* The last byte of each is a blank in some code pages: 0x85 and 0xa0. */
    static const char *const names[] = {"/\xc4\x85", "/\xc3\xa0", "/\xd0\xb6/\xe6\x97\xa5"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        char text[256];
        str_format(text, sizeof text, "[relay]\nlog_file = %s\n%s", names[i], GOOD_ROUTE);
        struct conf *conf = load_good(text);
        assert_string_equal(conf->log_file, names[i]);
        conf_free(conf);
    }
}

static void nothing_at_all_is_an_empty_file(void **state)
{
    (void)state;
    static const char told[] = "t.ini: the file is empty; add a section [route NAME] with a "
                               "listen and an upstream line\n";
    assert_refused_bytes("", 0, told);
    assert_refused_bytes(NULL, 0, told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_with_a_nul_byte_is_refused),
        cmocka_unit_test(a_line_that_is_not_utf8_is_refused),
        cmocka_unit_test(of_a_file_that_is_not_utf8_only_the_cause_is_told),
        cmocka_unit_test(a_line_with_characters_that_nobody_sees_is_refused),
        cmocka_unit_test(a_comment_may_hold_any_character),
        cmocka_unit_test(a_line_of_1024_bytes_is_read_whole_and_a_longer_one_refused),
        cmocka_unit_test(every_length_of_line_is_read_whole_or_refused),
        cmocka_unit_test(a_comment_of_any_length_up_to_the_limit_is_fine),
        cmocka_unit_test(lines_may_end_as_on_windows_or_not_at_all),
        cmocka_unit_test(a_byte_order_mark_at_the_start_is_dropped),
        cmocka_unit_test(utf16_is_recognised),
        cmocka_unit_test(an_indented_line_is_a_line_of_its_own),
        cmocka_unit_test(a_comment_begins_at_the_start_or_behind_a_blank),
        cmocka_unit_test(a_comment_does_not_begin_in_a_quoted_text),
        cmocka_unit_test(a_quoted_text_holds_no_characters_that_nobody_sees),
        cmocka_unit_test(a_value_may_hold_what_separates_keys),
        cmocka_unit_test(letters_of_any_language_are_kept),
        cmocka_unit_test(nothing_at_all_is_an_empty_file),
    };
    return cmocka_run_group_tests_name("config_lines", tests, NULL, NULL);
}
