/* From a line to the function of a command. */
#include <stdint.h>
#include <string.h>

#include "control/command/alias.h"
#include "control/command/command.h"
#include "control/command/command_table.h"
#include "control/command/match.h"
#include "control/command/parse_line.h"
#include "control/command/refer.h"
#include "control/command/text_width.h"
#include "control/takeover/predecessors.h"

/* ---- words ---- */

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
static bool narrow(const char *typed, size_t index, enum command_fit fits[])
{
    bool wanted = false, whole = false, found = false;
    for (size_t i = 0; i < command_count; i++) {
        if (fits[i] != FIT_PARTIAL)
            continue;
        wanted = true;
        enum word_fit fit = fit_word(&commands[i], index, typed);
        whole = whole || fit == WORD_WHOLE;
        found = found || fit == WORD_WHOLE || (fit == WORD_SHORT && !commands[i].whole);
    }
    if (!wanted)
        return true;
    if (!found) {
        /* Not the next word of a longer command, so it belongs to the shorter one. */
        bool shorter = false;
        for (size_t i = 0; i < command_count; i++)
            shorter = shorter || fits[i] == FIT_FULL;
        if (!shorter)
            return false;
        for (size_t i = 0; i < command_count; i++)
            fits[i] = fits[i] == FIT_PARTIAL ? FIT_NONE : fits[i];
        return true;
    }
    for (size_t i = 0; i < command_count; i++) {
        if (fits[i] == FIT_FULL && whole)
            fits[i] = FIT_NONE; /* "kill route" is not the id "route" of `kill` */
        if (fits[i] != FIT_PARTIAL)
            continue;
        enum word_fit fit = fit_word(&commands[i], index, typed);
        bool fitting = fit == WORD_WHOLE || (fit == WORD_SHORT && !whole && !commands[i].whole);
        if (!fitting)
            fits[i] = FIT_NONE;
        else if (command_word_count(&commands[i]) == index + 1)
            fits[i] = FIT_FULL;
    }
    return true;
}

size_t command_find(const char *const words[], size_t count, enum command_fit fits[])
{
    for (size_t i = 0; i < command_count; i++)
        fits[i] = FIT_PARTIAL;
    for (size_t index = 0; index < count; index++) {
        if (!narrow(words[index], index, fits))
            return index;
    }
    return count;
}

bool command_is_first_word(const char *word)
{
    struct parsed_line line = {.count = 1, .words = {word}};
    if (alias_hint(word) != NULL)
        return true;
    alias_apply(&line);
    for (size_t i = 0; i < command_count; i++) {
        char first[COMMAND_WORD_MAX];
        command_word(&commands[i], 0, first);
        if (match_equal(line.words[0], first))
            return true;
    }
    return false;
}

/* ---- errors that name the word and what would be right ---- */

