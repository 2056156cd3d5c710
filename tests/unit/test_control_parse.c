/* test_control_parse.c - a typed line becomes words, and nothing but printable text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/command/match.h"
#include "control/command/parse_line.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct parsed_line line;
static char why[PARSE_WHY_MAX];

/* The words as "a|b|c". */
static const char *join(void)
{
    static char text[PARSE_LINE_MAX + 2 * PARSE_WORDS_MAX];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < line.count; i++)
        len +=
            str_format(text + len, sizeof text - len, "%s%s", i == 0 ? "" : "|", line.words[i]);
    return text;
}

static void assert_words(const char *typed, const char *words)
{
    if (!parse_line(typed, strlen(typed), &line, why))
        fail_msg("'%s': %s", typed, why);
    assert_string_equal(join(), words);
}

static void assert_refused(const char *bytes, size_t len, const char *reason)
{
    assert_false(parse_line(bytes, len, &line, why));
    assert_string_equal(why, reason);
}

static void words_stand_between_blanks(void **state)
{
    (void)state;
    assert_words("show sessions", "show|sessions");
    assert_words("  show \t sessions  ", "show|sessions");
    assert_words("", "");
    assert_words("   ", "");
}

static void line_ends_are_no_part_of_the_line(void **state)
{
    (void)state;
    assert_words("quit\n", "quit");
    assert_words("quit\r\n", "quit");
    assert_words("quit\r", "quit");
    assert_words("\r\n", "");
}

static void a_comment_has_no_words(void **state)
{
    (void)state;
    assert_words("# show sessions", "");
    assert_words("  #", "");
    assert_words("kill #1", "kill|#1");
    assert_words("'#' x", "#|x");
}

static void quotes_hold_a_word_together(void **state)
{
    (void)state;
    assert_words("a \"b c\" d", "a|b c|d");
    assert_words("a 'b \"c' d", "a|b \"c|d");
    assert_words("a\"b c\"d'e f'", "ab cde f");
    assert_words("\"\" ''", "|");
    assert_int_equal(line.count, 2);
    assert_words("\"a\\\"b\\\\c\\d\"", "a\"b\\c\\d");
    assert_words("'a\\'", "a\\");
}

static void a_backslash_takes_the_next_character(void **state)
{
    (void)state;
    assert_words("a\\ b \\\"c \\\\ \\'", "a b|\"c|\\|'");
}

static void utf8_passes(void **state)
{
    (void)state;
    assert_words("kill route 'grüße ☃ 😀'", "kill|route|grüße ☃ 😀");
}

static void open_quotes_are_refused(void **state)
{
    (void)state;
    assert_refused("a \"b", 4, "the quote (\") at byte 3 of the line is not closed");
    assert_refused("'", 1, "the quote (') at byte 1 of the line is not closed");
    assert_refused("\"a\\\"", 4, "the quote (\") at byte 1 of the line is not closed");
}

static void a_backslash_at_the_end_is_refused(void **state)
{
    (void)state;
    assert_refused("a \\", 3, "the line ends in a backslash that has nothing to escape");
    assert_refused("a \\\n", 4, "the line ends in a backslash that has nothing to escape");
}

static void control_characters_are_refused(void **state)
{
    (void)state;
    assert_refused("ab\0c", 4, "byte 3 of the line is a NUL");
    assert_refused("a\x1b[2J", 5, "byte 2 of the line (0x1b) is a control character");
    assert_refused("a\nb", 3, "byte 2 of the line (0x0a) is a control character");
    assert_refused("\x7f", 1, "byte 1 of the line (0x7f) is a control character");
    assert_refused("'a\x01'", 4, "byte 3 of the line (0x01) is a control character");
    /* U+009B is the CSI of terminals that take C1 controls. */
    assert_refused("x\xc2\x9b"
                   "2J",
                   5, "byte 2 of the line (0xc2) is a control character");
}

