#include "control/command/arguments.h"

#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "config/conf.h"
#include "control/command/match.h"
#include "control/command/read_word.h"
#include "control/command/refer.h"

const char *const session_sort_words[SORT_COUNT + 1] = {
    [SORT_RATE] = "rate",     [SORT_AGE] = "age",         [SORT_IDLE] = "idle",
    [SORT_BYTES] = "bytes",   [SORT_WAITING] = "waiting", [SORT_ID] = "id",
    [SORT_CLIENT] = "client", [SORT_ROUTE] = "route",     [SORT_NEWEST] = "newest",
    [SORT_COUNT] = NULL,
};

const char *const *command_arg_words(enum arg_kind kind, const char *levels[COMMAND_LEVELS + 1])
{
    if (kind != ARG_LEVEL)
        return kind == ARG_SORT ? session_sort_words : NULL;
    for (int level = 0; level < COMMAND_LEVELS; level++)
        levels[level] = log_level_word((enum log_level)level);
    levels[COMMAND_LEVELS] = NULL;
    return levels;
}

bool command_arg_is_end(const struct command_arg *arg)
{
    return arg->keyword == NULL && arg->kind == ARG_FLAG;
}

static size_t arg_count(const struct command *command)
{
    size_t count = 0;
    while (count < COMMAND_ARGS_MAX && !command_arg_is_end(&command->args[count]))
        count++;
    return count;
}

/* How a value is called in usages: "NAME". */
static const char *value_name(enum arg_kind kind)
{
    switch (kind) {
    case ARG_FLAG: return "";
    case ARG_ROUTE: return "NAME";
    case ARG_ROUTES: return "ROUTE|all";
    case ARG_UPSTREAM: return "ROUTE/NAME";
    case ARG_ID: return "ID";
    case ARG_LIMIT:
    case ARG_COLUMNS:
    case ARG_WEIGHT:
    case ARG_SESSIONS: return "N";
    case ARG_SORT: return "KEY";
    case ARG_LEVEL: return "LEVEL";
    case ARG_NET: return "IP|CIDR";
    case ARG_DURATION: return "DURATION";
    case ARG_REASON: return "TEXT";
    case ARG_TOPIC: return "COMMAND";
    }
    return "";
}

static void add_arg(const struct command_arg *arg, struct str *out)
{
    str_add(out, arg->required ? " " : " [");
    if (arg->keyword != NULL)
        str_add(out, arg->keyword);
    if (arg->keyword != NULL && arg->kind != ARG_FLAG)
        str_add_char(out, ' ');
    str_add(out, value_name(arg->kind));
    if (!arg->required)
        str_add_char(out, ']');
}

void command_add_usage(const struct command *command, struct str *out)
{
    str_add(out, command->words);
    size_t count = arg_count(command);
    for (size_t i = 0; i < count; i++)
        add_arg(&command->args[i], out);
}

void command_add_call(const struct command *command, struct str *out)
{
    str_add(out, command->words);
    size_t count = arg_count(command);
    for (size_t i = 0; i < count; i++) {
        if (command->args[i].required)
            add_arg(&command->args[i], out);
    }
}

static void add_list(const char *const names[], struct str *out)
{
    for (size_t i = 0; names[i] != NULL; i++)
        str_addf(out, "%s%s", i == 0 ? "" : ", ", names[i]);
}

/* What is wanted where a value is missing or wrong: "a route: lobby, world". */
static void add_wanted(enum arg_kind kind, const struct conf *conf, struct str *out)
{
    const char *levels[COMMAND_LEVELS + 1];
    switch (kind) {
    case ARG_FLAG:
    case ARG_TOPIC: break; /* take no value, so none can be wrong */
    case ARG_ROUTE: refer_want_route(conf, out); break;
    case ARG_ROUTES:
        str_add(out, "`all`, or ");
        refer_want_route(conf, out);
        break;
    case ARG_UPSTREAM: refer_want_upstream(conf, out); break;
    case ARG_ID: str_add(out, "the id of a session; `show sessions` lists them"); break;
    case ARG_LIMIT: str_addf(out, "a number from 1 to %d", COMMAND_ROWS_MAX); break;
    case ARG_NET:
    case ARG_DURATION:
    case ARG_REASON: read_word_want(kind, out); break;
    case ARG_COLUMNS:
        str_addf(out, "a number from %d to %d, or 0 for no limit", COMMAND_COLUMNS_MIN,
                 COMMAND_COLUMNS_MAX);
        break;
    case ARG_WEIGHT:
        str_addf(out, "a weight from 1 to %d, or 0 for no new sessions", COMMAND_WEIGHT_MAX);
        break;
    case ARG_SESSIONS:
        str_addf(out, "a number from 1 to %d, or 0 for no limit", COMMAND_SESSIONS_MAX);
        break;
    case ARG_SORT:
    case ARG_LEVEL:
        str_add(out, kind == ARG_SORT ? "a key: " : "a level: ");
        add_list(command_arg_words(kind, levels), out);
        break;
    }
}

