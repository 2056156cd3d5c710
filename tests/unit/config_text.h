/* config_text.h - loads configurations out of string literals, for the tests of config/.
 *
 * The file of every such text is called "t.ini" in messages.
 */
#ifndef TESTS_UNIT_CONFIG_TEXT_H
#define TESTS_UNIT_CONFIG_TEXT_H

#include <stddef.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"

/* A bad text and every message about it. */
struct bad_text {
    const char *text;
    const char *messages;
};

/* A bad line of a route and what is said behind "KEY: " about it. */
struct bad_line {
    const char *line;
    const char *message;
};

/* A complete route, to put behind or before what a test is about. */
#define GOOD_ROUTE "[route r]\nlisten = *:7777\nupstream = 10.0.0.5:7000\n"

static inline struct conf *load_good(const char *text)
{
    struct conf *conf = NULL;
    struct str messages;
    str_init(&messages);
    enum err err = conf_load_text("t.ini", text, strlen(text), &conf, &messages);
    if (err != ERR_OK)
        print_error("refused:\n%s\nbecause:\n%s", text, messages.data);
    assert_int_equal(err, ERR_OK);
    assert_string_equal(messages.data, "");
    str_free(&messages);
    return conf;
}

/* `len` bytes that may hold anything give these messages and no configuration. */
static inline void assert_refused_bytes(const char *text, size_t len, const char *expected)
{
    struct conf *conf = NULL;
    struct str messages;
    str_init(&messages);
    enum err err = conf_load_text("t.ini", text, len, &conf, &messages);
    if (err != ERR_INVALID || strcmp(messages.data, expected) != 0)
        print_error("text:\n%s\nexpected:\n%sgot:\n%s", len > 0 ? text : "", expected,
                    messages.data);
    assert_int_equal(err, ERR_INVALID);
    assert_null(conf);
    assert_string_equal(messages.data, expected);
    str_free(&messages);
}

static inline void assert_refused(const char *text, const char *expected)
{
    assert_refused_bytes(text, strlen(text), expected);
}

/* The messages of a text that is taken all the same. */
static inline void assert_warned(const char *text, const char *expected)
{
    struct conf *conf = NULL;
    struct str messages;
    str_init(&messages);
    assert_int_equal(conf_load_text("t.ini", text, strlen(text), &conf, &messages), ERR_OK);
    assert_string_equal(messages.data, expected);
    conf_free(conf);
    str_free(&messages);
}

/* A route with one line more. */
static inline struct conf *load_with(const char *line)
{
    char text[2 * CONF_LINE_MAX];
    str_format(text, sizeof text, "%s%s\n", GOOD_ROUTE, line);
    return load_good(text);
}

static inline void assert_lines_refused(const struct bad_line *lines, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        char text[2 * CONF_LINE_MAX];
        char expected[CONF_LINE_MAX];
        str_format(text, sizeof text, "%s%s\n", GOOD_ROUTE, lines[i].line);
        str_format(expected, sizeof expected, "t.ini:4: [route r] %.*s: %s\n",
                   (int)strcspn(lines[i].line, " ="), lines[i].line, lines[i].message);
        assert_refused(text, expected);
    }
}

/* The configuration is written, read and written again, the same both times. */
static inline void assert_rewritten(const struct conf *conf)
{
    struct str once;
    struct str twice;
    str_init(&once);
    str_init(&twice);
    conf_write(conf, &once);
    struct conf *again = load_good(once.data);
    conf_write(again, &twice);
    assert_string_equal(once.data, twice.data);
    conf_free(again);
    str_free(&once);
    str_free(&twice);
}

/* `line`, put into a route, is written as `written`, which is read as the same. */
static inline void assert_written(const char *line, const char *written)
{
    char expected[2 * CONF_LINE_MAX];
    struct str out;
    struct conf *conf = load_with(line);
    str_init(&out);
    conf_write(conf, &out);
    str_format(expected, sizeof expected, "\n%s\n", written);
    if (strstr(out.data, expected) == NULL)
        fail_msg("'%s' is not written as '%s' in\n%s", line, written, out.data);
    str_free(&out);
    assert_rewritten(conf);
    conf_free(conf);
}

static inline void assert_all_refused(const struct bad_text *texts, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        assert_refused(texts[i].text, texts[i].messages);
}

#endif