/* The words that may stand at `index` in the commands of `fits`, each once. */
static void add_next_words(const enum command_fit fits[], size_t index, const char *typed,
                           struct str *list, char nearest[COMMAND_WORD_MAX])
{
    char next[COMMAND_LIMIT][COMMAND_WORD_MAX];
    const char *names[COMMAND_LIMIT + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < command_count; i++) {
        if (fits[i] != FIT_PARTIAL)
            continue;
        command_word(&commands[i], index, next[count]);
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
static void add_prefix(const enum command_fit fits[], size_t count, struct str *out)
{
    size_t first = 0;
    while (first < command_count && fits[first] != FIT_PARTIAL)
        first++;
    for (size_t i = 0; first < command_count && i < count; i++) {
        char word[COMMAND_WORD_MAX];
        command_word(&commands[first], i, word);
        str_addf(out, "%s ", word);
    }
}

void command_fail_unknown(const char *const words[], size_t index,
                          const enum command_fit fits[], struct command_result *result)
{
    struct str list, prefix;
    str_init(&list);
    str_init(&prefix);
    char nearest[COMMAND_WORD_MAX];
    const char *typed = words[index];
    add_next_words(fits, index, typed, &list, nearest);
    add_prefix(fits, index, &prefix);
    const char *hint = index == 0 ? alias_hint(typed) : NULL;
    if (hint != NULL)
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

static void fail_incomplete(const enum command_fit fits[], size_t count,
                            struct command_result *result)
{
    struct str list, prefix;
    str_init(&list);
    str_init(&prefix);
    char nearest[COMMAND_WORD_MAX];
    add_next_words(fits, count, NULL, &list, nearest);
    add_prefix(fits, count, &prefix);
    command_fail(result, "'%.*s' needs one more word: %s",
                 (int)(prefix.len > 0 ? prefix.len - 1 : 0), prefix.data, list.data);
    str_free(&list);
    str_free(&prefix);
}

static void fail_ambiguous(const struct parsed_line *line, const enum command_fit fits[],
                           struct command_result *result)
{
    struct str list, typed;
    str_init(&list);
    str_init(&typed);
    size_t words = line->count;
    for (size_t i = 0; i < command_count; i++) {
        if (fits[i] == FIT_NONE)
            continue;
        str_addf(&list, "%s%s", list.len == 0 ? "" : ", ", commands[i].words);
        size_t own = command_word_count(&commands[i]);
        words = own < words ? own : words;
    }
    for (size_t i = 0; i < words; i++)
        str_addf(&typed, "%s%s", i == 0 ? "" : " ", line->words[i]);
    command_fail(result, "'%s' can mean several commands: %s; write more of it", typed.data,
                 list.data);
    str_free(&list);
    str_free(&typed);
}

/* ---- running ---- */

/* Several commands fit the shortened words; the one whose arguments fit the rest of the line
 * is meant ("show sess 12" is a session, "show sess" the list). NULL: not exactly one. */
static const struct command *choose_by_args(const struct parsed_line *line,
                                            const struct conf *conf, enum command_fit fits[])
{
    const struct command *chosen = NULL;
    size_t fitting = 0;
    for (size_t i = 0; i < command_count; i++) {
        if (fits[i] != FIT_FULL)
            continue;
        struct str why;
        str_init(&why);
        struct command_args args;
        size_t own = command_word_count(&commands[i]);
        bool good = command_read_args(&commands[i], conf, line->words + own, line->count - own,
                                      &args, &why);
        str_free(&why);
        if (good) {
            chosen = &commands[i];
            fitting++;
        }
    }
    return fitting == 1 ? chosen : NULL;
}

static size_t count_fits(const enum command_fit fits[], enum command_fit fit)
{
    size_t count = 0;
    for (size_t i = 0; i < command_count; i++)
        count += fits[i] == fit;
    return count;
}

/* True when word `index` as typed begins a word of `other` there, behind the same words. */
static bool competes(const struct command *command, const struct command *other, size_t index,
                     const char *typed)
{
    char mine[COMMAND_WORD_MAX], word[COMMAND_WORD_MAX];
    if (command_word_count(other) <= index)
        return false;
    for (size_t i = 0; i < index; i++) {
        command_word(command, i, mine);
        command_word(other, i, word);
        if (strcmp(mine, word) != 0)
            return false;
    }
    command_word(other, index, word);
    return match_begins(word, typed);
}

/* False: a shortened word of a command that changes something could have been meant for another,
 * whatever stands behind it; `result` lists those. */
static bool is_meant(const struct command *command, const struct parsed_line *line,
                     struct command_result *result)
{
    size_t own = command_word_count(command);
    for (size_t index = 0; index < own && command->changes; index++) {
        const char *typed = line->words[index];
        char mine[COMMAND_WORD_MAX], word[COMMAND_WORD_MAX];
        struct str list;
        bool several = false;
        command_word(command, index, mine);
        if (match_equal(typed, mine))
            continue;
        str_init(&list);
        for (size_t i = 0; i < command_count; i++) {
            if (!competes(command, &commands[i], index, typed))
                continue;
            command_word(&commands[i], index, word);
            several = several || strcmp(word, mine) != 0;
            str_addf(&list, "%s%s", list.len == 0 ? "" : ", ", commands[i].words);
        }
        if (several)
            command_fail(result, "'%s' can mean several commands: %s; write more of it", typed,
                         list.data);
        str_free(&list);
        if (several)
            return false;
    }
    return true;
}

/* True when a command "FIRST SECOND" goes with the first word as typed. */
static bool has_second_word(const char *first, const char *second)
{
    const char *words[2] = {first, second};
    enum command_fit fits[COMMAND_LIMIT];
    if (command_find(words, 2, fits) != 2)
        return false;
    for (size_t i = 0; i < command_count; i++) {
        char word[COMMAND_WORD_MAX];
        if (fits[i] != FIT_FULL || command_word_count(&commands[i]) != 2)
            continue;
        command_word(&commands[i], 1, word);
        if (strcmp(word, second) == 0)
            return true;
    }
    return false;
}

/* Where `drain` can be `drain route` or `drain upstream`, what it is to drain tells which: puts
 * the word that is missing behind the first one. */
static void add_object_word(struct parsed_line *line, const struct conf *conf)
{
    enum command_fit fits[COMMAND_LIMIT];
    size_t route, upstream;
    if (line->count < 2 || line->count == PARSE_WORDS_MAX ||
        command_find(line->words, line->count, fits) != 1)
        return;
    const char *object = refer_route(conf, line->words[1], &route)                 ? "route"
                         : refer_upstream(conf, line->words[1], &route, &upstream) ? "upstream"
                                                                                   : NULL;
    if (object == NULL || !has_second_word(line->words[0], object))
        return;
    memmove(line->words + 2, line->words + 1, (line->count - 1) * sizeof line->words[0]);
    line->words[1] = object;
    line->count++;
}

/* `drain nope` and `drain lobby/nope`, without the word for what they drain. */
static void explain_object(const struct conf *conf, const struct parsed_line *line,
                           struct command_result *result)
{
    const char *word = line->words[1];
    bool upstream = strchr(word, '/') != NULL;
    if (!has_second_word(line->words[0], upstream ? "upstream" : "route") ||
        strstr(result->text.data, "did you mean") != NULL)
        return;
    struct str why;
    str_init(&why);
    str_add_bytes(&why, result->text.data, result->text.len - 1);
    str_add(&why, "; ");
    (upstream ? refer_explain_upstream : refer_explain_route)(conf, word, &why);
    command_fail(result, "%s", why.data);
    str_free(&why);
}

static const struct command *find_command(const struct parsed_line *line,
                                          const struct conf *conf,
                                          struct command_result *result)
{
    enum command_fit fits[COMMAND_LIMIT];
    size_t known = command_find(line->words, line->count, fits);
    if (known < line->count) {
        command_fail_unknown(line->words, known, fits, result);
        if (known == 1)
            explain_object(conf, line, result);
        return NULL;
    }
    size_t full = count_fits(fits, FIT_FULL);
    if (full == 0) {
        fail_incomplete(fits, line->count, result);
        return NULL;
    }
    if (full == 1) {
        size_t i = 0;
        while (fits[i] != FIT_FULL)
            i++;
        return &commands[i];
    }
    const struct command *command = choose_by_args(line, conf, fits);
    if (command == NULL)
        fail_ambiguous(line, fits, result);
    return command;
}

static void run_parsed(struct command_session *session, struct parsed_line *parsed,
                       struct command_result *result)
{
    const struct conf *conf = server_conf(session->console->server);
    alias_apply(parsed);
    add_object_word(parsed, conf);
    const struct command *command = find_command(parsed, conf, result);
    if (command == NULL || !is_meant(command, parsed, result))
        return;

    struct command_args args;
    struct str problem;
    str_init(&problem);
    size_t own = command_word_count(command);
    session->ran = command;
    if (command_read_args(command, conf, parsed->words + own, parsed->count - own, &args,
                          &problem))
        command->run(session, &args, result);
    else
        command_fail(result, "%s", problem.data);
    str_free(&problem);
}

/* Without those of a file or of JSON: these are read by programs, too. */
static void break_lines(const struct command_session *session, struct command_result *result)
{
    const struct command *ran = session->ran;
    if (result->text.data[0] == '{' || (ran != NULL && ran->run == command_show_config))
        return;
    text_wrap(&result->text, session->columns, ran != NULL && ran->run == command_help);
}

void command_run(struct command_session *session, const char *line, size_t len,
                 struct command_result *result)
{
    str_clear(&result->text);
    result->failed = false;
    result->quit = false;

    struct parsed_line parsed;
    char why[PARSE_WHY_MAX];
    session->ran = NULL;
    if (!parse_line(line, len, &parsed, why)) {
        command_fail(result, "%s", why);
        return;
    }
    if (parsed.count == 0)
        return;
    /* The command and its words mean one and the same configuration. */
    server_hold(session->console->server);
    run_parsed(session, &parsed, result);
    server_release(session->console->server);
    predecessors_follow(session, line, len, result);
    break_lines(session, result);
    if (result->text.failed) {
        /* The answer is cut somewhere: better none than half of one. */
        str_free(&result->text);
        command_fail(result, "out of memory");
    }
}