static bool read_number(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    uint64_t number;
    if (str_parse_u64(text, &number) != ERR_OK || number < min || number > max)
        return false;
    *value = number;
    return true;
}

static bool read_value(enum arg_kind kind, const char *text, const struct conf *conf,
                       struct command_args *args)
{
    const char *levels[COMMAND_LEVELS + 1];
    uint64_t number;
    size_t index;
    switch (kind) {
    case ARG_FLAG:
    case ARG_TOPIC: return false; /* have no value; read_arg() does not ask */
    case ARG_ROUTE: return refer_route(conf, text, &args->route);
    case ARG_ROUTES:
        /* SIZE_MAX, as it is, stands for all; no route has that name. */
        return refer_route(conf, text, &args->route) || match_equal(text, "all");
    case ARG_UPSTREAM: return refer_upstream(conf, text, &args->route, &args->upstream);
    case ARG_ID: return read_number(text, 0, UINT64_MAX, &args->id);
    case ARG_NET: return addr_net_parse(text, &args->net) == ERR_OK;
    case ARG_DURATION: return read_word_duration(text, &args->duration_ms);
    case ARG_REASON: return read_word_reason(text, &args->reason);
    case ARG_LIMIT: return read_number(text, 1, COMMAND_ROWS_MAX, &args->limit);
    case ARG_COLUMNS:
        if (!read_number(text, 0, COMMAND_COLUMNS_MAX, &number) ||
            (number > 0 && number < COMMAND_COLUMNS_MIN))
            return false;
        args->columns = (unsigned)number;
        return true;
    case ARG_WEIGHT: return read_number(text, 0, COMMAND_WEIGHT_MAX, &args->number);
    case ARG_SESSIONS: return read_number(text, 0, COMMAND_SESSIONS_MAX, &args->number);
    case ARG_SORT:
    case ARG_LEVEL:
        if (!match_find(text, command_arg_words(kind, levels), &index))
            return false;
        if (kind == ARG_SORT)
            args->sort = (enum session_sort)index;
        else
            args->level = (enum log_level)index;
        return true;
    }
    return false;
}

/* The argument that wants a route behind its keyword, if `word` is the name of one: it can be
 * nothing else. `count` when there is none. */
static size_t find_route_arg(const struct command *command, const struct conf *conf,
                             const char *word, const bool given[])
{
    size_t route, count = arg_count(command);
    for (size_t i = 0; i < count; i++)
        if (command->args[i].keyword != NULL && command->args[i].kind == ARG_ROUTE &&
            !given[i] && refer_route(conf, word, &route))
            return i;
    return count;
}

/* True when `word` only says of what kind the next one is: `pause route lobby`. */
static bool is_kind_word(const struct command_arg *arg, const char *word)
{
    bool route = arg->kind == ARG_ROUTE || arg->kind == ARG_ROUTES;
    return arg->keyword == NULL && route && match_equal(word, "route");
}

/* The argument that `word` begins; `count` when there is none. */
static size_t find_arg(const struct command *command, const char *word, const bool given[])
{
    size_t count = arg_count(command);
    size_t shortened = count;
    for (size_t i = 0; i < count; i++) {
        const char *keyword = command->args[i].keyword;
        if (keyword == NULL)
            continue;
        if (match_equal(word, keyword))
            return i;
        if (!command->whole && *word != '\0' && match_begins(keyword, word))
            shortened = i; /* no two keywords of a command begin with the same letter */
    }
    if (shortened < count)
        return shortened;
    for (size_t i = 0; i < count; i++) {
        if (command->args[i].keyword == NULL && !given[i])
            return i;
    }
    return count;
}

static bool has_text(const struct command *command)
{
    bool has = false;
    size_t count = arg_count(command);
    for (size_t i = 0; i < count; i++)
        has = has || command->args[i].kind == ARG_REASON;
    return has;
}

static void explain_unknown(const struct command *command, const char *word, struct str *why)
{
    const char *names[COMMAND_ARGS_MAX + 1] = {NULL};
    size_t named = 0;
    size_t count = arg_count(command);
    for (size_t i = 0; i < count; i++) {
        if (command->args[i].keyword != NULL)
            names[named++] = command->args[i].keyword;
    }
    names[named] = NULL;
    const char *near = match_nearest(word, names);
    if (count == 0) {
        str_addf(why, "`%s` takes no arguments, not '%s'", command->words, word);
        return;
    }
    str_addf(why, "`%s` does not know '%s'; ", command->words, word);
    if (near != NULL)
        str_addf(why, "did you mean '%s'? ", near);
    if (has_text(command))
        str_add(why, "a text with blanks goes in \"quotes\"; ");
    str_add(why, "usage: ");
    command_add_usage(command, why);
}

