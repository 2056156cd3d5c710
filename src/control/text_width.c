#include "control/text_width.h"

#include <stdint.h>

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
