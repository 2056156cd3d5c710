#include "control/command/find.h"

#include <string.h>

#include "control/command/alias.h"
#include "control/command/match.h"

size_t command_word_count(const struct command *command)
{
    size_t count = 1;
    for (const char *c = command->words; *c != '\0'; c++)
        count += *c == ' ';
    return count;
}

void command_word(const struct command *command, size_t index, char word[COMMAND_WORD_MAX])
{
    const char *at = command->words;
    while (index-- > 0)
        at = strchr(at, ' ') + 1;
    str_format(word, COMMAND_WORD_MAX, "%.*s", (int)strcspn(at, " "), at);
}

enum word_fit { WORD_OTHER, WORD_SHORT, WORD_WHOLE };

static enum word_fit fit_word(const struct command *command, size_t index, const char *typed)
{
    char word[COMMAND_WORD_MAX];
    command_word(command, index, word);
    if (match_equal(typed, word))
        return WORD_WHOLE;
    return *typed != '\0' && match_begins(word, typed) ? WORD_SHORT : WORD_OTHER;
}

/* Narrows `fits` to the commands that word `index` fits too. Commands whose words are all
 * matched stay: the word is one of their arguments. Returns false, with `fits` unchanged, when
 * the word fits no command that still wants one. */
static bool narrow(const char *typed, size_t index, struct command_fits *fits)
{
    bool wanted = false, whole = false, found = false;
    for (size_t i = 0; i < fits->count; i++) {
        if (fits->each[i] != FIT_PARTIAL)
            continue;
        wanted = true;
        enum word_fit fit = fit_word(&fits->commands[i], index, typed);
        whole = whole || fit == WORD_WHOLE;
        found = found || fit == WORD_WHOLE || (fit == WORD_SHORT && !fits->commands[i].whole);
    }
    if (!wanted)
        return true;
    if (!found) {
        /* Not the next word of a longer command, so it belongs to the shorter one. */
        bool shorter = false;
        for (size_t i = 0; i < fits->count; i++)
            shorter = shorter || fits->each[i] == FIT_FULL;
        if (!shorter)
            return false;
        for (size_t i = 0; i < fits->count; i++)
            fits->each[i] = fits->each[i] == FIT_PARTIAL ? FIT_NONE : fits->each[i];
        return true;
    }
    for (size_t i = 0; i < fits->count; i++) {
        if (fits->each[i] == FIT_FULL && whole)
            fits->each[i] = FIT_NONE; /* "kill route" is not the id "route" of `kill` */
        if (fits->each[i] != FIT_PARTIAL)
            continue;
        enum word_fit fit = fit_word(&fits->commands[i], index, typed);
        bool fitting =
            fit == WORD_WHOLE || (fit == WORD_SHORT && !whole && !fits->commands[i].whole);
        if (!fitting)
            fits->each[i] = FIT_NONE;
        else if (command_word_count(&fits->commands[i]) == index + 1)
            fits->each[i] = FIT_FULL;
    }
    return true;
}

size_t command_find(const struct command_table *table, const char *const words[], size_t count,
                    struct command_fits *fits)
{
    fits->commands = table->all;
    fits->count = table->count;
    fits->full = 0;
    fits->found = NULL;
    for (size_t i = 0; i < fits->count; i++)
        fits->each[i] = FIT_PARTIAL;
    size_t known = 0;
    while (known < count && narrow(words[known], known, fits))
        known++;
    for (size_t i = 0; i < fits->count; i++)
        if (fits->each[i] == FIT_FULL)
            fits->found = fits->full++ == 0 ? &fits->commands[i] : NULL;
    return known;
}

bool command_is_first_word(const struct command_table *table, const char *word)
{
    struct parsed_line line = {.count = 1, .words = {word}};
    if (alias_hint(word) != NULL)
        return true;
    alias_apply(&line);
    for (size_t i = 0; i < table->count; i++) {
        char first[COMMAND_WORD_MAX];
        command_word(&table->all[i], 0, first);
        if (match_equal(line.words[0], first))
            return true;
    }
    return false;
}

/* ---- errors that name the word and what would be right ---- */

/* The words that may stand at `index` in the commands of `fits`, each once. */
static void add_next_words(const struct command_fits *fits, size_t index, const char *typed,
                           struct str *list, char nearest[COMMAND_WORD_MAX])
{
    char next[COMMAND_LIMIT][COMMAND_WORD_MAX];
    const char *names[COMMAND_LIMIT + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < fits->count; i++) {
        if (fits->each[i] != FIT_PARTIAL)
            continue;
        command_word(&fits->commands[i], index, next[count]);
        bool known = false;
        for (size_t n = 0; n < count; n++)
            known = known || strcmp(names[n], next[count]) == 0;
        if (known)
            continue;
        names[count] = next[count];
        str_addf(list, "%s%s", count == 0 ? "" : ", ", next[count]);
        names[++count] = NULL;
    }
    const char *near = typed == NULL ? NULL : match_nearest(typed, names);
    str_format(nearest, COMMAND_WORD_MAX, "%s", near == NULL ? "" : near);
}

/* Writes the first `count` words as the table has them, "show ", or nothing. */
static void add_prefix(const struct command_fits *fits, size_t count, struct str *out)
{
    size_t first = 0;
    while (first < fits->count && fits->each[first] != FIT_PARTIAL)
        first++;
    for (size_t i = 0; first < fits->count && i < count; i++) {
        char word[COMMAND_WORD_MAX];
        command_word(&fits->commands[first], i, word);
        str_addf(out, "%s ", word);
    }
}

void command_fail_unknown(const char *const words[], size_t count, size_t index,
                          const struct command_fits *fits, struct command_result *result)
{
    struct str list, prefix;
    str_init(&list);
    str_init(&prefix);
    char nearest[COMMAND_WORD_MAX];
    const char *typed = index < count ? words[index] : NULL;
    add_next_words(fits, index, typed, &list, nearest);
    add_prefix(fits, index, &prefix);
    const char *hint = index == 0 && typed != NULL ? alias_hint(typed) : NULL;
    if (typed == NULL)
        command_fail(result, "'%.*s' needs one more word: %s",
                     (int)(prefix.len > 0 ? prefix.len - 1 : 0), prefix.data, list.data);
    else if (hint != NULL)
        command_fail(result, "unknown command '%s'; %s", typed, hint);
    else if (index == 0 && nearest[0] == '\0')
        command_fail(result, "unknown command '%s'; `help` lists the commands", typed);
    else if (index == 0)
        command_fail(result,
                     "unknown command '%s'; did you mean '%s'? `help` lists the commands",
                     typed, nearest);
    else if (nearest[0] == '\0')
        command_fail(result, "unknown command '%s%s'; %sknows: %s", prefix.data, typed,
                     prefix.data, list.data);
    else
        command_fail(result, "unknown command '%s%s'; did you mean '%s%s'?", prefix.data, typed,
                     prefix.data, nearest);
    str_free(&list);
    str_free(&prefix);
}
