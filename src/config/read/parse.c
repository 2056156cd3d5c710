#include "config/read/parse.h"

#include <stdbool.h>
#include <string.h>

#include <ini.h>

#include "base/str.h"
#include "config/read/access.h"
#include "config/read/lines.h"
#include "config/value/listen.h"
#include "config/value/upstream.h"
#include "config/value/value.h"
#include "config/value/value_access.h"
#include "config/value/words.h"

enum place {
    PLACE_OUTSIDE, /* before the first section */
    PLACE_UNKNOWN, /* in a section that is none of ours: its keys can't be judged */
    PLACE_RELAY,
    PLACE_CONSOLE,
    PLACE_DEFAULTS,
    PLACE_ROUTE
};

static const char *const section_words[] = {"relay", "console", "defaults", "route", NULL};

struct parse {
    struct lines lines;
    struct draft *draft;
    enum place place;
    struct draft_section *section; /* of relay, console, defaults or the last route */
    char label[DRAFT_LABEL_MAX];   /* "[route lobby]"; "" outside */
    bool untaken;                  /* inih has got a key line and not yet given it back */
};

/* ---- sections ---- */

static void enter(struct parse *parse, enum place place, struct draft_section *section,
                  const char *label)
{
    unsigned line = parse->lines.number;
    if (section != NULL && section->line != 0) {
        mistakes_add(parse->draft->mistakes, line,
                     "%s is there twice, the first time in line %u; merge them", label,
                     section->line);
        /* What follows is checked as if it were the first. */
        memset(section->lines, 0, sizeof section->lines);
        memset(section->bad, 0, sizeof section->bad);
    } else if (section != NULL) {
        section->line = line;
    }
    parse->place = place;
    parse->section = section;
    str_format(parse->label, sizeof parse->label, "%s", label);
}

static bool is_route_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789_-.";
    size_t len = strlen(name);
    return len > 0 && len < CONF_NAME_MAX && strspn(name, allowed) == len;
}

static void enter_route(struct parse *parse, const char *name)
{
    struct draft *draft = parse->draft;
    unsigned line = parse->lines.number;
    char quote[MISTAKE_QUOTE_MAX];
    const char *shown = name;

    if (*name == '\0') {
        mistakes_add(draft->mistakes, line,
                     "[route] has no name; write one behind it, such as [route lobby]");
        shown = "?";
    } else if (!is_route_name(name)) {
        mistakes_add(draft->mistakes, line,
                     "%s is not a route name; it has 1 to %d letters, digits, '_', '-' or '.'",
                     mistake_quote(name, quote), CONF_NAME_MAX - 1);
        shown = "?";
    } else if (words_is_reserved(name)) {
        mistakes_add(
            draft->mistakes, line,
            "[route %s]: '%s' is a word of the console's commands, so a route can't be "
            "named so; write another name, such as [route %s-1]",
            name, name, name);
    } else {
        const struct conf_route *other = conf_find_route(draft->conf, name);
        if (other != NULL)
            mistakes_add(
                draft->mistakes, line,
                "[route %s] is there twice, the first time in line %u; give each route "
                "a name of its own",
                name, other->line);
    }

    if (!draft_add_route(draft, shown, line)) {
        enter(parse, PLACE_UNKNOWN, NULL, "");
        return;
    }
    size_t last = draft->conf->route_count - 1;
    parse->place = PLACE_ROUTE;
    parse->section = &draft->route_sections[last];
    draft_route_label(&draft->conf->routes[last], parse->label);
}

static void explain_section(struct parse *parse, const char *name, const char *word)
{
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(name, quote);
    const char *near = str_nearest(word, section_words);
    struct mistakes *mistakes = parse->draft->mistakes;
    unsigned line = parse->lines.number;

    if (near == NULL || strcmp(near, "route") == 0)
        parse->draft->misnamed_route = true;
    if (near != NULL)
        mistakes_add(mistakes, line, "unknown section %s; did you mean [%s%s]?", quote, near,
                     strcmp(near, "route") == 0 ? " NAME" : "");
    else
        mistakes_add(mistakes, line,
                     "unknown section %s; sections are [relay], [console], [defaults] and "
                     "[route NAME]",
                     quote);
}

