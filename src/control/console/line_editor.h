/* line_editor.h - one line of text, edited with the usual keys. Pure: bytes in, bytes out.
 *
 * Bytes from the terminal go into line_editor_feed(), which stops at an event; what the screen
 * shows comes from line_editor_draw(), which redraws the one row the editor uses from its
 * beginning, whatever was there. A line longer than the row scrolls sideways. Text is always
 * well-formed, printable UTF-8; nothing else gets in.
 *
 * Threads: none of its own; the caller guards it.
 */
#ifndef PAIRPORT_CONTROL_CONSOLE_LINE_EDITOR_H
#define PAIRPORT_CONTROL_CONSOLE_LINE_EDITOR_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "control/command/parse_line.h"
#include "control/console/history.h"
#include "control/console/key_decoder.h"

enum line_event {
    LINE_NONE,      /* all bytes are taken, the line goes on */
    LINE_DONE,      /* Enter: the line is in `text`; line_editor_next() begins another */
    LINE_COMPLETE,  /* Tab */
    LINE_CLEAR,     /* Ctrl-L: the screen is to be cleared */
    LINE_INTERRUPT, /* Ctrl-C */
    LINE_EOF        /* Ctrl-D on an empty line */
};

#define LINE_PROMPT_MAX 32

struct line_editor {
    char prompt[LINE_PROMPT_MAX];
    char text[PARSE_LINE_MAX + 1]; /* zero-terminated */
    size_t len;
    size_t cursor;    /* byte in text, at the beginning of a character or at the end */
    size_t first;     /* the first byte shown */
    unsigned columns; /* of the terminal */
    bool bell;        /* the next draw rings: a key could do nothing */
    char killed[PARSE_LINE_MAX + 1];
    struct key_decoder keys;
    struct history history;
};

void line_editor_init(struct line_editor *editor, const char *prompt);
void line_editor_free(struct line_editor *editor);

/* Takes bytes up to the first event; *used says how many. */
enum line_event line_editor_feed(struct line_editor *editor, const char *bytes, size_t len,
                                 size_t *used);

/* Inserts text at the cursor, as if typed. What does not fit is left out with a bell. */
void line_editor_insert(struct line_editor *editor, const char *text, size_t len);

/* Remembers the line in the history when `keep`, and begins an empty one. */
void line_editor_next(struct line_editor *editor, bool keep);

void line_editor_set_columns(struct line_editor *editor, unsigned columns);

/* Adds the bytes that draw the row, the cursor where it belongs. */
void line_editor_draw(struct line_editor *editor, struct str *out);

/* Adds the bytes that make the row empty with the cursor at its beginning. */
void line_editor_erase(struct str *out);

#endif
