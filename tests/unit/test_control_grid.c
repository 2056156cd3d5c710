/* test_control_grid.c - aligned tables, and numbers for people. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "control/command/grid.h"
#include "control/command/text_width.h"
#include "control/command/units.h"

static void a_table_that_fits_is_not_cut(void **state)
{
    (void)state;
    static const struct grid_column layout[] = {{"A", false, 0}, {"B", true, 1}};
    struct grid grid;
    grid_init(&grid, layout, 2);
    grid_cell(&grid, "xx");
    grid_cell(&grid, "123");
    grid_cell(&grid, "ü");
    grid_end_row(&grid);
    struct str out, dropped;
    str_init(&out);
    str_init(&dropped);
    grid_write(&grid, 1, 8, &out, &dropped);
    assert_string_equal(out.data, " A     B\n xx  123\n ü\n");
    assert_string_equal(dropped.data, "");
    str_clear(&out);
    grid_write(&grid, 1, 7, &out, &dropped);
    assert_string_equal(out.data, " A\n xx\n ü\n");
    assert_string_equal(dropped.data, "B");
    str_free(&out);
    str_free(&dropped);
    grid_free(&grid);
}

static void assert_wrapped(const char *before, unsigned width, bool flows, const char *after)
{
    struct str text;
    str_init(&text);
    str_add(&text, before);
    text_wrap(&text, width, flows);
    assert_false(text.failed);
    assert_string_equal(text.data, after);
    str_free(&text);
}

static void lines_are_broken_between_words(void **state)
{
    (void)state;
    assert_wrapped("one two three\n", 0, false, "one two three\n");
    assert_wrapped("one two three\n", 13, false, "one two three\n");
    assert_wrapped("one two three\n", 12, false, "one two\nthree\n");
    assert_wrapped("one two three", 7, false, "one two\nthree");
    assert_wrapped("\n\none two\n\nthree four\n", 8, false, "\n\none two\n\nthree\nfour\n");
    assert_wrapped("a wordthatiswider b\n", 6, false, "a\nwordthatiswider\nb\n");
    assert_wrapped("  one two three\n", 9, false, "  one two\n  three\n");
    assert_wrapped("f\u00fcr \u00fcber \u00e4nde\n", 8, false,
                   "f\u00fcr \u00fcber\n\u00e4nde\n"); /* columns, not bytes */
    assert_wrapped("", 10, true, "");
}

static void what_is_broken_is_indented_as_the_last_column(void **state)
{
    (void)state;
    assert_wrapped("key  one two three\nk    four\n", 12, false,
                   "key  one two\n     three\nk    four\n");
    /* A column that leaves no room to speak of is none. */
    assert_wrapped("a long name  one two\n", 16, false, "a long name  one\ntwo\n");
}

static void a_broken_paragraph_flows(void **state)
{
    (void)state;
    static const char text[] = "one two three\nfour five six\n\n"
                               "key  one two three\n     four five\nkex  six\n\nseven\n";
    assert_wrapped(text, 12, true,
                   "one two\nthree four\nfive six\n\n"
                   "key  one two\n     three\n     four\n     five\nkex  six\n\nseven\n");
    assert_wrapped(text, 20, true, text);
}

static void a_row_goes_with_the_columns_that_held_its_text(void **state)
{
    (void)state;
    static const struct grid_column layout[] = {{"A", false, 0}, {"B", false, 1}};
    struct grid grid;
    grid_init(&grid, layout, 2);
    grid_cell(&grid, "x");
    grid_cell(&grid, "%s", "a long text");
    grid_cell(&grid, "%s", "");
    grid_cell(&grid, "and one more");
    struct str out;
    str_init(&out);
    grid_write(&grid, 0, 5, &out, NULL);
    assert_string_equal(out.data, "A\nx\n");
    str_free(&out);
    grid_free(&grid);
}

static void columns_go_by_rank_and_it_can_be_asked_which(void **state)
{
    (void)state;
    static const struct grid_column layout[] = {
        {"A", false, 0}, {"B", false, 9}, {"C", true, 2}, {"D", true, 5}, {"E", true, 1}};
    struct grid grid;
    grid_init(&grid, layout, 5);
    grid_cell(&grid, "x");
    grid_cell(&grid, "a long text");
    grid_cell(&grid, "123");
    grid_cell(&grid, "45");
    grid_cell(&grid, "6789");
    struct str out, dropped;
    str_init(&out);
    str_init(&dropped);
    grid_write(&grid, 0, 14, &out, &dropped); /* the long one alone fits with the first */
    assert_string_equal(out.data, "A  B\nx  a long text\n");
    str_clear(&out);
    assert_string_equal(dropped.data, "C, D, E");
    str_clear(&out);
    grid_print(&grid, 13, &out);
    assert_string_equal(out.data, "A\nx\nleft out at 13 columns: B, C, D, E\n");
    assert_true(grid_shows(&grid, 13, 0));
    assert_false(grid_shows(&grid, 13, 1));
    assert_true(grid_shows(&grid, 14, 1));
    assert_true(grid_shows(&grid, 0, 4));
    str_free(&out);
    str_free(&dropped);
    grid_free(&grid);
}

static void microseconds_are_shown_in_a_unit_that_fits(void **state)
{
    (void)state;
    static const struct {
        uint64_t us;
        const char *text;
    } values[] = {{0, "-"},        {1, "1us"},        {999, "999us"},
                  {1000, "1.0ms"}, {9949, "9.9ms"},   {9950, "10ms"},
                  {51234, "51ms"}, {999499, "999ms"}, {1500000, "1.5s"}};
    char text[STR_HUMAN_MAX];
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_string_equal(units_us(values[i].us, text), values[i].text);
    assert_string_equal(units_percent(1, 8, text), "12.5 %");
    assert_string_equal(units_percent(1, 0, text), "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_that_fits_is_not_cut),
        cmocka_unit_test(lines_are_broken_between_words),
        cmocka_unit_test(what_is_broken_is_indented_as_the_last_column),
        cmocka_unit_test(a_broken_paragraph_flows),
        cmocka_unit_test(a_row_goes_with_the_columns_that_held_its_text),
        cmocka_unit_test(columns_go_by_rank_and_it_can_be_asked_which),
        cmocka_unit_test(microseconds_are_shown_in_a_unit_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
