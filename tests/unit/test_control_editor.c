/* test_control_editor.c - the line editor: keys change the line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/command/parse_line.h"
#include "control/console/history.h"
#include "control/console/line_editor.h"
#include "row_screen.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define UP        "\x1b[A"
#define DOWN      "\x1b[B"
#define RIGHT     "\x1b[C"
#define LEFT      "\x1b[D"
#define HOME      "\x1b[H"
#define END       "\x1b[F"
#define DEL       "\x1b[3~"
#define BACKSPACE "\x7f"
#define CTRL(c)   ((char[]){(c) - 'A' + 1, '\0'})

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

/* The line with | at the cursor. */
static void assert_line(const char *marked)
{
    char text[PARSE_LINE_MAX + 2];
    memcpy(text, editor.text, editor.cursor);
    text[editor.cursor] = '|';
    memcpy(text + editor.cursor + 1, editor.text + editor.cursor,
           editor.len - editor.cursor + 1);
    assert_string_equal(text, marked);
}

/* ---- editing ---- */

static void typed_text_is_inserted_at_the_cursor(void **state)
{
    (void)state;
    type("shw");
    assert_line("shw|");
    type(LEFT "o");
    assert_line("sho|w");
    assert_string_equal(draw(&editor, 80), "> show");
    assert_int_equal(screen.column, 5);
}

static void the_cursor_moves_by_character_word_and_line(void **state)
{
    (void)state;
    type("show  sessions all");
    type("\x1b[1;5D");
    assert_line("show  sessions |all");
    type("\x1b[1;3D");
    assert_line("show  |sessions all");
    type("\x1b"
         "b");
    assert_line("|show  sessions all");
    type("\x1b"
         "f");
    assert_line("show|  sessions all");
    type("\x1b[1;5C");
    assert_line("show  sessions| all");
    type(CTRL('A'));
    assert_line("|show  sessions all");
    type(CTRL('F'));
    type(RIGHT);
    assert_line("sh|ow  sessions all");
    type(CTRL('B'));
    assert_line("s|how  sessions all");
    type(CTRL('E'));
    assert_line("show  sessions all|");
    static const char *const homes[] = {HOME, "\x1b[1~", "\x1b[7~", "\x1bOH"};
    static const char *const ends[] = {END, "\x1b[4~", "\x1b[8~", "\x1bOF"};
    for (size_t i = 0; i < COUNT(homes); i++) {
        type(homes[i]);
        assert_line("|show  sessions all");
        type(ends[i]);
        assert_line("show  sessions all|");
    }
}

static void characters_are_deleted_on_both_sides(void **state)
{
    (void)state;
    type("abcdef" LEFT LEFT BACKSPACE);
    assert_line("abc|ef");
    type("\x08");
    assert_line("ab|ef");
    type(DEL);
    assert_line("ab|f");
    type(CTRL('D'));
    assert_line("ab|");
}

static void parts_of_the_line_are_cut_and_put_back(void **state)
{
    (void)state;
    type("kill route lobby");
    type(CTRL('W'));
    assert_line("kill route |");
    type(CTRL('Y'));
    assert_line("kill route lobby|");
    type("\x1b" BACKSPACE);
    assert_line("kill route |");
    type(CTRL('A'));
    type("\x1b"
         "d");
    assert_line("| route ");
    type(CTRL('E'));
    type(CTRL('Y'));
    assert_line(" route kill|");
    type(LEFT LEFT);
    type(CTRL('K'));
    assert_line(" route ki|");
    type(LEFT);
    type(CTRL('U'));
    assert_line("|i");
    type(CTRL('Y'));
    assert_line(" route k|i");
}

static void two_characters_change_places(void **state)
{
    (void)state;
    type("hsow");
    type(HOME RIGHT);
    type(CTRL('T'));
    assert_line("sh|ow");
    type(END);
    type(CTRL('T'));
    assert_line("shwo|");
    type(CTRL('U'));
    type("äb");
    type(CTRL('T'));
    assert_line("bä|");
}

