#include "control/console/prompt.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/console/line_editor.h"
#include "os/os.h"
#include "os/tty.h"

#define PASTE_ON     "\x1b[?2004h" /* the terminal marks what is pasted */
#define PASTE_OFF    "\x1b[?2004l"
#define CLEAR_SCREEN "\x1b[H\x1b[2J"

struct prompt {
    struct prompt_host host;
    unsigned interrupts;     /* Ctrl-C in a row on an empty line */
    uint64_t interrupted_ms; /* when the last of them came, monotonic */

    struct os_mutex lock; /* guards all below and the terminal */
    struct line_editor editor;
    bool drawn;        /* the row of the editor is on the screen */
    struct str output; /* being gathered, so that it is written in one go */
};

enum err prompt_open(struct prompt **out, const struct prompt_host *host, const char *text)
{
    struct prompt *prompt = calloc(1, sizeof *prompt);
    if (prompt == NULL)
        return ERR_NOMEM;
    enum err err = tty_enter_raw();
    if (err != ERR_OK) {
        free(prompt);
        return err;
    }
    os_mutex_init(&prompt->lock, LOCK_PROMPT);
    prompt->host = *host;
    line_editor_init(&prompt->editor, text);
    str_init(&prompt->output);
    tty_write(PASTE_ON, strlen(PASTE_ON));
    *out = prompt;
    return ERR_OK;
}

void prompt_close(struct prompt *prompt)
{
    tty_write(PASTE_OFF, strlen(PASTE_OFF));
    tty_leave_raw();
    line_editor_free(&prompt->editor);
    str_free(&prompt->output);
    free(prompt);
}

void prompt_stop(struct prompt *prompt)
{
    (void)prompt; /* there is one terminal */
    tty_wake();
}

/* ---- the screen; with the lock held ---- */

static void flush(struct prompt *prompt)
{
    tty_write(prompt->output.data, prompt->output.len);
    str_clear(&prompt->output);
}

/* A raw terminal wants CR with each LF. */
static void add_lines(struct prompt *prompt, const char *text, size_t len)
{
    const char *end = text + len;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline == NULL ? end : newline;
        str_add_bytes(&prompt->output, text, (size_t)(stop - text));
        if (newline == NULL)
            return;
        str_add(&prompt->output, "\r\n");
        text = newline + 1;
    }
}

static void draw(struct prompt *prompt)
{
    line_editor_set_columns(&prompt->editor, tty_columns());
    line_editor_draw(&prompt->editor, &prompt->output);
    prompt->drawn = true;
}

static void erase(struct prompt *prompt)
{
    if (prompt->drawn)
        line_editor_erase(&prompt->output);
    prompt->drawn = false;
}

/* Leaves the row as it stands and goes below it. */
static void end_row(struct prompt *prompt, const char *mark)
{
    prompt->editor.cursor = prompt->editor.len;
    draw(prompt);
    str_add(&prompt->output, mark);
    str_add(&prompt->output, "\r\n");
    prompt->drawn = false;
}

void prompt_print_above(struct prompt *prompt, const char *text, size_t len)
{
    os_mutex_lock(&prompt->lock);
    bool drawn = prompt->drawn;
    erase(prompt);
    add_lines(prompt, text, len);
    if (drawn)
        draw(prompt);
    flush(prompt);
    os_mutex_unlock(&prompt->lock);
}

/* ---- events; with the lock held, released while the host works ---- */

static bool answer(struct prompt *prompt, struct command_result *result)
{
    add_lines(prompt, result->text.data, result->text.len);
    if (!result->quit)
        draw(prompt);
    flush(prompt);
    bool quit = result->quit;
    command_result_free(result);
    return quit;
}

static bool run_line(struct prompt *prompt)
{
    char line[PARSE_LINE_MAX + 1];
    size_t len = prompt->editor.len;
    memcpy(line, prompt->editor.text, len + 1);
    end_row(prompt, "");
    line_editor_next(&prompt->editor, true);
    flush(prompt);
    os_mutex_unlock(&prompt->lock);

    struct command_result result;
    command_result_init(&result);
    prompt->host.run(prompt->host.ctx, line, len, tty_columns(), &result);

    os_mutex_lock(&prompt->lock);
    return answer(prompt, &result);
}

