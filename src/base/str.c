#include "base/str.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an empty string points to, so that `data` can be read at any time. It is never written:
 * cap 0 says that the string owns no memory. */
static char nothing[1];

void str_init(struct str *str)
{
    *str = (struct str){.data = nothing};
}

void str_free(struct str *str)
{
    if (str->cap != 0)
        free(str->data);
    str_init(str);
}

void str_clear(struct str *str)
{
    str->len = 0;
    str->failed = false;
    if (str->cap != 0)
        str->data[0] = '\0';
}

/* Makes room for `more` bytes and the zero byte after them. */
static bool grow(struct str *str, size_t more)
{
    if (str->failed)
        return false;
    if (str->cap - str->len > more)
        return true; /* also says that cap is not 0 */

    size_t cap = str->cap < 64 ? 64 : str->cap;
    while (cap - str->len <= more) {
        if (cap > SIZE_MAX / 4) {
            str->failed = true;
            return false;
        }
        cap *= 2;
    }

    char *data = realloc(str->cap != 0 ? str->data : NULL, cap);
    if (data == NULL) {
        str->failed = true;
        return false;
    }
    data[str->len] = '\0';
    str->data = data;
    str->cap = cap;
    return true;
}

void str_add_bytes(struct str *str, const char *bytes, size_t len)
{
    if (len == 0 || !grow(str, len))
        return;
    memcpy(str->data + str->len, bytes, len);
    str->len += len;
    str->data[str->len] = '\0';
}

void str_add(struct str *str, const char *text)
{
    str_add_bytes(str, text, strlen(text));
}

void str_add_char(struct str *str, char c)
{
    str_add_bytes(str, &c, 1);
}

void str_vaddf(struct str *str, const char *format, va_list args)
{
    if (!grow(str, 0))
        return;

    va_list again;
    va_copy(again, args);
    size_t room = str->cap - str->len;
    int len = vsnprintf(str->data + str->len, room, format, args);
    if (len >= 0 && (size_t)len >= room) {
        str->data[str->len] = '\0'; /* drops the part that fitted, in case growing fails */
        if (grow(str, (size_t)len))
            len = vsnprintf(str->data + str->len, (size_t)len + 1, format, again);
        else
            len = -1;
    }
    va_end(again);

    if (len < 0) {
        str->data[str->len] = '\0';
        str->failed = true;
        return;
    }
    str->len += (size_t)len;
}

void str_addf(struct str *str, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    str_vaddf(str, format, args);
    va_end(args);
}

size_t str_format(char *buf, size_t size, const char *format, ...)
{
    assert(size != 0);
    va_list args;
    va_start(args, format);
    int len = vsnprintf(buf, size, format, args);
    va_end(args);
    if (len < 0) {
        buf[0] = '\0';
        return 0;
    }
    return (size_t)len < size ? (size_t)len : size - 1;
}

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The length of the well-formed character at the start of s[0..len), len >= 1; 0 if there is
 * none. The table 3-7 of the Unicode standard: only the second byte's range depends on the
 * first, which rules out overlong forms, surrogates and what lies above U+10FFFF. */
static size_t character_length(const unsigned char *s, size_t len)
{
    if (s[0] < 0x80)
        return 1;

    size_t need;
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    if (s[0] >= 0xC2 && s[0] <= 0xDF) {
        need = 2;
    } else if (s[0] >= 0xE0 && s[0] <= 0xEF) {
        need = 3;
        if (s[0] == 0xE0)
            low = 0xA0;
        else if (s[0] == 0xED)
            high = 0x9F;
    } else if (s[0] >= 0xF0 && s[0] <= 0xF4) {
        need = 4;
        if (s[0] == 0xF0)
            low = 0x90;
        else if (s[0] == 0xF4)
            high = 0x8F;
    } else {
        return 0;
    }

    if (len < need || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++) {
        if (!is_continuation(s[i]))
            return 0;
    }
    return need;
}

size_t str_utf8_prefix(const char *bytes, size_t len)
{
    const unsigned char *s = (const unsigned char *)bytes;
    size_t at = 0;
    while (at < len) {
        size_t step = character_length(s + at, len - at);
        if (step == 0)
            break;
        at += step;
    }
    return at;
}

bool str_is_control(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    if (c[0] < 0x20 || c[0] == 0x7F)
        return true;
    if (c[0] == 0xC2)
        return c[1] < 0xA0;
    if (c[0] == 0xD8)
        return c[1] == 0x9C;          /* U+061C */
    if (c[0] == 0xE2 && c[1] == 0x80) /* U+200E, U+200F, U+2028 to U+202E */
        return c[2] == 0x8E || c[2] == 0x8F || (c[2] >= 0xA8 && c[2] <= 0xAE);
    return c[0] == 0xE2 && c[1] == 0x81 && c[2] >= 0xA6 && c[2] <= 0xA9; /* U+2066 to U+2069 */
}

size_t str_escape_next(const char *text, size_t len, char piece[STR_ESCAPED_MAX],
                       size_t *piece_len)
{
    size_t step = character_length((const unsigned char *)text, len);
    *piece_len = 0;
    if (step > 0 && !str_is_control(text)) {
        memcpy(piece, text, step);
        *piece_len = step;
        return step;
    }
    step = step > 0 ? step : 1;
    for (size_t i = 0; i < step; i++) /* no control has more than three bytes */
        *piece_len += str_format(piece + *piece_len, STR_ESCAPED_MAX - *piece_len, "\\x%02x",
                                 (unsigned char)text[i]);
    return step;
}

void str_add_escaped(struct str *str, const char *text, size_t len)
{
    for (size_t at = 0; at < len;) {
        char piece[STR_ESCAPED_MAX];
        size_t piece_len = 1;
        size_t step = 1;
        if (text[at] == '\n' || text[at] == '\t')
            piece[0] = text[at];
        else
            step = str_escape_next(text + at, len - at, piece, &piece_len);
        str_add_bytes(str, piece, piece_len);
        at += step;
    }
}

static bool needs_escape(const struct str *str)
{
    for (size_t at = 0; at < str->len;) {
        char piece[STR_ESCAPED_MAX];
        size_t piece_len;
        const char *c = str->data + at;
        size_t step = str_escape_next(c, str->len - at, piece, &piece_len);
        if (piece_len != step && *c != '\n' && *c != '\t')
            return true;
        at += step;
    }
    return false;
}

void str_escape(struct str *str)
{
    if (!needs_escape(str))
        return;
    struct str escaped;
    str_init(&escaped);
    str_add_escaped(&escaped, str->data, str->len);
    str_free(str);
    *str = escaped;
}

size_t str_columns(const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t len = strlen(text);
    size_t columns = 0;
    for (size_t at = 0; at < len; columns++) {
        size_t step = character_length(s + at, len - at);
        at += step != 0 ? step : 1; /* a stray byte takes a column of its own */
    }
    return columns;
}
