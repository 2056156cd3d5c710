#include "control/command/parse_line.h"

#include <string.h>

struct scan {
    const char *line;
    size_t len;
    size_t at;      /* next byte of the line */
    size_t written; /* bytes of out->text in use */
    struct parsed_line *out;
    bool partial; /* the end of the line may cut a quote or an escape */
    bool typing;  /* the last word reaches the end of the line */
    char *why;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

size_t parse_printable_prefix(const char *bytes, size_t len)
{
    size_t good = str_utf8_prefix(bytes, len);
    for (size_t i = 0; i < good; i++) {
        bool begins = ((unsigned char)bytes[i] & 0xc0) != 0x80; /* a character */
        if (begins && str_is_control(bytes + i))
            return i;
    }
    return good;
}

static bool check_bytes(const struct scan *scan)
{
    size_t at = 0;
    while (at < scan->len) {
        at += parse_printable_prefix(scan->line + at, scan->len - at);
        if (at == scan->len)
            return true;
        if (scan->line[at] != '\t')
            break;
        at++;
    }
    if (at == scan->len)
        return true;
    unsigned char c = (unsigned char)scan->line[at];
    if (c == 0)
        str_format(scan->why, PARSE_WHY_MAX, "byte %zu of the line is a NUL", at + 1);
    else if (str_utf8_prefix(scan->line + at, scan->len - at) > 0)
        str_format(scan->why, PARSE_WHY_MAX,
                   "byte %zu of the line (0x%02x) is a control character", at + 1, c);
    else
        str_format(scan->why, PARSE_WHY_MAX, "byte %zu of the line (0x%02x) is no valid UTF-8",
                   at + 1, c);
    return false;
}

static void put(struct scan *scan, char c)
{
    scan->out->text[scan->written++] = c;
}

/* Reads up to the closing quote, which `at` is behind afterwards. */
static bool scan_quoted(struct scan *scan, char quote)
{
    size_t opened = scan->at++;
    while (scan->at < scan->len) {
        char c = scan->line[scan->at++];
        if (c == quote)
            return true;
        if (c == '\\' && quote == '"' && scan->at < scan->len &&
            (scan->line[scan->at] == '"' || scan->line[scan->at] == '\\'))
            c = scan->line[scan->at++];
        put(scan, c);
    }
    if (scan->partial)
        return true;
    str_format(scan->why, PARSE_WHY_MAX, "the quote (%c) at byte %zu of the line is not closed",
               quote, opened + 1);
    return false;
}

static bool scan_word(struct scan *scan)
{
    struct parsed_line *out = scan->out;
    if (out->count == PARSE_WORDS_MAX) {
        str_format(scan->why, PARSE_WHY_MAX, "the line has more than %d words",
                   PARSE_WORDS_MAX);
        return false;
    }
    out->starts[out->count] = scan->at;
    out->words[out->count] = out->text + scan->written;
    out->count++;
    while (scan->at < scan->len && !is_blank(scan->line[scan->at])) {
        char c = scan->line[scan->at];
        if (c == '"' || c == '\'') {
            if (!scan_quoted(scan, c))
                return false;
            continue;
        }
        scan->at++;
        if (c == '\\') {
            if (scan->at == scan->len) {
                if (scan->partial)
                    break;
                str_format(scan->why, PARSE_WHY_MAX,
                           "the line ends in a backslash that has nothing to escape");
                return false;
            }
            c = scan->line[scan->at++];
        }
        put(scan, c);
    }
    put(scan, '\0');
    scan->typing = scan->at == scan->len;
    return true;
}

static void skip_blanks(struct scan *scan)
{
    while (scan->at < scan->len && is_blank(scan->line[scan->at]))
        scan->at++;
}

static bool scan_line(struct scan *scan)
{
    scan->out->count = 0;
    if (scan->len > PARSE_LINE_MAX) {
        str_format(scan->why, PARSE_WHY_MAX, "the line has more than %d bytes", PARSE_LINE_MAX);
        return false;
    }
    if (!check_bytes(scan))
        return false;
    skip_blanks(scan);
    if (scan->at < scan->len && scan->line[scan->at] == '#')
        return !scan->partial;
    while (scan->at < scan->len) {
        if (!scan_word(scan))
            return false;
        skip_blanks(scan);
    }
    return true;
}

bool parse_line(const char *line, size_t len, struct parsed_line *out, char why[PARSE_WHY_MAX])
{
    if (len > 0 && line[len - 1] == '\n')
        len--;
    if (len > 0 && line[len - 1] == '\r')
        len--;
    struct scan scan = {.line = line, .len = len, .out = out, .why = why};
    return scan_line(&scan);
}

bool parse_line_partial(const char *line, size_t len, struct parsed_line *out)
{
    char why[PARSE_WHY_MAX];
    struct scan scan = {.line = line, .len = len, .out = out, .partial = true, .why = why};
    if (!scan_line(&scan))
        return false;
    if (scan.typing)
        return true;
    if (out->count == PARSE_WORDS_MAX)
        return false;
    out->starts[out->count] = len;
    out->words[out->count++] = "";
    return true;
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("_.:/@%+,=-", c) != NULL;
}

void parse_line_quote(const char *word, struct str *out)
{
    bool plain = *word != '\0';
    for (const char *c = word; *c != '\0'; c++)
        plain = plain && is_plain(*c);
    if (plain) {
        str_add(out, word);
        return;
    }
    str_add_char(out, '"');
    for (const char *c = word; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            str_add_char(out, '\\');
        str_add_char(out, *c);
    }
    str_add_char(out, '"');
}
