#include "config/value/bytes.h"

#include <string.h>

#include "config/value/mistakes.h"

/* Each with the letter that stands for it behind a backslash. */
static const struct {
    char letter;
    char byte;
} escapes[] = {{'r', '\r'}, {'n', '\n'}, {'t', '\t'}, {'0', '\0'}, {'\\', '\\'}, {'"', '"'}};
static const size_t escape_count = sizeof escapes / sizeof escapes[0];

size_t bytes_quoted_len(const char *text, size_t len)
{
    if (len == 0 || text[0] != '"')
        return 0;
    for (size_t i = 1; i < len; ++i) {
        if (text[i] == '"')
            return i + 1;
        if (text[i] == '\\')
            ++i;
    }
    return 0;
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *digit = memchr(digits, c | 0x20, sizeof digits - 1);
    return digit != NULL && c > ' ' ? (int)(digit - digits) : -1;
}

/* Reads what stands behind a backslash, of which at least one character is there. Returns how
 * many characters it has, 0 when it is no escape. */
static size_t read_escape(const char *text, char *byte)
{
    if (text[0] == 'x') {
        int high = hex_value(text[1]);
        int low = high < 0 ? -1 : hex_value(text[2]);
        *byte = (char)(high * 16 + low);
        return low < 0 ? 0 : 3;
    }
    for (size_t i = 0; i < escape_count; ++i) {
        if (text[0] == escapes[i].letter) {
            *byte = escapes[i].byte;
            return 1;
        }
    }
    return 0;
}

bool bytes_read(const char *text, struct conf_bytes *out, struct str *why)
{
    struct conf_bytes bytes = {0};
    char quote[MISTAKE_QUOTE_MAX];
    const char *end = text + strlen(text) - 1; /* the second mark */

    for (const char *c = text + 1; c < end;) {
        char byte = *c++;
        if (byte == '\\') {
            size_t len = read_escape(c, &byte);
            if (len == 0) {
                str_addf(why,
                         "%s is no escape; there are \\r \\n \\t \\0 \\\\ \\\" and \\xHH for "
                         "any byte",
                         mistake_quote(c - 1, quote));
                return false;
            }
            c += len;
        }
        if (bytes.len == CONF_BYTES_MAX) {
            str_addf(why, "%s has more than %d bytes; make it shorter",
                     mistake_quote(text, quote), CONF_BYTES_MAX);
            return false;
        }
        bytes.bytes[bytes.len++] = (uint8_t)byte;
    }
    if (bytes.len == 0) {
        str_add(why, "there is nothing in the quotation marks; leave it out");
        return false;
    }
    *out = bytes;
    return true;
}

static void write_byte(char byte, struct str *out)
{
    for (size_t i = 0; i < escape_count; ++i) {
        if (byte == escapes[i].byte) {
            str_addf(out, "\\%c", escapes[i].letter);
            return;
        }
    }
    if (byte >= ' ' && byte <= '~')
        str_add_char(out, byte);
    else
        str_addf(out, "\\x%02x", (unsigned)(unsigned char)byte);
}

void bytes_write(const struct conf_bytes *bytes, struct str *out)
{
    str_add_char(out, '"');
    for (size_t i = 0; i < bytes->len; ++i)
        write_byte((char)bytes->bytes[i], out);
    str_add_char(out, '"');
}