static void a_key_that_can_do_nothing_rings(void **state)
{
    (void)state;
    static const char *const keys[] = {LEFT, RIGHT, BACKSPACE, DEL, UP, DOWN, "\x17", "\x14"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        type(keys[i]);
        draw(&editor, 80);
        assert_int_equal(screen.bells, 1);
        draw(&editor, 80);
        assert_int_equal(screen.bells, 0); /* once */
    }
}

static void characters_of_several_bytes_are_one(void **state)
{
    (void)state;
    type("aä☃😀" LEFT LEFT);
    assert_line("aä|☃😀");
    type(BACKSPACE);
    assert_line("a|☃😀");
    type(DEL DEL);
    assert_line("a|");
}

static void combining_marks_move_with_their_letter(void **state)
{
    (void)state;
    type("xe\xcc\x81y" LEFT LEFT); /* e with an acute accent of its own */
    assert_line("x|e\xcc\x81y");
    type(DEL);
    assert_line("x|y");
}

static void a_character_may_come_in_pieces(void **state)
{
    (void)state;
    type("\xf0");
    type("\x9f");
    type("\x98");
    assert_line("|");
    type("\x80");
    assert_line("😀|");
}

static void what_is_no_text_is_not_inserted(void **state)
{
    (void)state;
    type("a\xff"
         "b\xc3"
         "c\x80"
         "d\xed\xa0\x80"
         "e\xc2\x9b"
         "f\xc0\xaf"
         "g\x1c\x00h");
    assert_line("abcdefg|");
    feed("\0", 1);
    assert_line("abcdefg|");
}

static void a_full_line_takes_no_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < PARSE_LINE_MAX - 1; i++)
        type("x");
    draw(&editor, 80);
    assert_int_equal(screen.bells, 0);
    type("ä"); /* needs two bytes, one is left */
    draw(&editor, 80);
    assert_int_equal(screen.bells, 1);
    assert_int_equal(editor.len, PARSE_LINE_MAX - 1);
    type("yz");
    assert_int_equal(editor.len, PARSE_LINE_MAX);
    assert_int_equal(editor.text[PARSE_LINE_MAX - 1], 'y');
}

/* ---- events ---- */

static void keys_that_end_or_ask_are_events(void **state)
{
    (void)state;
    assert_int_equal(feed("\r", 1), LINE_DONE);
    assert_int_equal(feed("\n", 1), LINE_NONE); /* of the same line end */
    assert_int_equal(feed("\n", 1), LINE_DONE);
    assert_int_equal(feed("\t", 1), LINE_COMPLETE);
    assert_int_equal(feed("\x0c", 1), LINE_CLEAR);
    assert_int_equal(feed("\x03", 1), LINE_INTERRUPT);
    assert_int_equal(feed("\x04", 1), LINE_EOF);
    type("x" LEFT);
    assert_int_equal(feed("\x04", 1), LINE_NONE);
    assert_line("|");
}

static void an_event_leaves_the_bytes_behind_it(void **state)
{
    (void)state;
    size_t used;
    assert_int_equal(line_editor_feed(&editor, "ab\rcd\r", 6, &used), LINE_DONE);
    assert_int_equal(used, 3);
    assert_line("ab|");
    line_editor_next(&editor, true);
    assert_int_equal(line_editor_feed(&editor, "cd\r", 3, &used), LINE_DONE);
    assert_line("cd|");
}

/* ---- sequences of keys ---- */

static void unknown_sequences_do_nothing(void **state)
{
    (void)state;
    static const char *const sequences[] = {
        "\x1b[5~",      "\x1b[6~",    "\x1b[2~",
        "\x1b[15~",     "\x1bOP",     "\x1b[1;2P",
        "\x1b[<0;1;2M", "\x1b[?1;2c", "\x1b[99999999999999999999~",
        "\x1b[I",       "\x1b[Z",
    };
    for (size_t i = 0; i < COUNT(sequences); i++)
        type(sequences[i]);
    assert_line("|");
    type("x");
    assert_line("x|");
}

static void a_sequence_may_come_in_pieces(void **state)
{
    (void)state;
    type("ab");
    type("\x1b");
    type("[");
    type("D");
    assert_line("a|b");
}

