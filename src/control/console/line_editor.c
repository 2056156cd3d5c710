#include "control/console/line_editor.h"

#include <string.h>

#include "control/command/text_width.h"

#define COLUMNS_DEFAULT 80
#define ROOM_MIN        8 /* columns of text below which the prompt is not drawn */

void line_editor_init(struct line_editor *editor, const char *prompt)
{
    memset(editor, 0, sizeof *editor);
    str_format(editor->prompt, sizeof editor->prompt, "%s", prompt);
    editor->columns = COLUMNS_DEFAULT;
    key_decoder_init(&editor->keys);
    history_init(&editor->history);
}

void line_editor_free(struct line_editor *editor)
{
    history_free(&editor->history);
}

void line_editor_set_columns(struct line_editor *editor, unsigned columns)
{
    editor->columns = columns == 0 ? COLUMNS_DEFAULT : columns;
}

/* ---- places ---- */

static size_t char_before(const struct line_editor *editor, size_t at)
{
    if (at > 0)
        at--;
    while (at > 0 && ((unsigned char)editor->text[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static size_t char_after(const struct line_editor *editor, size_t at)
{
    return at < editor->len ? at + text_char_len(editor->text + at) : at;
}

/* The beginning of a visible character: combining marks belong to the one before them. */
static size_t cell_before(const struct line_editor *editor, size_t at)
{
    do
        at = char_before(editor, at);
    while (at > 0 && text_char_width(editor->text + at) == 0);
    return at;
}

static size_t cell_after(const struct line_editor *editor, size_t at)
{
    do
        at = char_after(editor, at);
    while (at < editor->len && text_char_width(editor->text + at) == 0);
    return at;
}

static size_t word_before(const struct line_editor *editor, size_t at)
{
    while (at > 0 && editor->text[at - 1] == ' ')
        at--;
    while (at > 0 && editor->text[at - 1] != ' ')
        at--;
    return at;
}

static size_t word_after(const struct line_editor *editor, size_t at)
{
    while (at < editor->len && editor->text[at] == ' ')
        at++;
    while (at < editor->len && editor->text[at] != ' ')
        at++;
    return at;
}

/* ---- changes ---- */

static void move_to(struct line_editor *editor, size_t at)
{
    if (at == editor->cursor)
        editor->bell = true;
    editor->cursor = at;
}

/* Takes [from, to) out of the line. */
static void cut(struct line_editor *editor, size_t from, size_t to, bool keep)
{
    if (from == to) {
        editor->bell = true;
        return;
    }
    if (keep) {
        memcpy(editor->killed, editor->text + from, to - from);
        editor->killed[to - from] = '\0';
    }
    memmove(editor->text + from, editor->text + to, editor->len - to + 1);
    editor->len -= to - from;
    editor->cursor = from;
}

void line_editor_insert(struct line_editor *editor, const char *text, size_t len)
{
    size_t room = PARSE_LINE_MAX - editor->len;
    size_t good = parse_printable_prefix(text, len < room ? len : room);
    if (good < len)
        editor->bell = true;
    memmove(editor->text + editor->cursor + good, editor->text + editor->cursor,
            editor->len - editor->cursor + 1);
    memcpy(editor->text + editor->cursor, text, good);
    editor->len += good;
    editor->cursor += good;
}

static void show_line(struct line_editor *editor, const char *line)
{
    if (line == NULL) {
        editor->bell = true;
        return;
    }
    editor->len = str_format(editor->text, sizeof editor->text, "%s", line);
    editor->cursor = editor->len;
    editor->first = 0;
}

/* Exchanges the two characters around the cursor, at the end of the line the last two. */
static void swap(struct line_editor *editor)
{
    size_t middle =
        editor->cursor < editor->len ? editor->cursor : char_before(editor, editor->cursor);
    size_t left = char_before(editor, middle), right = char_after(editor, middle);
    if (left == middle || middle == right) {
        editor->bell = true;
        return;
    }
    char moved[4];
    size_t left_len = middle - left, right_len = right - middle;
    memcpy(moved, editor->text + left, left_len);
    memmove(editor->text + left, editor->text + middle, right_len);
    memcpy(editor->text + left + right_len, moved, left_len);
    editor->cursor = right;
}

void line_editor_next(struct line_editor *editor, bool keep)
{
    /* An empty line is not remembered, but ends the look at older ones. */
    history_add(&editor->history, keep ? editor->text : "");
    editor->len = editor->cursor = editor->first = 0;
    editor->text[0] = '\0';
}

static enum line_event press(struct line_editor *editor, enum key_press key)
{
    size_t at = editor->cursor;
    switch (key) {
    case PRESS_NONE: break;
    case PRESS_TEXT:
        line_editor_insert(editor, editor->keys.text, strlen(editor->keys.text));
        break;
    case PRESS_ENTER: return LINE_DONE;
    case PRESS_TAB: return LINE_COMPLETE;
    case PRESS_LEFT: move_to(editor, cell_before(editor, at)); break;
    case PRESS_RIGHT: move_to(editor, cell_after(editor, at)); break;
    case PRESS_WORD_LEFT: move_to(editor, word_before(editor, at)); break;
    case PRESS_WORD_RIGHT: move_to(editor, word_after(editor, at)); break;
    case PRESS_UP: show_line(editor, history_older(&editor->history, editor->text)); break;
    case PRESS_DOWN: show_line(editor, history_newer(&editor->history)); break;
    case PRESS_HOME: editor->cursor = 0; break;
    case PRESS_END: editor->cursor = editor->len; break;
    case PRESS_BACKSPACE: cut(editor, char_before(editor, at), at, false); break;
    case PRESS_EOF:
        if (editor->len == 0)
            return LINE_EOF;
        cut(editor, at, cell_after(editor, at), false);
        break;
    case PRESS_DELETE: cut(editor, at, cell_after(editor, at), false); break;
    case PRESS_KILL_END: cut(editor, at, editor->len, true); break;
    case PRESS_KILL_START: cut(editor, 0, at, true); break;
    case PRESS_KILL_WORD: cut(editor, word_before(editor, at), at, true); break;
    case PRESS_KILL_WORD_RIGHT: cut(editor, at, word_after(editor, at), true); break;
    case PRESS_YANK: line_editor_insert(editor, editor->killed, strlen(editor->killed)); break;
    case PRESS_SWAP: swap(editor); break;
    case PRESS_CLEAR: return LINE_CLEAR;
    case PRESS_INTERRUPT: return LINE_INTERRUPT;
    }
    return LINE_NONE;
}

enum line_event line_editor_feed(struct line_editor *editor, const char *bytes, size_t len,
                                 size_t *used)
{
    size_t at = 0;
    enum line_event event = LINE_NONE;
    while (at < len && event == LINE_NONE) {
        event = press(editor, key_decoder_feed(&editor->keys, (unsigned char)bytes[at]));
        at += !editor->keys.reconsider;
    }
    *used = at;
    return event;
}

/* ---- drawing ---- */

static size_t width_between(const struct line_editor *editor, size_t from, size_t to)
{
    size_t width = 0;
    for (size_t at = from; at < to; at = char_after(editor, at))
        width += text_char_width(editor->text + at);
    return width;
}

/* Moves the window over the text so that the cursor is in it. */
static void scroll(struct line_editor *editor, size_t room)
{
    /* The text may have changed under the window's beginning. */
    if (editor->first > editor->len)
        editor->first = editor->len;
    while (editor->first > 0 && ((unsigned char)editor->text[editor->first] & 0xc0) == 0x80)
        editor->first--;
    /* Where all of it fits there is no reason to be scrolled. */
    if (width_between(editor, 0, editor->len) <= room)
        editor->first = 0;
    /* A jump of a third of the row, so that typing on does not move everything each time. */
    while (editor->cursor < editor->first ||
           (editor->cursor == editor->first && editor->first > 0))
        for (size_t i = 0; i < room / 3 + 1 && editor->first > 0; i++)
            editor->first = cell_before(editor, editor->first);
    while (width_between(editor, editor->first, editor->cursor) > room)
        for (size_t i = 0; i < room / 3 + 1 && editor->first < editor->cursor; i++)
            editor->first = cell_after(editor, editor->first);
}

void line_editor_draw(struct line_editor *editor, struct str *out)
{
    if (editor->bell)
        str_add_char(out, '\a');
    editor->bell = false;
    str_add_char(out, '\r');

    /* The last column stays free: a cursor behind it is in no well-defined place. */
    size_t width = editor->columns - 1;
    size_t prompt = str_columns(editor->prompt);
    bool prompted = width >= prompt + ROOM_MIN;
    size_t room = prompted ? width - prompt : width;
    scroll(editor, room);
    if (prompted && editor->first > 0 && editor->prompt[0] != '\0')
        str_addf(out, "%.*s<", (int)strlen(editor->prompt) - 1, editor->prompt);
    else if (prompted)
        str_add(out, editor->prompt);

    size_t end = editor->first, shown = 0;
    while (end < editor->len) {
        unsigned next = text_char_width(editor->text + end);
        if (shown + next > room)
            break;
        shown += next;
        end = char_after(editor, end);
    }
    str_add_bytes(out, editor->text + editor->first, end - editor->first);
    str_add(out, "\x1b[K");

    size_t column =
        (prompted ? prompt : 0) + width_between(editor, editor->first, editor->cursor);
    str_add_char(out, '\r');
    if (column > 0)
        str_addf(out, "\x1b[%zuC", column);
}

void line_editor_erase(struct str *out)
{
    str_add(out, "\r\x1b[K");
}