/* `line` begins with '['. It is changed. */
static void read_section(struct parse *parse, char *line)
{
    struct draft *draft = parse->draft;
    char quote[MISTAKE_QUOTE_MAX];
    char *name = line + 1;
    char *end = strchr(name, ']');

    /* In both cases it is clear enough which section is meant to go on with it. */
    if (end == NULL)
        mistakes_add(draft->mistakes, parse->lines.number,
                     "%s has no closing bracket; write ']' at its end",
                     mistake_quote(line, quote));
    else if (end[1] != '\0')
        mistakes_add(draft->mistakes, parse->lines.number,
                     "%s stands behind a section's name; put it into the next line",
                     mistake_quote(end + 1 + strspn(end + 1, " \t"), quote));
    if (end != NULL)
        *end = '\0';

    name += strspn(name, " \t");
    for (size_t len = strlen(name); len > 0 && strchr(" \t", name[len - 1]) != NULL;)
        name[--len] = '\0';
    size_t word_len = strcspn(name, " \t");
    char *rest = name + word_len + strspn(name + word_len, " \t");

    char word[sizeof "defaults"];
    str_format(word, sizeof word, "%.*s", (int)(word_len < 99 ? word_len : 99), name);
    bool whole_word = word_len < sizeof word;

    if (whole_word && strcmp(word, "route") == 0) {
        enter_route(parse, rest);
    } else if (*rest == '\0' && strcmp(name, "relay") == 0) {
        enter(parse, PLACE_RELAY, &draft->relay, "[relay]");
    } else if (*rest == '\0' && strcmp(name, "console") == 0) {
        enter(parse, PLACE_CONSOLE, &draft->console, "[console]");
    } else if (*rest == '\0' && strcmp(name, "defaults") == 0) {
        enter(parse, PLACE_DEFAULTS, &draft->default_section, "[defaults]");
    } else {
        explain_section(parse, name, whole_word ? word : name);
        enter(parse, PLACE_UNKNOWN, NULL, "");
    }
}

/* ---- keys ---- */

static enum key_section key_section(enum place place)
{
    switch (place) {
    case PLACE_RELAY: return KEY_RELAY;
    case PLACE_CONSOLE: return KEY_CONSOLE;
    case PLACE_DEFAULTS:
    case PLACE_ROUTE:
    case PLACE_OUTSIDE:
    case PLACE_UNKNOWN: break;
    }
    return KEY_ROUTE;
}

/* An address belongs to one route: it has no default. */
static bool fits(const struct key *key, enum place place)
{
    return key->section == key_section(place) &&
           (place != PLACE_DEFAULTS || key->preset != NULL);
}

static const struct key *find_anywhere(const char *name)
{
    const struct key *key = key_find(KEY_ROUTE, name);
    if (key == NULL)
        key = key_find(KEY_RELAY, name);
    if (key == NULL)
        key = key_find(KEY_CONSOLE, name);
    return key;
}

/* More than one can read in a line. */
#define KEYS_LISTED 12

/* What other relays have, and what it is here. */
static const char *find_foreign(const char *name)
{
    static const struct {
        const char *name;
        const char *ours;
    } foreign[] = {
        {"backend", "write upstream = HOST:PORT"},
        {"bind", "write listen = ADDRESS:PORT"},
        {"host", "write upstream = HOST:PORT, and listen = ADDRESS:PORT"},
        {"maxconn", "write max_sessions"},
        {"mode", "every route relays TCP"},
        {"port", "write listen = ADDRESS:PORT, and upstream = HOST:PORT"},
        {"protocol", "every route relays TCP"},
        {"proxy_pass", "write upstream = HOST:PORT"},
        {"server", "write upstream = HOST:PORT"},
        {"target", "write upstream = HOST:PORT"},
        {"timeout", "write connect_timeout, idle_timeout or half_close_timeout"},
    };
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; ++i)
        if (strcmp(name, foreign[i].name) == 0)
            return foreign[i].ours;
    return NULL;
}

/* Says of an unknown key which ones there are, `names`. */
static void list_keys(struct parse *parse, const char *quote, const char *const *names)
{
    struct mistakes *mistakes = parse->draft->mistakes;
    struct str list;
    str_init(&list);
    words_add(names, "and", &list);
    if (list.failed)
        mistakes->failed = true;
    mistakes_add(mistakes, parse->lines.number, "%s: unknown key %s; keys are %s", parse->label,
                 quote, list.data);
    str_free(&list);
}

