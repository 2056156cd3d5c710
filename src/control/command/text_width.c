#include "control/command/text_width.h"

#include <stdint.h>
#include <string.h>

size_t text_char_len(const char *text)
{
    unsigned char c = (unsigned char)*text;
    return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static uint32_t code_point(const char *text)
{
    static const unsigned char lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t len = text_char_len(text);
    uint32_t code = (unsigned char)text[0] & lead_mask[len];
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)text[i] & 0x3f);
    return code;
}

struct range {
    uint32_t first, last;
    unsigned width;
};

static const struct range ranges[] = {
    {0x0300, 0x036f, 0},   /* combining diacritical marks */
    {0x0483, 0x0489, 0},   /* combining Cyrillic */
    {0x0591, 0x05bd, 0},   /* Hebrew points */
    {0x064b, 0x065f, 0},   /* Arabic marks */
    {0x1100, 0x115f, 2},   /* Hangul initial consonants */
    {0x1ab0, 0x1aff, 0},   /* combining marks extended */
    {0x1dc0, 0x1dff, 0},   /* combining marks supplement */
    {0x200b, 0x200f, 0},   /* zero width space, joiners, direction marks */
    {0x202a, 0x202e, 0},   /* direction embeddings */
    {0x2060, 0x2064, 0},   /* word joiner, invisible operators */
    {0x20d0, 0x20ff, 0},   /* combining marks for symbols */
    {0x2e80, 0x303e, 2},   /* CJK radicals and punctuation */
    {0x3041, 0xa4cf, 2},   /* kana to Yi */
    {0xac00, 0xd7a3, 2},   /* Hangul syllables */
    {0xf900, 0xfaff, 2},   /* CJK compatibility ideographs */
    {0xfe00, 0xfe0f, 0},   /* variation selectors */
    {0xfe20, 0xfe2f, 0},   /* combining half marks */
    {0xfe30, 0xfe6f, 2},   /* CJK compatibility forms */
    {0xfeff, 0xfeff, 0},   /* zero width no-break space */
    {0xff00, 0xff60, 2},   /* full-width forms */
    {0xffe0, 0xffe6, 2},   /* full-width signs */
    {0x1f300, 0x1f64f, 2}, /* pictographs, faces */
    {0x1f680, 0x1f6ff, 2}, /* transport */
    {0x1f900, 0x1f9ff, 2}, /* supplemental pictographs */
    {0x20000, 0x3fffd, 2}, /* further ideographs */
};

unsigned text_char_width(const char *text)
{
    uint32_t code = code_point(text);
    size_t low = 0, high = sizeof ranges / sizeof ranges[0];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (code < ranges[middle].first)
            high = middle;
        else if (code > ranges[middle].last)
            low = middle + 1;
        else
            return ranges[middle].width;
    }
    return 1;
}

/* ---- lines ---- */

struct wrap {
    struct str out;
    size_t width;
    size_t indent; /* of what follows a break */
    size_t column; /* of the line so far */
    bool broken;   /* the line was */
};

static size_t count_columns(const char *text, size_t len)
{
    size_t columns = 0;
    for (size_t i = 0; i < len; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

/* Where the last column begins, if the line has several; else where the line does. */
static size_t find_indent(const char *line, size_t len, size_t width)
{
    size_t first = strspn(line, " "), last = first;
    for (size_t i = first; i + 2 < len; i++)
        if (line[i] == ' ' && line[i + 1] == ' ' && line[i + 2] != ' ')
            last = count_columns(line, i + 2);
    return last <= width - width / 3 ? last : first;
}

static void add_word(struct wrap *wrap, size_t blanks, const char *word, size_t len)
{
    size_t columns = count_columns(word, len);
    if (wrap->column > wrap->indent && wrap->column + blanks + columns > wrap->width) {
        str_add_char(&wrap->out, '\n');
        wrap->column = 0;
        wrap->broken = true;
        blanks = wrap->indent;
    }
    str_addf(&wrap->out, "%*s", (int)blanks, "");
    str_add_bytes(&wrap->out, word, len);
    wrap->column += blanks + columns;
}

/* `gap` is what goes before the first word in place of its own blanks; SIZE_MAX: those. */
static void add_words(struct wrap *wrap, const char *line, size_t len, size_t gap)
{
    for (size_t at = 0; at < len;) {
        size_t blanks = strspn(line + at, " ");
        size_t word = strcspn(line + at + blanks, " \n");
        add_word(wrap, gap == SIZE_MAX ? blanks : gap, line + at + blanks, word);
        at += blanks + word;
        gap = SIZE_MAX;
    }
}

/* The line is a further one of the paragraph whose lines begin at `indent`. */
static bool goes_on(const char *line, size_t len, size_t indent)
{
    return len > 0 && strspn(line, " ") == indent && find_indent(line, len, SIZE_MAX) == indent;
}

void text_wrap(struct str *text, unsigned width, bool flows)
{
    struct wrap wrap = {.width = width};
    if (width == 0 || text->failed)
        return;
    str_init(&wrap.out);
    for (const char *line = text->data; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        if (flows && wrap.broken && !wrap.out.failed && goes_on(line, len, wrap.indent)) {
            wrap.out.len--; /* the newline */
            add_words(&wrap, line, len, 1);
        } else {
            wrap.column = 0;
            wrap.broken = false;
            wrap.indent = find_indent(line, len, width);
            if (count_columns(line, len) > width)
                add_words(&wrap, line, len, SIZE_MAX);
            else
                str_add_bytes(&wrap.out, line, len);
        }
        line += len;
        if (*line == '\n') {
            str_add_char(&wrap.out, '\n');
            line++;
        }
    }
    wrap.out.failed = wrap.out.failed || text->failed;
    str_free(text);
    *text = wrap.out;
}
