/* fuzz_command.c - what a person or a program says to the console, whatever bytes it is.
 *
 * The input goes to the commands as a line (over a fake server), to the completion up to every
 * blank, and to the line editor as typed bytes. */
#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include <jansson.h>

#include "base/log.h"
#include "base/str.h"
#include "control/command/names.h"
#include "control/command/parse_line.h"
#include "control/commands.h"
#include "control/console/line_editor.h"
#include "fake_server.h"
#include "fuzz.h"

static struct server *server;
static struct console console;
static struct names names;

static void drop_line(void *ctx, enum log_level level, const char *line, size_t len)
{
    (void)ctx;
    (void)level;
    assert(len > 0 && line[len - 1] == '\n');
}

static uint64_t no_time(void)
{
    return 0;
}

static void open_server(void)
{
    log_set_output(&(struct log_output){no_time, no_time, drop_line, NULL});
    server = fake_server_open();
    console = fake_server_console(server);
    for (uint64_t id = 1; id <= 60; id++)
        fake_server_add(server, id, id % 2);
    enum err err = names_add_conf(&names, server->conf);
    assert(err == ERR_OK);
}

/* Lines of printable text; a tab may come from a quoted word. */
static void check_text(const struct str *text)
{
    assert(!text->failed);
    assert(strlen(text->data) == text->len);
    assert(text->len == 0 || text->data[text->len - 1] == '\n');
    for (const char *at = text->data; *at != '\0';) {
        size_t printable = parse_printable_prefix(at, strlen(at));
        at += printable;
        assert(*at == '\0' || *at == '\n' || *at == '\t');
        at += *at != '\0';
    }
}

static void check_command(const char *line, size_t len, unsigned columns)
{
    struct command_session session = {.console = &console, .columns = columns};
    struct command_result result;
    command_result_init(&result);
    command_run(&session, line, len, &result);
    check_text(&result.text);
    assert(!result.failed || result.text.len > 10);
    assert(!result.failed || !result.quit);
    if (result.text.data[0] == '{') {
        json_t *root =
            json_loadb(result.text.data, result.text.len, JSON_REJECT_DUPLICATES, NULL);
        assert(root != NULL);
        json_decref(root);
    }
    command_result_free(&result);
}

static void check_completion(const char *line, size_t cursor)
{
    struct completion completion;
    completion_init(&completion);
    command_complete(&commands, line, cursor, &names, &completion);
    const struct str *insert = &completion.insert;
    check_text(&completion.candidates);
    assert(parse_printable_prefix(insert->data, insert->len) == insert->len);
    if (insert->len > 0 && cursor + insert->len <= PARSE_LINE_MAX) {
        /* What Tab makes is a line again, and Tab alone never makes an error of a good one. */
        char longer[PARSE_LINE_MAX];
        struct parsed_line parsed;
        memcpy(longer, line, cursor);
        memcpy(longer + cursor, insert->data, insert->len);
        assert(parse_line_partial(longer, cursor + insert->len, &parsed) ||
               parsed.count == PARSE_WORDS_MAX);
    }
    completion_free(&completion);
}

static void check_editor(const struct line_editor *editor)
{
    assert(editor->len <= PARSE_LINE_MAX && editor->cursor <= editor->len);
    assert(strlen(editor->text) == editor->len);
    assert(parse_printable_prefix(editor->text, editor->len) == editor->len);
    assert(parse_printable_prefix(editor->text, editor->cursor) == editor->cursor);
}

static void check_typed(const char *bytes, size_t len, unsigned columns)
{
    struct line_editor editor;
    struct str drawn;
    str_init(&drawn);
    line_editor_init(&editor, "> ");
    line_editor_set_columns(&editor, columns);
    for (size_t at = 0; at < len;) {
        size_t used;
        enum line_event event = line_editor_feed(&editor, bytes + at, len - at, &used);
        assert(used > 0 && used <= len - at);
        at += used;
        check_editor(&editor);
        str_clear(&drawn);
        line_editor_draw(&editor, &drawn);
        assert(!drawn.failed);
        if (event == LINE_DONE || event == LINE_INTERRUPT)
            line_editor_next(&editor, event == LINE_DONE);
    }
    str_free(&drawn);
    line_editor_free(&editor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    if (server == NULL)
        open_server();
    unsigned columns = size == 0 ? 80 : 1 + data[size - 1] % 130;
    check_command(bytes, size, columns);
    for (size_t at = 0; at <= size && at <= 64; at++)
        check_completion(bytes, at);
    check_completion(bytes, size);
    check_typed(bytes, size, columns);
    return 0;
}