/* `kill` is followed by an id; what else it could be has a command of its own. */
static void suggest_form(const struct command *command, const char *text,
                         const struct conf *conf, struct str *why)
{
    size_t route, upstream;
    struct addr_net net;
    const char *object = NULL;
    if (strcmp(command->words, "kill") != 0)
        return;
    if (refer_route(conf, text, &route))
        object = "route";
    else if (refer_upstream(conf, text, &route, &upstream))
        object = "upstream";
    else if (addr_net_parse(text, &net) == ERR_OK)
        object = "client";
    if (object != NULL)
        str_addf(why, "did you mean `kill %s %s`? ", object, text);
}

static void explain_value(const struct command *command, const struct command_arg *arg,
                          const char *text, const struct conf *conf, struct str *why)
{
    if (arg->kind == ARG_ROUTE) {
        refer_explain_route(conf, text, why);
        return;
    }
    if (arg->kind == ARG_ROUTES) {
        refer_explain_route(conf, text, why);
        str_add(why, "; or `all`");
        return;
    }
    if (arg->kind == ARG_UPSTREAM) {
        refer_explain_upstream(conf, text, why);
        return;
    }
    str_addf(why, "`%s%s%s` does not take '%s'; ", command->words,
             arg->keyword == NULL ? "" : " ", arg->keyword == NULL ? "" : arg->keyword, text);
    if (arg->kind == ARG_ID)
        suggest_form(command, text, conf, why);
    if (read_word_explain(arg->kind, text, why))
        return;
    const char *levels[COMMAND_LEVELS + 1];
    const char *const *words = command_arg_words(arg->kind, levels);
    const char *near = words == NULL ? NULL : match_nearest(text, words);
    if (near != NULL)
        str_addf(why, "did you mean '%s'? ", near);
    str_add(why, "it needs ");
    add_wanted(arg->kind, conf, why);
}

static bool *flag_of(const char *keyword, struct command_args *args)
{
    if (match_equal(keyword, "json"))
        return &args->json;
    if (match_equal(keyword, "frozen"))
        return &args->frozen;
    if (match_equal(keyword, "kill"))
        return &args->kill;
    if (match_equal(keyword, "force"))
        return &args->force;
    return match_equal(keyword, "keep") ? &args->keep : &args->now;
}

static bool check_required(const struct command *command, const struct conf *conf,
                           const bool given[], struct str *why)
{
    size_t count = arg_count(command);
    for (size_t i = 0; i < count; i++) {
        if (!command->args[i].required || given[i])
            continue;
        str_addf(why, "`%s` needs ", command->words);
        add_wanted(command->args[i].kind, conf, why);
        return false;
    }
    return true;
}

static const struct command_args none_given = {
    .route = SIZE_MAX,
    .upstream = SIZE_MAX,
    .limit = COMMAND_ROWS_DEFAULT,
    .sort = SORT_RATE,
    .reason = "",
};

bool command_read_args(const struct command *command, const struct conf *conf,
                       const char *const words[], size_t count, struct command_args *args,
                       struct str *why)
{
    *args = none_given;
    bool given[COMMAND_ARGS_MAX] = {false};
    for (size_t at = 0; at < count; at++) {
        size_t index = find_arg(command, words[at], given);
        bool alone = index == arg_count(command); /* without its keyword */
        if (alone)
            index = find_route_arg(command, conf, words[at], given);
        if (index == arg_count(command)) {
            explain_unknown(command, words[at], why);
            return false;
        }
        const struct command_arg *arg = &command->args[index];
        if (arg->kind == ARG_TOPIC) {
            args->topic = words + at;
            args->topic_words = count - at;
            return true;
        }
        if (given[index]) {
            str_addf(why, "'%s' is given twice", arg->keyword);
            return false;
        }
        given[index] = true;
        if (arg->kind == ARG_FLAG) {
            *flag_of(arg->keyword, args) = true;
            continue;
        }
        if (is_kind_word(arg, words[at]) && at + 1 < count)
            at++;
        if (arg->keyword != NULL && !alone && ++at == count) {
            str_addf(why, "'%s' needs ", arg->keyword);
            add_wanted(arg->kind, conf, why);
            return false;
        }
        if (!read_value(arg->kind, words[at], conf, args)) {
            explain_value(command, arg, words[at], conf, why);
            return false;
        }
    }
    return check_required(command, conf, given, why);
}
