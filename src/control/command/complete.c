/* Tab completion, made from the table of commands. */
#include <string.h>

#include "control/command/arguments.h"
#include "control/command/command.h"
#include "control/command/find.h"
#include "control/command/match.h"
#include "control/command/parse_line.h"

void completion_init(struct completion *completion)
{
    str_init(&completion->insert);
    str_init(&completion->candidates);
}

void completion_free(struct completion *completion)
{
    str_free(&completion->insert);
    str_free(&completion->candidates);
}

/* The names that the word being typed may become. */
struct choice {
    const char *typed;
    struct str names; /* zero-terminated, one behind the other, each once */
    size_t count;
};

static void offer(struct choice *choice, const char *name)
{
    if (!match_begins(name, choice->typed))
        return;
    const char *at = choice->names.data;
    for (size_t i = 0; i < choice->count; i++, at += strlen(at) + 1) {
        if (strcmp(at, name) == 0)
            return;
    }
    str_add_bytes(&choice->names, name, strlen(name) + 1);
    if (!choice->names.failed)
        choice->count++;
}

static void offer_all(struct choice *choice, const char *const names[])
{
    for (size_t i = 0; names[i] != NULL; i++)
        offer(choice, names[i]);
}

static void offer_names(struct choice *choice, const struct name_list *names)
{
    for (size_t i = 0; i < names->count; i++)
        offer(choice, names->all[i]);
}

static void offer_ids(struct choice *choice, const struct names *names)
{
    struct name_list ids = {.all = NULL};
    if (names->get_ids != NULL)
        names->get_ids(names->ctx, &ids);
    offer_names(choice, &ids);
    names_free_list(&ids);
}

static void offer_values(struct choice *choice, enum arg_kind kind, const struct names *names)
{
    const char *levels[COMMAND_LEVELS + 1];
    switch (kind) {
    case ARG_ROUTE: offer_names(choice, &names->routes); break;
    case ARG_ROUTES:
        offer_names(choice, &names->routes);
        offer(choice, "all");
        break;
    case ARG_UPSTREAM: offer_names(choice, &names->upstreams); break;
    case ARG_ID: offer_ids(choice, names); break;
    case ARG_SORT:
    case ARG_LEVEL: offer_all(choice, command_arg_words(kind, levels)); break;
    case ARG_FLAG:  /* its keyword is all there is */
    case ARG_TOPIC: /* words of commands, see offer_words() */
    case ARG_LIMIT: /* any number, as the next ones */
    case ARG_COLUMNS:
    case ARG_WEIGHT:
    case ARG_SESSIONS:
    case ARG_NET:
    case ARG_DURATION:
    case ARG_REASON: break;
    }
}

/* Offers what may follow the arguments typed so far. */
static void offer_args(struct choice *choice, const struct command *command,
                       const char *const words[], size_t count, const struct names *names)
{
    bool given[COMMAND_ARGS_MAX] = {false};
    for (size_t at = 0; at < count; at++) {
        for (size_t i = 0; i < COMMAND_ARGS_MAX; i++) {
            const struct command_arg *arg = &command->args[i];
            if (command_arg_is_end(arg))
                break;
            bool named = arg->keyword != NULL;
            if (given[i] || (named && !match_equal(words[at], arg->keyword)))
                continue;
            given[i] = true;
            if (!named || arg->kind == ARG_FLAG)
                break;
            if (at + 1 == count) { /* its value is what is being typed */
                offer_values(choice, arg->kind, names);
                return;
            }
            at++;
            break;
        }
    }
    for (size_t i = 0; i < COMMAND_ARGS_MAX && !command_arg_is_end(&command->args[i]); i++) {
        const struct command_arg *arg = &command->args[i];
        if (given[i])
            continue;
        if (arg->keyword != NULL)
            offer(choice, arg->keyword);
        else
            offer_values(choice, arg->kind, names);
    }
}

/* `help` explains commands, not what they are used on. */
static const struct names no_names;

/* Offers the next words of all commands that begin with `words`, and the arguments of those
 * that are complete. */
static void offer_words(const struct command_table *table, struct choice *choice,
                        const char *const words[], size_t count, const struct names *names)
{
    struct command_fits fits;
    if (command_find(table, words, count, &fits) < count)
        return;
    for (size_t i = 0; i < table->count; i++) {
        const struct command *command = &table->all[i];
        size_t own = command_word_count(command);
        if (fits.each[i] == FIT_PARTIAL) {
            char word[COMMAND_WORD_MAX];
            command_word(command, count, word);
            offer(choice, word);
        } else if (fits.each[i] == FIT_FULL && command->args[0].kind == ARG_TOPIC) {
            offer_words(table, choice, words + own, count - own, &no_names);
        } else if (fits.each[i] == FIT_FULL) {
            offer_args(choice, command, words + own, count - own, names);
        }
    }
}

/* How many bytes all names have in common at their beginning, ASCII case aside. */
static size_t common_prefix(const struct choice *choice)
{
    const char *first = choice->names.data;
    size_t common = strlen(first);
    const char *at = first + common + 1;
    for (size_t i = 1; i < choice->count; i++, at += strlen(at) + 1) {
        size_t same = 0;
        while (same < common && at[same] == first[same])
            same++;
        common = same;
    }
    return common;
}

void command_complete(const struct command_table *table, const char *line, size_t cursor,
                      const struct names *names, struct completion *completion)
{
    str_clear(&completion->insert);
    str_clear(&completion->candidates);
    struct parsed_line parsed;
    if (!parse_line_partial(line, cursor, &parsed))
        return;
    size_t last = parsed.count - 1;
    struct choice choice = {.typed = parsed.words[last]};
    /* A word with quotes or escapes is shorter than what was typed; completing inside of it
     * would have to quote as well. Nothing in the table needs quotes. */
    if (strlen(choice.typed) != cursor - parsed.starts[last])
        return;
    str_init(&choice.names);
    offer_words(table, &choice, parsed.words, last, names);

    size_t typed = strlen(choice.typed);
    if (choice.count == 1) {
        str_add(&completion->insert, choice.names.data + typed);
        str_add_char(&completion->insert, ' ');
    } else if (choice.count > 1) {
        size_t common = common_prefix(&choice);
        if (common > typed)
            str_add_bytes(&completion->insert, choice.names.data + typed, common - typed);
        const char *at = choice.names.data;
        for (size_t i = 0; i < choice.count; i++, at += strlen(at) + 1)
            str_addf(&completion->candidates, "%s\n", at);
    }
    str_free(&choice.names);
}