static void a_broken_sequence_swallows_nothing_else(void **state)
{
    (void)state;
    type("\x1bx");
    assert_line("x|");
    type("\x1b[1;ä");
    assert_line("xä|");
    assert_int_equal(feed("\x1b[\x03", 3), LINE_INTERRUPT);
    assert_int_equal(feed("\x1bO\r", 3), LINE_DONE);
    type("\x1b\x1b[D");
    assert_line("x|ä");
}

static void what_is_pasted_is_text_and_lines(void **state)
{
    (void)state;
    static const char pasted[] = "\x1b[200~a\tb\x03\x01"
                                 "c\x1b[201~";
    type(pasted);
    assert_line("a bc|");
    assert_int_equal(feed("\x1b[200~d\r", 8), LINE_DONE);
    assert_line("a bcd|");
    type("\x1b[201~");
    assert_int_equal(feed("\t", 1), LINE_COMPLETE);
}

/* ---- history ---- */

static void enter(const char *line)
{
    type(line);
    assert_int_equal(feed("\r", 1), LINE_DONE);
    line_editor_next(&editor, true);
}

static void older_lines_come_back_and_the_draft_is_kept(void **state)
{
    (void)state;
    enter("first");
    enter("second");
    type("dra" UP);
    assert_line("second|");
    type(UP);
    assert_line("first|");
    type(UP); /* there is none before */
    assert_line("first|");
    type(DOWN);
    assert_line("second|");
    type(CTRL('N'));
    assert_line("dra|");
    type(CTRL('P'));
    assert_line("second|");
}

static void a_changed_older_line_is_a_new_one(void **state)
{
    (void)state;
    enter("show info");
    type(UP "!");
    assert_line("show info!|");
    enter("");
    type(UP);
    assert_line("show info!|");
    type(UP);
    assert_line("show info|");
}

static void blank_and_repeated_lines_are_not_remembered(void **state)
{
    (void)state;
    enter("a");
    enter("a");
    enter("   ");
    enter("");
    type(UP);
    assert_line("a|");
    type(UP);
    draw(&editor, 80);
    assert_int_equal(screen.bells, 1);
}

static void a_line_that_was_given_up_is_not_remembered(void **state)
{
    (void)state;
    enter("a");
    type("b" UP UP);
    line_editor_next(&editor, false);
    assert_line("|");
    type(UP);
    assert_line("a|");
    assert_int_equal(editor.history.count, 1);
}

static void the_oldest_lines_are_forgotten(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HISTORY_MAX + 5; i++) {
        char line[16];
        str_format(line, sizeof line, "%u", i);
        enter(line);
    }
    for (unsigned i = 0; i < HISTORY_MAX; i++)
        type(UP);
    assert_line("5|");
    type(UP);
    assert_line("5|");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(typed_text_is_inserted_at_the_cursor),
        TEST(the_cursor_moves_by_character_word_and_line),
        TEST(characters_are_deleted_on_both_sides),
        TEST(parts_of_the_line_are_cut_and_put_back),
        TEST(two_characters_change_places),
        TEST(a_key_that_can_do_nothing_rings),
        TEST(characters_of_several_bytes_are_one),
        TEST(combining_marks_move_with_their_letter),
        TEST(a_character_may_come_in_pieces),
        TEST(what_is_no_text_is_not_inserted),
        TEST(a_full_line_takes_no_more),
        TEST(keys_that_end_or_ask_are_events),
        TEST(an_event_leaves_the_bytes_behind_it),
        TEST(unknown_sequences_do_nothing),
        TEST(a_sequence_may_come_in_pieces),
        TEST(a_broken_sequence_swallows_nothing_else),
        TEST(what_is_pasted_is_text_and_lines),
        TEST(older_lines_come_back_and_the_draft_is_kept),
        TEST(a_changed_older_line_is_a_new_one),
        TEST(blank_and_repeated_lines_are_not_remembered),
        TEST(a_line_that_was_given_up_is_not_remembered),
        TEST(the_oldest_lines_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
