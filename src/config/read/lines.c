#include "config/read/lines.h"

#include <string.h>

#include "base/str.h"
#include "config/value/bytes.h"

static bool starts_with(const char *text, size_t len, const char *start, size_t start_len)
{
    return len >= start_len && memcmp(text, start, start_len) == 0;
}

/* The first byte alone: a file in Latin-1 has many, and without their lines others lack
 * something. */
static void report_not_utf8(const char *text, size_t at, struct mistakes *mistakes)
{
    unsigned number = 1;
    size_t start = 0;
    for (size_t i = 0; i < at; ++i) {
        if (text[i] == '\n') {
            start = i + 1;
            ++number;
        }
    }
    mistakes_add(
        mistakes, number,
        "at byte %zu of the line is 0x%02x, which is not UTF-8; save the file as UTF-8",
        at - start + 1, (unsigned)(unsigned char)text[at]);
}

bool lines_init(struct lines *lines, const char *text, size_t len, struct mistakes *mistakes)
{
    if (starts_with(text, len, "\xff\xfe", 2) || starts_with(text, len, "\xfe\xff", 2)) {
        mistakes_add(mistakes, 0, "the file is UTF-16; save it as UTF-8");
        return false;
    }
    size_t valid = str_utf8_prefix(text, len);
    if (valid < len) {
        report_not_utf8(text, valid, mistakes);
        return false;
    }
    size_t skip = starts_with(text, len, "\xef\xbb\xbf", 3) ? 3 : 0;
    lines->next = text + skip;
    lines->end = text + len;
    lines->mistakes = mistakes;
    lines->number = 0;
    lines->text[0] = '\0';
    lines->len = 0;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Finds the first character that nobody means to write and names it: terminals obey control
 * characters, and messages show pieces of the file; the others look like a blank or like
 * nothing, so that nobody would see why a word with one is unknown. */
static const char *find_odd(const char *text, size_t len, size_t *at)
{
    for (size_t i = 0; i < len; ++i) {
        unsigned char c = (unsigned char)text[i];
        *at = i;
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return "a control character";
        if (c >= 0xc2 && str_is_control(text + i)) /* not the second byte of another */
            return "a control character";
        if (c == 0xc2 && (unsigned char)text[i + 1] == 0xa0)
            return "a no-break space";
        if (starts_with(text + i, len - i, "\xe2\x80\x8b", 3))
            return "a zero-width space";
        if (starts_with(text + i, len - i, "\xef\xbb\xbf", 3))
            return "a byte order mark";
    }
    return NULL;
}

/* The length of what stands before the comment, if there is one. */
static size_t without_comment(const char *text, size_t len)
{
    for (size_t i = 0; i < len; ++i) {
        if ((text[i] == ';' || text[i] == '#') && (i == 0 || is_blank(text[i - 1])))
            return i;
        if (i > 0 && text[i - 1] == '=') {
            size_t quoted = bytes_quoted_len(text + i, len - i);
            if (quoted > 0)
                i += quoted - 1;
        }
    }
    return len;
}

/* False after reporting what is wrong with the bytes of a line. */
static bool check_bytes(struct lines *lines, const char *text, size_t len)
{
    if (len > CONF_LINE_MAX) {
        mistakes_add(lines->mistakes, lines->number,
                     "the line has %zu bytes; at most %d are read, make it shorter", len,
                     CONF_LINE_MAX);
        return false;
    }
    if (memchr(text, '\0', len) != NULL) {
        mistakes_add(lines->mistakes, lines->number,
                     "the line holds a NUL byte; a configuration is plain UTF-8 text");
        return false;
    }
    size_t at;
    const char *odd = find_odd(text, without_comment(text, len), &at);
    if (odd != NULL) {
        mistakes_add(lines->mistakes, lines->number,
                     "at byte %zu of the line is %s; remove it or write a plain blank", at + 1,
                     odd);
        return false;
    }
    return true;
}

static void keep(struct lines *lines, const char *text, size_t len)
{
    len = without_comment(text, len);
    while (len > 0 && is_blank(*text)) {
        ++text;
        --len;
    }
    while (len > 0 && is_blank(text[len - 1]))
        --len;
    memcpy(lines->text, text, len);
    lines->text[len] = '\0';
    lines->len = len;
}

bool lines_next(struct lines *lines)
{
    while (lines->next < lines->end) {
        const char *text = lines->next;
        const char *newline = memchr(text, '\n', (size_t)(lines->end - text));
        size_t len = (size_t)((newline != NULL ? newline : lines->end) - text);
        lines->next = newline != NULL ? newline + 1 : lines->end;
        ++lines->number;
        if (newline != NULL && len > 0 && text[len - 1] == '\r')
            --len;

        if (!check_bytes(lines, text, len))
            continue;
        keep(lines, text, len);
        if (lines->len > 0)
            return true;
    }
    return false;
}
