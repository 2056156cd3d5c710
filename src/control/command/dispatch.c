/* From a line to the function of a command. */
#include <stdint.h>
#include <string.h>

#include "control/command/alias.h"
#include "control/command/arguments.h"
#include "control/command/command.h"
#include "control/command/find.h"
#include "control/command/match.h"
#include "control/command/parse_line.h"
#include "control/command/refer.h"
#include "control/command/text_width.h"
#include "relay/server.h"

static void fail_ambiguous(const struct parsed_line *line, const struct command_fits *fits,
                           struct command_result *result)
{
    struct str list, typed;
    str_init(&list);
    str_init(&typed);
    size_t words = line->count;
    for (size_t i = 0; i < fits->count; i++) {
        if (fits->each[i] == FIT_NONE)
            continue;
        str_addf(&list, "%s%s", list.len == 0 ? "" : ", ", fits->commands[i].words);
        size_t own = command_word_count(&fits->commands[i]);
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
                                            const struct conf *conf,
                                            const struct command_fits *fits)
{
    const struct command *chosen = NULL;
    size_t fitting = 0;
    for (size_t i = 0; i < fits->count; i++) {
        if (fits->each[i] != FIT_FULL)
            continue;
        struct str why;
        str_init(&why);
        struct command_args args;
        size_t own = command_word_count(&fits->commands[i]);
        bool good = command_read_args(&fits->commands[i], conf, line->words + own,
                                      line->count - own, &args, &why);
        str_free(&why);
        if (good) {
            chosen = &fits->commands[i];
            fitting++;
        }
    }
    return fitting == 1 ? chosen : NULL;
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
static bool is_meant(const struct command_table *table, const struct command *command,
                     const struct parsed_line *line, struct command_result *result)
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
        for (size_t i = 0; i < table->count; i++) {
            if (!competes(command, &table->all[i], index, typed))
                continue;
            command_word(&table->all[i], index, word);
            several = several || strcmp(word, mine) != 0;
            str_addf(&list, "%s%s", list.len == 0 ? "" : ", ", table->all[i].words);
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
static bool has_second_word(const struct command_table *table, const char *first,
                            const char *second)
{
    const char *words[2] = {first, second};
    struct command_fits fits;
    if (command_find(table, words, 2, &fits) != 2)
        return false;
    for (size_t i = 0; i < fits.count; i++) {
        char word[COMMAND_WORD_MAX];
        if (fits.each[i] != FIT_FULL || command_word_count(&fits.commands[i]) != 2)
            continue;
        command_word(&fits.commands[i], 1, word);
        if (strcmp(word, second) == 0)
            return true;
    }
    return false;
}

/* Where `drain` can be `drain route` or `drain upstream`, what it is to drain tells which: puts
 * the word that is missing behind the first one. */
static void add_object_word(const struct command_table *table, struct parsed_line *line,
                            const struct conf *conf)
{
    struct command_fits fits;
    size_t route, upstream;
    if (line->count < 2 || line->count == PARSE_WORDS_MAX ||
        command_find(table, line->words, line->count, &fits) != 1)
        return;
    const char *object = refer_route(conf, line->words[1], &route)                 ? "route"
                         : refer_upstream(conf, line->words[1], &route, &upstream) ? "upstream"
                                                                                   : NULL;
    if (object == NULL || !has_second_word(table, line->words[0], object))
        return;
    memmove(line->words + 2, line->words + 1, (line->count - 1) * sizeof line->words[0]);
    line->words[1] = object;
    line->count++;
}

/* `drain nope` and `drain lobby/nope`, without the word for what they drain. */
static void explain_object(const struct command_table *table, const struct conf *conf,
                           const struct parsed_line *line, struct command_result *result)
{
    const char *word = line->words[1];
    bool upstream = strchr(word, '/') != NULL;
    if (!has_second_word(table, line->words[0], upstream ? "upstream" : "route") ||
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

static const struct command *find_command(const struct command_table *table,
                                          const struct parsed_line *line,
                                          const struct conf *conf,
                                          struct command_result *result)
{
    struct command_fits fits;
    size_t known = command_find(table, line->words, line->count, &fits);
    if (fits.full == 0) {
        command_fail_unknown(line->words, line->count, known, &fits, result);
        if (known == 1 && known < line->count)
            explain_object(table, conf, line, result);
        return NULL;
    }
    if (fits.found != NULL)
        return fits.found;
    const struct command *command = choose_by_args(line, conf, &fits);
    if (command == NULL)
        fail_ambiguous(line, &fits, result);
    return command;
}

static void run_parsed(struct command_session *session, struct parsed_line *parsed,
                       struct command_result *result)
{
    const struct command_table *table = session->console->commands;
    const struct conf *conf = server_conf(session->console->server);
    alias_apply(parsed);
    add_object_word(table, parsed, conf);
    const struct command *command = find_command(table, parsed, conf, result);
    if (command == NULL || !is_meant(table, command, parsed, result))
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

static void break_lines(const struct command_session *session, struct command_result *result)
{
    enum command_lines lines = session->ran == NULL ? LINES_WRAP : session->ran->lines;
    if (lines != LINES_KEEP && result->text.data[0] != '{')
        text_wrap(&result->text, session->columns, lines == LINES_FLOW);
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
    if (session->ran != NULL)
        session->console->commands->forward(session, line, len, result);
    break_lines(session, result);
    if (result->text.failed) {
        /* The answer is cut somewhere: better none than half of one. */
        str_free(&result->text);
        command_fail(result, "out of memory");
    }
}
