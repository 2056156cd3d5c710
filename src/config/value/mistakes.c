#include "config/value/mistakes.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void mistakes_init(struct mistakes *mistakes)
{
    memset(mistakes, 0, sizeof *mistakes);
}

void mistakes_free(struct mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes->count; ++i)
        free(mistakes->items[i].text);
    mistakes_init(mistakes);
}

static bool is_known(const struct mistakes *mistakes, unsigned line, const char *text)
{
    for (size_t i = 0; i < mistakes->count; ++i)
        if (mistakes->items[i].line == line && strcmp(mistakes->items[i].text, text) == 0)
            return true;
    return false;
}

/* Takes over the text. */
static void insert(struct mistakes *mistakes, unsigned line, char *text)
{
    if (is_known(mistakes, line, text)) {
        free(text);
        return;
    }
    if (mistakes->count == MISTAKES_SHOWN) {
        struct mistake *last = &mistakes->items[MISTAKES_SHOWN - 1];
        ++mistakes->dropped;
        if (line >= last->line) {
            free(text);
            return;
        }
        free(last->text);
        --mistakes->count;
    }

    size_t at = mistakes->count;
    while (at > 0 && mistakes->items[at - 1].line > line) {
        mistakes->items[at] = mistakes->items[at - 1];
        --at;
    }
    mistakes->items[at].line = line;
    mistakes->items[at].text = text;
    ++mistakes->count;
}

static void collect(struct mistakes *mistakes, unsigned line, const char *before,
                    const char *format, va_list args) STR_PRINTF(4, 0);

static void collect(struct mistakes *mistakes, unsigned line, const char *before,
                    const char *format, va_list args)
{
    struct str text;
    str_init(&text);
    str_add(&text, before);
    str_vaddf(&text, format, args);

    char *copy = text.failed ? NULL : malloc(text.len + 1);
    if (copy == NULL) {
        mistakes->failed = true;
    } else {
        memcpy(copy, text.data, text.len + 1);
        insert(mistakes, line, copy);
    }
    str_free(&text);
}

void mistakes_add(struct mistakes *mistakes, unsigned line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    ++mistakes->errors;
    collect(mistakes, line, "", format, args);
    va_end(args);
}

void mistakes_warn(struct mistakes *mistakes, unsigned line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    collect(mistakes, line, "warning: ", format, args);
    va_end(args);
}

void mistakes_write(const struct mistakes *mistakes, const char *file, struct str *out)
{
    for (size_t i = 0; i < mistakes->count; ++i) {
        const struct mistake *mistake = &mistakes->items[i];
        str_add(out, file);
        if (mistake->line != 0)
            str_addf(out, ":%u", mistake->line);
        str_addf(out, ": %s\n", mistake->text);
    }
    if (mistakes->dropped > 0)
        str_addf(out, "%s: %zu more mistakes are not shown; mend these first\n", file,
                 mistakes->dropped);
}

void mistake_of_part(struct str *why, const char *name, struct str *detail)
{
    str_addf(why, "%s: %s", name, detail->data);
    if (detail->failed)
        why->failed = true;
    str_free(detail);
}

const char *mistake_quote(const char *text, char buf[MISTAKE_QUOTE_MAX])
{
    size_t room = MISTAKE_QUOTE_MAX - sizeof "'...'";
    size_t len = strlen(text);
    if (len <= room) {
        str_format(buf, MISTAKE_QUOTE_MAX, "'%s'", text);
    } else {
        len = str_utf8_prefix(text, room);
        str_format(buf, MISTAKE_QUOTE_MAX, "'%.*s...'", (int)len, text);
    }
    for (char *c = buf; *c != '\0'; ++c) /* so that messages hold no control characters */
        if (*c == '\t')
            *c = ' ';
    return buf;
}