static void explain_key(struct parse *parse, const char *name)
{
    struct mistakes *mistakes = parse->draft->mistakes;
    unsigned line = parse->lines.number;
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(name, quote);

    const char *names[KEYS_MAX + 1];
    size_t count = 0;
    for (size_t i = 0; i < key_count; ++i)
        if (fits(&keys[i], parse->place))
            names[count++] = keys[i].name;
    names[count] = NULL;

    const struct key *elsewhere = find_anywhere(name);
    const char *near = str_nearest(name, names);
    const char *ours = find_foreign(name);
    if (elsewhere != NULL)
        mistakes_add(mistakes, line, "%s: %s is a key of %s; move it there", parse->label,
                     quote, key_section_word(elsewhere->section));
    else if (near != NULL)
        mistakes_add(mistakes, line, "%s: unknown key %s; did you mean '%s'?", parse->label,
                     quote, near);
    else if (ours != NULL)
        mistakes_add(mistakes, line, "%s: unknown key %s; %s", parse->label, quote, ours);
    else if (count > KEYS_LISTED)
        mistakes_add(mistakes, line,
                     "%s: unknown key %s; conf/pairport.ini has all keys with their meaning",
                     parse->label, quote);
    else
        list_keys(parse, quote, names);
}

/* Adds an address to the last route, which is the one that is being read. */
static bool add_address(struct parse *parse, const struct key *key, const char *value,
                        struct str *why)
{
    if (key->type == KEY_LISTEN) {
        struct conf_listen listen;
        if (!listen_read(value, &listen, why))
            return false;
        listen.line = parse->lines.number;
        draft_add_listen(parse->draft, &listen); /* reports what it can't do */
        return true;
    }
    struct conf_upstream upstream;
    if (!upstream_read(value, &upstream, why))
        return false;
    upstream.line = parse->lines.number;
    draft_add_upstream(parse->draft, &upstream);
    return true;
}

/* Adds networks to the lists of the section. */
static bool add_access(struct parse *parse, const struct key *key, const char *value,
                       struct str *why)
{
    const struct access_line line = {.conf = parse->draft->name,
                                     .label = parse->label,
                                     .number = parse->lines.number,
                                     .allow = value_is_allow(key)};
    return access_read(&parse->section->access, &line, value, why, parse->draft->mistakes);
}

/* No key has a value that begins so; a text says itself what would become of it. */
static bool is_quoted(const struct key *key, const char *value, struct str *why)
{
    char quote[MISTAKE_QUOTE_MAX];
    if (key->type == KEY_TEXT || (value[0] != '"' && value[0] != '\''))
        return false;
    str_addf(why, "%s stands in quotation marks; write it without",
             mistake_quote(value, quote));
    return true;
}

/* Each line of `why` is a mistake of its own. */
static void report_value(struct parse *parse, const struct key *key, const char *why)
{
    while (*why != '\0') {
        size_t len = strcspn(why, "\n");
        mistakes_add(parse->draft->mistakes, parse->lines.number, "%s %s: %.*s", parse->label,
                     key->name, (int)len, why);
        why += len + (why[len] == '\n');
    }
}

static void read_key(struct parse *parse, const struct key *key, const char *value)
{
    struct draft *draft = parse->draft;
    unsigned *first = &parse->section->lines[key - keys];
    bool is_address = key->type == KEY_LISTEN || key->type == KEY_UPSTREAM;
    bool is_access = key->type == KEY_ACCESS;

    if (*first != 0 && !is_address && !is_access)
        mistakes_add(draft->mistakes, parse->lines.number,
                     "%s %s: given twice, the first time in line %u; remove one of them",
                     parse->label, key->name, *first);
    if (*first == 0)
        *first = parse->lines.number;

    void *owner = draft->conf;
    if (parse->place == PLACE_DEFAULTS)
        owner = &draft->defaults;
    else if (parse->place == PLACE_ROUTE)
        owner = &draft->conf->routes[draft->conf->route_count - 1];

    struct str why;
    str_init(&why);
    bool ok;
    if (is_quoted(key, value, &why))
        ok = false;
    else if (is_address)
        ok = add_address(parse, key, value, &why);
    else if (is_access)
        ok = add_access(parse, key, value, &why);
    else
        ok = value_read(key, value, owner, &why);
    if (why.failed)
        draft->mistakes->failed = true;
    if (!ok)
        parse->section->bad[key - keys] = true;
    if (!ok)
        report_value(parse, key, why.data); /* nothing: what is wrong in a file has been told */
    str_free(&why);
}

