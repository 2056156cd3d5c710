/* row_screen.h - a terminal of one row for tests of the line editor, which understands no more
 * than the editor may use.
 *
 * Threads: one.
 */
#ifndef PAIRPORT_TESTS_ROW_SCREEN_H
#define PAIRPORT_TESTS_ROW_SCREEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "control/command/text_width.h"
#include "control/console/line_editor.h"

struct screen {
    unsigned columns;
    char cells[512][8]; /* one character each; "" behind a wide one */
    size_t column;
    unsigned bells;
    bool wrapped; /* something was written into or behind the last column */
};

static void screen_put(struct screen *screen, const char *text, size_t len)
{
    unsigned width = text_char_width(text);
    if (width == 0)
        return; /* joins the one before */
    if (screen->column + width > screen->columns - 1) {
        screen->wrapped = true;
        return;
    }
    memcpy(screen->cells[screen->column], text, len);
    screen->cells[screen->column][len] = '\0';
    if (width == 2)
        screen->cells[screen->column + 1][0] = '\0';
    screen->column += width;
}

static void screen_show(struct screen *screen, const char *bytes)
{
    for (const char *at = bytes; *at != '\0';) {
        if (*at == '\r') {
            screen->column = 0;
            at++;
        } else if (*at == '\a') {
            screen->bells++;
            at++;
        } else if (strncmp(at, "\x1b[K", 3) == 0) {
            for (size_t i = screen->column; i < screen->columns; i++)
                strcpy(screen->cells[i], " ");
            at += 3;
        } else if (strncmp(at, "\x1b[", 2) == 0) {
            char *end;
            screen->column += strtoul(at + 2, &end, 10);
            assert_int_equal(*end, 'C');
            at = end + 1;
        } else {
            assert_true((unsigned char)*at >= 0x20);
            size_t len = text_char_len(at);
            screen_put(screen, at, len);
            at += len;
        }
    }
}

static struct screen screen;

/* Draws over rubbish and returns the row without the blanks at its end. */
static const char *draw(struct line_editor *editor, unsigned columns)
{
    static char row[512 * 8];
    memset(&screen, 0, sizeof screen);
    screen.columns = columns;
    screen.column = columns / 2;
    for (size_t i = 0; i < columns; i++)
        strcpy(screen.cells[i], "#");
    struct str out;
    str_init(&out);
    line_editor_set_columns(editor, columns);
    line_editor_draw(editor, &out);
    screen_show(&screen, out.data);
    str_free(&out);
    assert_false(screen.wrapped);
    assert_true(screen.column < columns);
    row[0] = '\0';
    for (size_t i = 0; i < columns; i++)
        strcat(row, screen.cells[i]);
    size_t len = strlen(row);
    while (len > 0 && row[len - 1] == ' ')
        row[--len] = '\0';
    return row;
}

#endif
