#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "unit/kept_log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- before there is an output ---- */

/* Has to run first: an output cannot be taken away again. */
static void without_an_output_lines_go_to_stderr_without_a_time(void **state)
{
    (void)state;
    static const char path[] = "test_log.stderr";
    fflush(stderr);
    int saved = dup(2);
    assert_true(saved >= 0);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(dup2(fileno(file), 2) >= 0);

    struct log_limit limit = {0};
    log_warning("cannot open '%s'", "x\ny");
    log_limited(&limit, LOG_ERROR, "first");
    log_limited(&limit, LOG_ERROR, "second"); /* no clock, no window */

    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    fclose(file);

    char text[200];
    file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    remove(path);
    text[len] = '\0';
    if (strchr(text, '\r') != NULL) /* a text stream of Windows */
        assert_string_equal(text, "warning cannot open 'x\\x0ay'\r\nerror first\r\n"
                                  "error second\r\n");
    else
        assert_string_equal(text, "warning cannot open 'x\\x0ay'\nerror first\n"
                                  "error second\n");
}

/* ---- lines ---- */

static void a_line_is_time_level_and_message(void **state)
{
    (void)state;
    wall_us = UINT64_C(1795453445123999);
    log_notice("route '%s': %d upstreams", "lobby", 2);
    assert_string_equal(kept.line,
                        "2026-11-23T17:04:05.123Z notice route 'lobby': 2 upstreams\n");
    assert_int_equal(kept.len, strlen(kept.line));
    assert_int_equal(kept.lines, 1);
    assert_int_equal(kept.level, LOG_NOTICE);
}

static void a_line_says_whose_it_is_where_several_write(void **state)
{
    (void)state;
    log_set_origin("pid 17");
    log_notice("hello");
    log_set_origin(NULL);
    assert_non_null(strstr(kept.line, "Z notice [pid 17] hello\n"));
    log_notice("hello");
    assert_null(strstr(kept.line, "[pid"));
}

static void each_level_has_its_function_and_word(void **state)
{
    (void)state;
    log_set_level(LOG_DEBUG);
    log_error("x");
    assert_string_equal(kept.line, EPOCH "error x\n");
    log_warning("x");
    assert_string_equal(kept.line, EPOCH "warning x\n");
    log_notice("x");
    assert_string_equal(kept.line, EPOCH "notice x\n");
    log_info("x");
    assert_string_equal(kept.line, EPOCH "info x\n");
    log_debug("x");
    assert_string_equal(kept.line, EPOCH "debug x\n");
    assert_int_equal(kept.level, LOG_DEBUG);
}

static void lines_above_the_level_are_not_written(void **state)
{
    (void)state;
    for (int set = LOG_ERROR; set <= LOG_DEBUG; set++) {
        log_set_level((enum log_level)set);
        assert_int_equal(log_get_level(), set);
        for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
            unsigned before = kept.lines;
            log_write((enum log_level)level, "x");
            assert_int_equal(kept.lines - before, level <= set);
            assert_int_equal(log_on((enum log_level)level), level <= set);
        }
    }
}

static void lost_lines_are_counted(void **state)
{
    (void)state;
    uint64_t before = log_lost_total();
    log_note_lost();
    log_note_lost();
    assert_int_equal(log_lost_total() - before, 2);
}

/* ---- time ---- */

static void expect_time(uint64_t s, const char *expected)
{
    wall_us = s * 1000000;
    log_notice("x");
    kept.line[strcspn(kept.line, " ")] = '\0';
    assert_string_equal(kept.line, expected);
}

static void times_are_right_around_leap_days(void **state)
{
    (void)state;
    expect_time(0, "1970-01-01T00:00:00.000Z");
    expect_time(86399, "1970-01-01T23:59:59.000Z");
    expect_time(86400, "1970-01-02T00:00:00.000Z");
    expect_time(68169599, "1972-02-28T23:59:59.000Z");
    expect_time(68169600, "1972-02-29T00:00:00.000Z");
    expect_time(68256000, "1972-03-01T00:00:00.000Z");
    expect_time(94694399, "1972-12-31T23:59:59.000Z");
    expect_time(94694400, "1973-01-01T00:00:00.000Z");
    expect_time(951782399, "2000-02-28T23:59:59.000Z");
    expect_time(951782400, "2000-02-29T00:00:00.000Z"); /* a century with a leap day */
    expect_time(951868800, "2000-03-01T00:00:00.000Z");
    expect_time(1709164800, "2024-02-29T00:00:00.000Z");
    expect_time(1740787199, "2025-02-28T23:59:59.000Z");
    expect_time(1740787200, "2025-03-01T00:00:00.000Z");
    expect_time(4107542399, "2100-02-28T23:59:59.000Z");
    expect_time(4107542400, "2100-03-01T00:00:00.000Z"); /* a century without */
    expect_time(4294967295, "2106-02-07T06:28:15.000Z");
    expect_time(253402300799, "9999-12-31T23:59:59.000Z");
}