/* Shows the candidates in columns above the row. */
static void add_candidates(struct prompt *prompt, const struct str *candidates)
{
    size_t widest = 0, count = 0;
    for (const char *at = candidates->data; *at != '\0'; at = strchr(at, '\n') + 1, count++) {
        size_t width = strcspn(at, "\n");
        widest = width > widest ? width : widest;
    }
    size_t columns = tty_columns() / (widest + 2);
    columns = columns == 0 ? 1 : columns;
    size_t place = 0;
    for (const char *at = candidates->data; *at != '\0'; at = strchr(at, '\n') + 1) {
        size_t width = strcspn(at, "\n");
        bool last = ++place % columns == 0 || place == count;
        str_addf(&prompt->output, "%.*s", (int)width, at);
        if (last)
            str_add(&prompt->output, "\r\n");
        else
            str_addf(&prompt->output, "%*s", (int)(widest + 2 - width), "");
    }
}

static void complete(struct prompt *prompt)
{
    struct completion completion;
    completion_init(&completion);
    prompt->host.complete(prompt->host.ctx, prompt->editor.text, prompt->editor.cursor,
                          &completion);
    if (completion.insert.len > 0) {
        line_editor_insert(&prompt->editor, completion.insert.data, completion.insert.len);
    } else if (completion.candidates.len > 0) {
        size_t cursor = prompt->editor.cursor;
        end_row(prompt, "");
        prompt->editor.cursor = cursor;
        add_candidates(prompt, &completion.candidates);
    } else {
        prompt->editor.bell = true;
    }
    completion_free(&completion);
    draw(prompt);
    flush(prompt);
}

static bool interrupt(struct prompt *prompt)
{
    bool empty = prompt->editor.len == 0;
    uint64_t now = os_mono_ms();
    if (!empty || now - prompt->interrupted_ms > PROMPT_AGAIN_MS)
        prompt->interrupts = 0; /* this one is the first of a row */
    prompt->interrupted_ms = now;
    end_row(prompt, "^C");
    line_editor_next(&prompt->editor, false);
    struct command_result result;
    command_result_init(&result);
    if (empty)
        prompt->host.interrupt(prompt->host.ctx, ++prompt->interrupts, &result);
    return answer(prompt, &result);
}

static bool leave(struct prompt *prompt)
{
    end_row(prompt, "");
    struct command_result result;
    command_result_init(&result);
    prompt->host.leave(prompt->host.ctx, &result);
    return answer(prompt, &result);
}

/* True when the prompt is to end. */
static bool on_event(struct prompt *prompt, enum line_event event)
{
    if (event != LINE_INTERRUPT && event != LINE_NONE)
        prompt->interrupts = 0;
    switch (event) {
    case LINE_NONE:
        if (prompt->editor.len > 0)
            prompt->interrupts = 0;
        draw(prompt);
        flush(prompt);
        return false;
    case LINE_DONE: return run_line(prompt);
    case LINE_COMPLETE: complete(prompt); return false;
    case LINE_CLEAR:
        str_add(&prompt->output, CLEAR_SCREEN);
        draw(prompt);
        flush(prompt);
        return false;
    case LINE_INTERRUPT: return interrupt(prompt);
    case LINE_EOF: return leave(prompt);
    }
    return false;
}

static bool take_bytes(struct prompt *prompt, const char *bytes, size_t len)
{
    bool quit = false;
    os_mutex_lock(&prompt->lock);
    for (size_t at = 0; at < len && !quit;) {
        size_t used;
        enum line_event event = line_editor_feed(&prompt->editor, bytes + at, len - at, &used);
        at += used;
        quit = on_event(prompt, event);
    }
    os_mutex_unlock(&prompt->lock);
    return quit;
}

enum prompt_end prompt_run(struct prompt *prompt)
{
    os_mutex_lock(&prompt->lock);
    draw(prompt);
    flush(prompt);
    os_mutex_unlock(&prompt->lock);

    enum prompt_end end = PROMPT_QUIT;
    for (;;) {
        char bytes[512];
        size_t got;
        enum err err = tty_read(bytes, sizeof bytes, &got);
        if (err != ERR_OK) {
            end = err == ERR_CANCELLED ? PROMPT_STOPPED : PROMPT_GONE;
            break;
        }
        if (take_bytes(prompt, bytes, got))
            break;
    }

    os_mutex_lock(&prompt->lock);
    erase(prompt);
    flush(prompt);
    os_mutex_unlock(&prompt->lock);
    return end;
}
