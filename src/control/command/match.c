#include "control/command/match.h"

#include "base/str.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool match_begins(const char *word, const char *beginning)
{
    while (*beginning != '\0') {
        if (lower(*word++) != lower(*beginning++))
            return false;
    }
    return true;
}

bool match_equal(const char *a, const char *b)
{
    return match_begins(a, b) && match_begins(b, a);
}

static size_t count_beginnings(const char *word, const char *const names[], size_t *last)
{
    size_t count = 0;
    for (size_t i = 0; names[i] != NULL; i++) {
        if (match_begins(names[i], word)) {
            *last = i;
            count++;
        }
    }
    return count;
}

const char *match_nearest(const char *word, const char *const names[])
{
    const char *near = str_nearest(word, names);
    if (near != NULL || *word == '\0')
        return near;
    size_t index = 0;
    return count_beginnings(word, names, &index) == 1 ? names[index] : NULL;
}

bool match_find(const char *word, const char *const names[], size_t *index)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (match_equal(word, names[i])) {
            *index = i;
            return true;
        }
    }
    return *word != '\0' && count_beginnings(word, names, index) == 1;
}