static void bytes_that_are_no_utf8_are_refused(void **state)
{
    (void)state;
    assert_refused("ab\xff", 3, "byte 3 of the line (0xff) is no valid UTF-8");
    assert_refused("\xc3", 1, "byte 1 of the line (0xc3) is no valid UTF-8");
    assert_refused("a\t\xed\xa0\x80", 5, "byte 3 of the line (0xed) is no valid UTF-8");
    assert_refused("\xc2", 1, "byte 1 of the line (0xc2) is no valid UTF-8");
}

static void the_longest_line_passes_and_a_longer_one_does_not(void **state)
{
    (void)state;
    char text[PARSE_LINE_MAX + 3];
    memset(text, 'x', sizeof text);
    assert_true(parse_line(text, PARSE_LINE_MAX, &line, why));
    assert_int_equal(line.count, 1);
    assert_int_equal(strlen(line.words[0]), PARSE_LINE_MAX);
    assert_refused(text, PARSE_LINE_MAX + 1, "the line has more than 1024 bytes");
    memcpy(text + PARSE_LINE_MAX, "\r\n", 2); /* its end does not count */
    assert_true(parse_line(text, PARSE_LINE_MAX + 2, &line, why));
}

static void too_many_words_are_refused(void **state)
{
    (void)state;
    char text[2 * PARSE_WORDS_MAX + 2];
    memset(text, ' ', sizeof text);
    for (size_t i = 0; i < PARSE_WORDS_MAX; i++)
        text[2 * i] = 'w';
    assert_true(parse_line(text, 2 * PARSE_WORDS_MAX, &line, why));
    assert_int_equal(line.count, PARSE_WORDS_MAX);
    text[2 * PARSE_WORDS_MAX] = 'w';
    assert_refused(text, 2 * PARSE_WORDS_MAX + 1, "the line has more than 32 words");
}

static void assert_partial(const char *typed, const char *words, size_t last_start)
{
    assert_true(parse_line_partial(typed, strlen(typed), &line));
    assert_string_equal(join(), words);
    assert_int_equal(line.starts[line.count - 1], last_start);
}

static void the_word_being_typed_is_the_last(void **state)
{
    (void)state;
    assert_partial("", "", 0);
    assert_int_equal(line.count, 1);
    assert_partial("sh", "sh", 0);
    assert_partial("show se", "show|se", 5);
    assert_partial("show ", "show|", 5);
    assert_int_equal(line.count, 2);
    assert_partial("a \"b c", "a|b c", 2);
    assert_partial("a \"b ", "a|b ", 2);
    assert_partial("a b\\ ", "a|b ", 2);
    assert_partial("a b\\", "a|b", 2);
    assert_false(parse_line_partial("#sh", 3, &line));
    assert_false(parse_line_partial("a\x01", 2, &line));
}

static void a_full_line_has_no_room_for_another_word(void **state)
{
    (void)state;
    char text[2 * PARSE_WORDS_MAX];
    memset(text, ' ', sizeof text);
    for (size_t i = 0; i < PARSE_WORDS_MAX; i++)
        text[2 * i] = 'w';
    assert_false(parse_line_partial(text, sizeof text, &line));
    assert_true(parse_line_partial(text, sizeof text - 1, &line));
}

static void quoted_words_come_back(void **state)
{
    (void)state;
    static const char *const words[] = {"plain", "10.0.0.5:7000", "",  "two words", "\"",
                                        "\\",    "a'b",           "#", "ü",         "--x=y"};
    struct str typed;
    str_init(&typed);
    for (size_t i = 0; i < COUNT(words); i++) {
        str_add(&typed, i == 0 ? "" : " ");
        parse_line_quote(words[i], &typed);
    }
    assert_true(parse_line(typed.data, typed.len, &line, why));
    assert_int_equal(line.count, COUNT(words));
    for (size_t i = 0; i < COUNT(words); i++)
        assert_string_equal(line.words[i], words[i]);
    str_clear(&typed);
    parse_line_quote("plain", &typed);
    assert_string_equal(typed.data, "plain");
    str_free(&typed);
}