static void milliseconds_are_cut_not_rounded(void **state)
{
    (void)state;
    wall_us = 1999999;
    log_notice("x");
    assert_string_equal(kept.line, "1970-01-01T00:00:01.999Z notice x\n");
    wall_us = 1000999;
    log_notice("x");
    assert_string_equal(kept.line, "1970-01-01T00:00:01.000Z notice x\n");
}

/* The plain way to count a calendar: day after day, through 800 years. */
static void every_day_follows_the_one_before(void **state)
{
    (void)state;
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    uint64_t day = 0;
    for (unsigned year = 1970; year < 2770; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (unsigned month = 0; month < 12; month++) {
            unsigned length = lengths[month] + (month == 1 && leap ? 1 : 0);
            for (unsigned i = 0; i < length; i++, day++) {
                char expected[32];
                str_format(expected, sizeof expected, "%04u-%02u-%02uT", year, month + 1,
                           i + 1);
                wall_us = day * UINT64_C(86400000000) + day % 86400 * 1000000;
                log_notice("x");
                assert_memory_equal(kept.line, expected, 11);
            }
        }
    }
}

/* ---- what a message may hold ---- */

static void expect_message(const char *message, const char *expected)
{
    char line[256];
    str_format(line, sizeof line, EPOCH "notice %s\n", expected);
    log_notice("%s", message);
    assert_string_equal(kept.line, line);
}

static void a_message_cannot_forge_a_line(void **state)
{
    (void)state;
    expect_message("name\n2026-01-01T00:00:00.000Z notice all is well",
                   "name\\x0a2026-01-01T00:00:00.000Z notice all is well");
    expect_message("a\rb\tc\bd\x1b[2Je\x7f", "a\\x0db\\x09c\\x08d\\x1b[2Je\\x7f");
    assert_int_equal(kept.lines, 2);
}

static void other_scripts_stay_readable(void **state)
{
    (void)state;
    expect_message("Gr\xc3\xbc\xc3\x9f \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x8e\xae \xc2\xa0",
                   "Gr\xc3\xbc\xc3\x9f \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x8e\xae \xc2\xa0");
    expect_message("C:\\games\\lobby.log", "C:\\games\\lobby.log");
}

static void bytes_that_are_no_text_are_escaped_one_by_one(void **state)
{
    (void)state;
    expect_message("\xff", "\\xff");
    expect_message("a\x80z", "a\\x80z");
    expect_message("\xc3(\xc3\xbc", "\\xc3(\xc3\xbc"); /* good text goes on after a bad byte */
    expect_message("\xed\xa0\x80", "\\xed\\xa0\\x80");
    expect_message("\xc0\xafpasswd", "\\xc0\\xafpasswd");
    expect_message("end\xe2\x82", "end\\xe2\\x82");
}

static void invisible_controls_are_escaped_too(void **state)
{
    (void)state;
    expect_message("\xc2\x9b"
                   "2J",
                   "\\xc2\\x9b2J"); /* C1: CSI */
    expect_message("\xc2\x80 \xc2\x9f", "\\xc2\\x80 \\xc2\\x9f");
    expect_message("\xe2\x80\xa8|\xe2\x80\xa9", "\\xe2\\x80\\xa8|\\xe2\\x80\\xa9");
    expect_message("\xe2\x80\xae|\xe2\x81\xa6", "\\xe2\\x80\\xae|\\xe2\\x81\\xa6");
    expect_message("\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa",
                   "\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa"); /* their neighbours */
}

/* ---- long lines ---- */

