#include "config/value/option.h"

#include <assert.h>
#include <string.h>

#include "config/conf.h"
#include "config/value/bytes.h"
#include "config/value/mistakes.h"
#include "config/value/number.h"
#include "config/value/words.h"

/* One option, cut out of its text. */
struct option {
    char name[CONF_LINE_MAX + 1];
    bool has_value; /* there is a '=' */
    bool is_quoted; /* the value is a whole quoted text */
    char value[CONF_LINE_MAX + 1];
};

static void *field_of(const struct key *key, void *owner)
{
    return (char *)owner + key->offset;
}

static const void *field_of_const(const struct key *key, const void *owner)
{
    return (const char *)owner + key->offset;
}

static void set_default(const struct key *key, void *owner)
{
    struct str why;
    str_init(&why);
    memset(field_of(key, owner), 0, key->size);
    if (key->preset != NULL) {
        bool ok = number_read(key, key->preset, field_of(key, owner), &why);
        assert(ok && "a default is within its range");
        (void)ok;
    }
    str_free(&why);
}

/* Cuts off the first option of *text, which is not empty and moves to the next one. */
static void cut(const char **text, struct option *option)
{
    const char *start = *text;
    size_t len = strcspn(start, WORDS_BLANKS);
    size_t name_len = strcspn(start, "=" WORDS_BLANKS);

    str_format(option->name, sizeof option->name, "%.*s", (int)name_len, start);
    option->has_value = start[name_len] == '=';
    const char *value = start + name_len + (option->has_value ? 1 : 0);
    size_t quoted_len = bytes_quoted_len(value, strlen(value));
    if (quoted_len > 0) {
        const char *behind = value + quoted_len;
        len = (size_t)(behind - start) + strcspn(behind, WORDS_BLANKS);
        option->is_quoted = start + len == behind;
    } else {
        option->is_quoted = false;
    }
    str_format(option->value, sizeof option->value, "%.*s", (int)(start + len - value), value);
    *text = start + len + strspn(start + len, WORDS_BLANKS);
}

static const struct key *find(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->count; ++i)
        if (strcmp(options->keys[i].name, name) == 0)
            return &options->keys[i];
    return NULL;
}

static void explain_unknown(const struct options *options, const char *name, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    const char *names[OPTIONS_MAX + 1];
    for (size_t i = 0; i < options->count; ++i)
        names[i] = options->keys[i].name;
    names[options->count] = NULL;

    const char *near = str_nearest(name, names);
    str_addf(why, "unknown option %s; ", mistake_quote(name, quote));
    if (near != NULL) {
        str_addf(why, "did you mean '%s'?", near);
    } else {
        str_add(why, "options are ");
        words_add(names, "and", why);
    }
}

/* The value of a KEY_BYTES. */
static bool read_bytes(const struct key *key, const struct option *option, void *field,
                       struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    if (option->is_quoted)
        return bytes_read(option->value, field, why);

    mistake_quote(option->value, quote);
    if (bytes_quoted_len(option->value, strlen(option->value)) > 0)
        str_addf(why,
                 "%s goes on behind its quotation marks; write a blank there, or \\\" for a "
                 "mark in the text",
                 quote);
    else
        str_addf(why, "%s has no %squotation mark%s; write such as %s", quote,
                 option->value[0] == '"' ? "closing " : "", option->value[0] == '"' ? "" : "s",
                 key->help);
    return false;
}

static bool read_value(const struct key *key, const struct option *option, void *field,
                       struct str *why)
{
    if (key->type == KEY_BOOL) {
        *(bool *)field = true;
        if (option->has_value)
            str_addf(why, "it has no value; write '%s' alone", key->help);
        return !option->has_value;
    }
    if (!option->has_value || option->value[0] == '\0') {
        str_addf(why, "there is no value; write such as %s", key->help);
        return false;
    }
    if (key->type == KEY_BYTES)
        return read_bytes(key, option, field, why);
    if (key->type == KEY_CHOICE)
        return words_read_choice(option->value, key->words, field, why);
    return number_read(key, option->value, field, why);
}

static bool read_one(const struct options *options, const struct option *option, void *owner,
                     bool given[OPTIONS_MAX], struct str *why)
{
    const struct key *key = find(options, option->name);
    if (key == NULL) {
        explain_unknown(options, option->name, why);
        return false;
    }
    if (given[key - options->keys]) {
        str_addf(why, "%s: given twice; remove one of them", key->name);
        return false;
    }
    given[key - options->keys] = true;

    struct str detail;
    str_init(&detail);
    bool ok = read_value(key, option, field_of(key, owner), &detail);
    if (!ok)
        mistake_of_part(why, key->name, &detail);
    else
        str_free(&detail);
    return ok;
}

bool option_read(const struct options *options, const char *text, void *owner,
                 bool given[OPTIONS_MAX], struct str *why)
{
    assert(options->count <= OPTIONS_MAX);
    for (size_t i = 0; i < options->count; ++i) {
        given[i] = false;
        set_default(&options->keys[i], owner);
    }
    bool ok = true;
    while (*text != '\0') {
        struct option option;
        cut(&text, &option);
        struct str detail;
        str_init(&detail);
        if (!read_one(options, &option, owner, given, &detail)) {
            ok = false;
            if (option.value[0] == '\0')
                text += strlen(text); /* "weight = 2": what follows belongs to it */
            str_addf(why, "%s%s", why->len > 0 ? "\n" : "", detail.data);
        }
        if (detail.failed)
            why->failed = true;
        str_free(&detail);
    }
    return ok;
}

/* ---- writing ---- */

/* Of an option that is a number. */
static bool is_default(const struct key *key, const void *field)
{
    uint32_t preset = 0;
    struct str why;
    if (key->preset == NULL)
        return number_get(key, field) == 0;
    str_init(&why);
    bool ok = number_read(key, key->preset, &preset, &why);
    assert(ok && key->size == sizeof preset);
    (void)ok;
    str_free(&why);
    return number_get(key, field) == preset;
}

static void write_one(const struct key *key, const void *field, bool all, struct str *out)
{
    if (key->type == KEY_BOOL) {
        if (*(const bool *)field)
            str_addf(out, " %s", key->name);
        return;
    }
    if (key->type == KEY_BYTES) {
        const struct conf_bytes *bytes = field;
        if (bytes->len > 0) {
            str_addf(out, " %s=", key->name);
            bytes_write(bytes, out);
        }
        return;
    }
    if (key->type == KEY_CHOICE) {
        unsigned choice = words_choice(field);
        if (choice != 0)
            str_addf(out, " %s=%s", key->name, key->words[choice]);
        return;
    }
    bool is_unset = key->preset == NULL && number_get(key, field) == 0;
    if (is_unset || (!all && is_default(key, field)))
        return;
    str_addf(out, " %s=", key->name);
    number_write(key, field, out);
}

void option_write(const struct options *options, const void *owner, bool all, struct str *out)
{
    for (size_t i = 0; i < options->count; ++i)
        write_one(&options->keys[i], field_of_const(&options->keys[i], owner), all, out);
}
