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

static inline void assert_all_refused(const struct bad_text *texts, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        assert_refused(texts[i].text, texts[i].messages);
}

#endif
