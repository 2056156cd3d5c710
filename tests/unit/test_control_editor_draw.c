/* test_control_editor_draw.c - the line editor: what is drawn, and any bytes at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/command/parse_line.h"
#include "control/command/text_width.h"
#include "control/console/line_editor.h"
#include "row_screen.h"
#include "support/random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define UP    "\x1b[A"
#define DOWN  "\x1b[B"
#define RIGHT "\x1b[C"
#define LEFT  "\x1b[D"
#define HOME  "\x1b[H"
#define END   "\x1b[F"
#define DEL   "\x1b[3~"

static struct line_editor editor;

static int set_up(void **state)
{
    (void)state;
    line_editor_init(&editor, "> ");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    line_editor_free(&editor);
    return 0;
}

static enum line_event feed(const char *bytes, size_t len)
{
    size_t used;
    enum line_event event = line_editor_feed(&editor, bytes, len, &used);
    assert_true(used <= len);
    if (event == LINE_NONE)
        assert_int_equal(used, len);
    return event;
}

static void type(const char *bytes)
{
    assert_int_equal(feed(bytes, strlen(bytes)), LINE_NONE);
}

/* ---- drawing ---- */

static void the_whole_row_is_drawn_over_what_was_there(void **state)
{
    (void)state;
    type("abc" LEFT);
    assert_string_equal(draw(&editor, 20), "> abc");
    assert_int_equal(screen.column, 4);
    struct str out;
    str_init(&out);
    line_editor_erase(&out);
    screen_show(&screen, out.data);
    str_free(&out);
    assert_string_equal(screen.cells[0], " ");
    assert_int_equal(screen.column, 0);
}

static void a_long_line_scrolls_and_shows_that_it_does(void **state)
{
    (void)state;
    type("0123456789abcdefghijklmnopqrstuvwxyz");
    const char *row = draw(&editor, 20);
    assert_int_equal(row[0], '>');
    assert_int_equal(row[1], '<');
    assert_non_null(strstr(row, "xyz"));
    type(HOME);
    assert_string_equal(draw(&editor, 20), "> 0123456789abcdefg");
    assert_int_equal(screen.column, 2);
    for (int i = 0; i < 20; i++)
        type(RIGHT);
    draw(&editor, 20);
    assert_string_equal(screen.cells[screen.column], "k"); /* the cursor stands on it */
}

static void a_line_that_fits_again_is_not_scrolled(void **state)
{
    (void)state;
    type("0123456789abcdefghijklmnopqrstuvwxyz");
    draw(&editor, 20);
    assert_string_equal(draw(&editor, 80), "> 0123456789abcdefghijklmnopqrstuvwxyz");
}

static void wide_characters_take_two_columns(void **state)
{
    (void)state;
    type("日本x" LEFT);
    assert_string_equal(draw(&editor, 40), "> 日本x");
    assert_int_equal(screen.column, 6);
}

static void a_very_narrow_terminal_shows_the_line_without_prompt(void **state)
{
    (void)state;
    type("abcdefghijkl");
    for (unsigned columns = 1; columns < 12; columns++) {
        draw(&editor, columns);
        assert_true(screen.column < columns);
    }
}

/* ---- anything ---- */

static size_t make_bytes(struct random *random, char *bytes, size_t max)
{
    static const char *const likely[] = {
        "a",         " ",        "ä",     "日",        "e\xcc\x81",  UP,
        DOWN,        LEFT,       RIGHT,   HOME,        END,          DEL,
        "\x7f",      "\x01",     "\x05",  "\x0b",      "\x15",       "\x17",
        "\x19",      "\x14",     "\r",    "\n",        "\t",         "\x03",
        "\x04",      "\x1b",     "\x1b[", "\x1b[1;5D", "\x1b[1;5C",  "\x1b[200~",
        "\x1b[201~", "\xf0\x9f", "\xff",  "\x1b[3",    "longer text"};
    size_t len = 0;
    while (len + 16 < max) {
        if (random_chance(random, 10)) {
            bytes[len++] = (char)random_below(random, 256);
            continue;
        }
        const char *part = likely[random_below(random, COUNT(likely))];
        memcpy(bytes + len, part, strlen(part));
        len += strlen(part);
    }
    return len;
}

static void check_editor(unsigned columns)
{
    assert_true(editor.len <= PARSE_LINE_MAX);
    assert_true(editor.cursor <= editor.len);
    assert_int_equal(strlen(editor.text), editor.len);
    assert_int_equal(parse_printable_prefix(editor.text, editor.len), editor.len);
    assert_int_equal(parse_printable_prefix(editor.text, editor.cursor), editor.cursor);
    draw(&editor, columns);
    /* The cursor stands on its character. */
    size_t next = editor.cursor;
    if (columns > 16 && next < editor.len && text_char_width(editor.text + next) == 1) {
        size_t len = text_char_len(editor.text + next);
        char text[8] = {0};
        memcpy(text, editor.text + next, len);
        if (screen.column < columns - 1)
            assert_string_equal(screen.cells[screen.column], text);
    }
}

static void any_bytes_leave_a_good_line_and_a_good_row(void **state)
{
    (void)state;
    struct random random;
    random_init(&random, random_test_seed(), 1);
    unsigned events = 0;
    for (unsigned round = 0; round < 3000; round++) {
        char bytes[400];
        size_t len = make_bytes(&random, bytes, sizeof bytes);
        unsigned columns = (unsigned)random_between(&random, 1, 120);
        for (size_t at = 0; at < len;) {
            size_t part = (size_t)random_between(&random, 1, len - at), used;
            enum line_event event = line_editor_feed(&editor, bytes + at, part, &used);
            assert_true(used > 0 && used <= part);
            at += used;
            check_editor(columns);
            events += event != LINE_NONE;
            if (event == LINE_DONE || event == LINE_INTERRUPT)
                line_editor_next(&editor, event == LINE_DONE);
            if (event == LINE_COMPLETE)
                line_editor_insert(&editor, bytes, random_below(&random, 10));
        }
    }
    assert_true(events > 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_whole_row_is_drawn_over_what_was_there),
        TEST(a_long_line_scrolls_and_shows_that_it_does),
        TEST(a_line_that_fits_again_is_not_scrolled),
        TEST(wide_characters_take_two_columns),
        TEST(a_very_narrow_terminal_shows_the_line_without_prompt),
        TEST(any_bytes_leave_a_good_line_and_a_good_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
