#include "base/err.h"

#include <stddef.h>

static const struct {
    const char *word;
    const char *text;
} errs[] = {
#define X(name, word, text) [name] = {word, text},
    ERR_TABLE(X)
#undef X
};

#define ERR_COUNT (sizeof errs / sizeof errs[0])

/* A value from outside the table can only be a bug elsewhere, but these texts are what bugs
 * are reported with, so it gets words of its own instead of an assertion. */
const char *err_word(enum err err)
{
    return (size_t)err < ERR_COUNT ? errs[err].word : "unknown";
}

const char *err_text(enum err err)
{
    return (size_t)err < ERR_COUNT ? errs[err].text : "unknown error";
}