/* What stands behind the '=' that check_form() has found. */
static const char *value_of(const struct lines *lines)
{
    const char *value = strchr(lines->text, '=') + 1;
    return value + strspn(value, WORDS_BLANKS);
}

/* inih's handler. Its section and value are not used, see parse.h. */
static int take_key(void *user, const char *section, const char *name, const char *cut_value)
{
    struct parse *parse = user;
    struct mistakes *mistakes = parse->draft->mistakes;
    char quote[MISTAKE_QUOTE_MAX];
    (void)section;
    (void)cut_value;

    parse->untaken = false;
    if (parse->place == PLACE_UNKNOWN)
        return 1; /* the section itself was reported */
    if (parse->place == PLACE_OUTSIDE) {
        const struct key *key = find_anywhere(name);
        mistakes_add(mistakes, parse->lines.number,
                     "%s stands before any section; put it under %s",
                     mistake_quote(name, quote),
                     key != NULL ? key_section_word(key->section)
                                 : "[relay], [console], [defaults] or [route NAME]");
        return 1;
    }

    const struct key *key = key_find(key_section(parse->place), name);
    if (key == NULL || !fits(key, parse->place))
        explain_key(parse, name);
    else
        read_key(parse, key, value_of(&parse->lines));
    return 1; /* always: what is wrong was reported, and inih shall go on */
}

/* ---- lines, as inih gets them ---- */

/* True for KEY = VALUE with a key. inih would also split at a colon, of which addresses have
 * enough. */
static bool check_form(struct parse *parse)
{
    const char *text = parse->lines.text;
    size_t at = strcspn(text, "=:");
    if (at > 0 && text[at] == '=')
        return true;

    char quote[MISTAKE_QUOTE_MAX];
    mistakes_add(parse->draft->mistakes, parse->lines.number,
                 "%s%s%s has no %s; write KEY = VALUE, or ';' before a comment", parse->label,
                 parse->label[0] != '\0' ? ": " : "", mistake_quote(text, quote),
                 at == 0 ? "key" : "'=' behind its key");
    return false;
}

/* Belongs to the line that inih got last: whatever it did with it, nothing is lost in silence. */
static void check_taken(struct parse *parse)
{
    if (parse->untaken)
        mistakes_add(parse->draft->mistakes, parse->lines.number,
                     "the line could not be read; write KEY = VALUE");
    parse->untaken = false;
}

/* inih's reader: the next line with a key, whole, into the `size` bytes of `buf`. */
static char *give_line(char *buf, int size, void *user)
{
    struct parse *parse = user;
    struct lines *lines = &parse->lines;

    check_taken(parse);
    while (lines_next(lines)) {
        if (lines->text[0] == '[') {
            read_section(parse, lines->text);
            continue;
        }
        if (!check_form(parse))
            continue;
        /* How long a line may be is a matter of how inih was built. */
        if (size < 3 || lines->len > (size_t)size - 3) {
            mistakes_add(parse->draft->mistakes, lines->number,
                         "the line has %zu bytes; this build of the INI library takes %d, make "
                         "it shorter",
                         lines->len, size - 3);
            continue;
        }
        memcpy(buf, lines->text, lines->len);
        memcpy(buf + lines->len, "\n", 2);
        parse->untaken = true;
        return buf;
    }
    return NULL;
}

bool parse_text(struct draft *draft, const char *text, size_t len)
{
    struct parse parse = {.draft = draft, .place = PLACE_OUTSIDE};
    if (!lines_init(&parse.lines, text, len, draft->mistakes))
        return false;
    int result = ini_parse_stream(give_line, &parse, take_key, &parse);
    if (result < 0)
        draft->mistakes->failed = true; /* inih had no memory for its buffer */
    return true;
}
