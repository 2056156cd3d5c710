#include "config/value/words.h"

#include <string.h>

#include "config/value/mistakes.h"

bool words_find(const char *text, const char *const words[], size_t *index, struct str *why)
{
    for (size_t i = 0; words[i] != NULL; ++i) {
        if (strcmp(text, words[i]) == 0) {
            *index = i;
            return true;
        }
    }
    char quote[MISTAKE_QUOTE_MAX];
    str_addf(why, "%s is not known; write ", mistake_quote(text, quote));
    words_add(words, "or", why);
    return false;
}

bool words_is_reserved(const char *name)
{
    static const char *const reserved[] = {"all",  "frozen", "json", "kill",     "limit",
                                           "over", "route",  "sort", "upstream", NULL};
    char lower[16];
    size_t len = strlen(name);
    if (len >= sizeof lower)
        return false;
    for (size_t i = 0; i <= len; ++i)
        lower[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] | 0x20 : name[i]);
    for (size_t i = 0; reserved[i] != NULL; ++i)
        if (strcmp(lower, reserved[i]) == 0)
            return true;
    return false;
}

bool words_read_choice(const char *text, const char *const words[], void *field,
                       struct str *why)
{
    size_t index;
    if (!words_find(text, words, &index, why))
        return false;
    unsigned value = (unsigned)index;
    memcpy(field, &value, sizeof value);
    return true;
}

unsigned words_choice(const void *field)
{
    unsigned value;
    memcpy(&value, field, sizeof value);
    return value;
}

void words_add(const char *const words[], const char *last, struct str *out)
{
    for (size_t i = 0; words[i] != NULL; ++i) {
        if (i > 0 && words[i + 1] == NULL)
            str_addf(out, " %s ", last);
        else if (i > 0)
            str_add(out, ", ");
        str_add(out, words[i]);
    }
}

size_t words_first(const char *text, const char **rest)
{
    size_t len = strcspn(text, WORDS_BLANKS);
    *rest = text + len + strspn(text + len, WORDS_BLANKS);
    return len;
}

size_t words_split(char *text, char *words[], size_t max)
{
    size_t count = 0;
    while (*text != '\0') {
        if (count == max)
            return max + 1;
        const char *rest;
        size_t len = words_first(text, &rest);
        char *next = text + (rest - text);
        words[count++] = text;
        text[len] = '\0';
        text = next;
    }
    return count;
}
