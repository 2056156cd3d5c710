/* str_nearest.c - names that resemble each other. */
#include <stdint.h>
#include <string.h>

#include "base/str.h"

#define TEXT_MAX 64

static size_t capped_length(const char *text)
{
    size_t len = strlen(text);
    return len < TEXT_MAX ? len : TEXT_MAX;
}

/* Lower case of ASCII letters only, whatever the locale says. */
static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The usual table of prefixes against prefixes, of which three rows are kept: rows[i % 3][j] is
 * the distance of the first i bytes of a from the first j bytes of b. */
unsigned str_distance(const char *a, const char *b)
{
    unsigned rows[3][TEXT_MAX + 1];
    size_t a_len = capped_length(a);
    size_t b_len = capped_length(b);

    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            char x = lower(a[i - 1]);
            char y = lower(b[j - 1]);
            unsigned best = above[j - 1] + (x == y ? 0 : 1);
            best = least(best, above[j] + 1);
            best = least(best, row[j - 1] + 1);
            if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]))
                best = least(best, rows[(i - 2) % 3][j - 2] + 1);
            row[j] = best;
        }
    }
    return rows[a_len % 3][b_len];
}

const char *str_nearest(const char *word, const char *const names[])
{
    const char *nearest = NULL;
    unsigned nearest_distance = 0;
    size_t word_len = capped_length(word);

    for (size_t i = 0; names[i] != NULL; i++) {
        size_t name_len = capped_length(names[i]);
        size_t letters = word_len > name_len ? word_len : name_len;
        unsigned distance = str_distance(word, names[i]);
        if (3 * (size_t)distance > letters)
            continue;
        if (nearest == NULL || distance < nearest_distance) {
            nearest = names[i];
            nearest_distance = distance;
        }
    }
    return nearest;
}