/* Bytes that are likely to go wrong. */
static size_t make_bytes(struct random *random, char *bytes, size_t max)
{
    static const char likely[] = "  \t\"'\\#ab\n\r\x1b[\xc3\xa4\xc2\x9b\xf0\x9f\x98\x80";
    size_t len = (size_t)random_below(random, max + 1);
    for (size_t i = 0; i < len; i++)
        bytes[i] = random_chance(random, 90) ? likely[random_below(random, sizeof likely)]
                                             : (char)random_below(random, 256);
    return len;
}

static void any_bytes_give_printable_words_or_a_reason(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 1);
    unsigned parsed = 0, refused = 0;
    for (unsigned round = 0; round < 20000; round++) {
        char bytes[PARSE_LINE_MAX + 8];
        size_t max = random_chance(&random, 2) ? sizeof bytes : 24;
        size_t len = make_bytes(&random, bytes, max);
        if (parse_line(bytes, len, &line, why)) {
            parsed++;
            for (size_t i = 0; i < line.count; i++) {
                size_t size = strlen(line.words[i]);
                const char *tab = strchr(line.words[i], '\t'); /* quoted, the only control */
                if (tab == NULL)
                    assert_int_equal(parse_printable_prefix(line.words[i], size), size);
                assert_true(line.starts[i] < len);
            }
        } else {
            refused++;
            assert_int_equal(parse_printable_prefix(why, strlen(why)), strlen(why));
            assert_true(strlen(why) > 10);
        }
        if (parse_line_partial(bytes, len, &line))
            assert_true(line.count > 0 && line.starts[line.count - 1] <= len);
    }
    assert_true(parsed > 1000 && refused > 1000);
}

static void names_match_without_regard_to_case(void **state)
{
    (void)state;
    static const char *const names[] = {"session", "sessions", "stats", "up", NULL};
    size_t index = 99;
    assert_true(match_equal("STATS", "stats"));
    assert_false(match_equal("stat", "stats"));
    assert_true(match_begins("sessions", "SESS"));
    assert_false(match_begins("sess", "sessions"));
    assert_true(match_find("session", names, &index) && index == 0); /* not also a short one */
    assert_true(match_find("St", names, &index) && index == 2);
    assert_false(match_find("s", names, &index));
    assert_false(match_find("", names, &index));
    assert_false(match_find("x", names, &index));
    assert_string_equal(match_nearest("sesions", names), "sessions");
    assert_string_equal(match_nearest("sta", names), "stats");
    assert_null(match_nearest("", names));
    assert_null(match_nearest("kangaroo", names));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_stand_between_blanks),
        cmocka_unit_test(line_ends_are_no_part_of_the_line),
        cmocka_unit_test(a_comment_has_no_words),
        cmocka_unit_test(quotes_hold_a_word_together),
        cmocka_unit_test(a_backslash_takes_the_next_character),
        cmocka_unit_test(utf8_passes),
        cmocka_unit_test(open_quotes_are_refused),
        cmocka_unit_test(a_backslash_at_the_end_is_refused),
        cmocka_unit_test(control_characters_are_refused),
        cmocka_unit_test(bytes_that_are_no_utf8_are_refused),
        cmocka_unit_test(the_longest_line_passes_and_a_longer_one_does_not),
        cmocka_unit_test(too_many_words_are_refused),
        cmocka_unit_test(the_word_being_typed_is_the_last),
        cmocka_unit_test(a_full_line_has_no_room_for_another_word),
        cmocka_unit_test(quoted_words_come_back),
        cmocka_unit_test(any_bytes_give_printable_words_or_a_reason),
        cmocka_unit_test(names_match_without_regard_to_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