#define HEAD_LEN (sizeof EPOCH "notice " - 1)
#define ROOM     (LOG_LINE_MAX - HEAD_LEN - 1) /* for the message */

static char long_text[3 * LOG_LINE_MAX];

static const char *repeated(char c, size_t count)
{
    memset(long_text, c, count);
    long_text[count] = '\0';
    return long_text;
}

static void the_longest_line_is_written_whole(void **state)
{
    (void)state;
    log_notice("%s", repeated('a', ROOM));
    assert_int_equal(kept.len, LOG_LINE_MAX);
    assert_int_equal(strspn(kept.line + HEAD_LEN, "a"), ROOM);
}

static void a_longer_line_is_cut_and_says_so(void **state)
{
    (void)state;
    const size_t lengths[] = {ROOM + 1,     ROOM + 2,         LOG_LINE_MAX - 1,
                              LOG_LINE_MAX, LOG_LINE_MAX + 1, 2 * LOG_LINE_MAX};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        log_notice("%s", repeated('a', lengths[i]));
        assert_int_equal(kept.len, LOG_LINE_MAX);
        assert_int_equal(strspn(kept.line + HEAD_LEN, "a"), ROOM - 3);
        assert_string_equal(kept.line + LOG_LINE_MAX - 4, "...\n");
    }
}

static void escapes_count_when_a_line_is_cut(void **state)
{
    (void)state;
    log_notice("%s", repeated('\x01', 600));
    size_t escapes = (ROOM - 3) / 4;
    assert_int_equal(kept.len, HEAD_LEN + 4 * escapes + 4);
    assert_memory_equal(kept.line + HEAD_LEN, "\\x01\\x01", 8);
    assert_string_equal(kept.line + kept.len - 8, "\\x01...\n");
}

static void a_cut_never_splits_a_character(void **state)
{
    (void)state;
    static const char *const characters[] = {"\xc3\xbc",         "\xe0\xa4\x85",
                                             "\xe2\x82\xac",     "\xef\xbc\xa1",
                                             "\xf0\x9f\x8e\xae", "\xf3\xa0\x84\x80"};
    for (size_t n = 0; n < 5 * COUNT(characters); n++) {
        const char *character = characters[n / 5];
        size_t size = strlen(character);
        size_t lead = n % 5;
        repeated('a', lead);
        for (size_t i = 0; i < 600; i++)
            memcpy(long_text + lead + size * i, character, size + 1);
        log_notice("%s", long_text);
        assert_true(kept.len <= LOG_LINE_MAX && kept.len > LOG_LINE_MAX - size);
        assert_int_equal(str_utf8_prefix(kept.line, kept.len), kept.len);
        assert_null(strstr(kept.line, "\\x"));
        assert_string_equal(kept.line + kept.len - 4, "...\n");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_an_output_lines_go_to_stderr_without_a_time),
        cmocka_unit_test_setup(a_line_is_time_level_and_message, kept_set_up),
        cmocka_unit_test_setup(a_line_says_whose_it_is_where_several_write, kept_set_up),
        cmocka_unit_test_setup(each_level_has_its_function_and_word, kept_set_up),
        cmocka_unit_test_setup(lines_above_the_level_are_not_written, kept_set_up),
        cmocka_unit_test_setup(lost_lines_are_counted, kept_set_up),
        cmocka_unit_test_setup(times_are_right_around_leap_days, kept_set_up),
        cmocka_unit_test_setup(milliseconds_are_cut_not_rounded, kept_set_up),
        cmocka_unit_test_setup(every_day_follows_the_one_before, kept_set_up),
        cmocka_unit_test_setup(a_message_cannot_forge_a_line, kept_set_up),
        cmocka_unit_test_setup(other_scripts_stay_readable, kept_set_up),
        cmocka_unit_test_setup(bytes_that_are_no_text_are_escaped_one_by_one, kept_set_up),
        cmocka_unit_test_setup(invisible_controls_are_escaped_too, kept_set_up),
        cmocka_unit_test_setup(the_longest_line_is_written_whole, kept_set_up),
        cmocka_unit_test_setup(a_longer_line_is_cut_and_says_so, kept_set_up),
        cmocka_unit_test_setup(escapes_count_when_a_line_is_cut, kept_set_up),
        cmocka_unit_test_setup(a_cut_never_splits_a_character, kept_set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
