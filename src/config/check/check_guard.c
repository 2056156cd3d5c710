/* check_guard.c - what is wrong between the keys that keep floods off: [relay] and the limits of a
 * route. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "config/check/check.h"
#include "config/read/file.h"
#include "config/value/value.h"

static unsigned relay_line(const struct draft *draft, const char *name)
{
    return draft->relay.lines[key_find(KEY_RELAY, name) - keys];
}

/* ---- [relay] ---- */

static const char *without_dot(const char *path)
{
    while (path[0] == '.' && (path[1] == '/' || path[1] == '\\'))
        path += 2;
    return path;
}

/* Both are named by the configuration, so what stands before them is the same. */
static bool is_same_file(const char *a, const char *b)
{
    return a[0] != '\0' && strcmp(without_dot(a), without_dot(b)) == 0;
}

/* Relative to the folder of the configuration, as the file will be looked for. */
static bool is_configuration(const struct draft *draft, const char *name)
{
    char path[CONF_PATH_MAX];
    return name[0] != '\0' && file_beside(draft->name, without_dot(name), path, sizeof path) &&
           strcmp(without_dot(path), without_dot(draft->name)) == 0;
}

/* The log is wanted at the start; without its state file the relay runs all the same, and writes it
 * as soon as the folder is there. */
static void tell_no_folder(const struct draft *draft, const char *key, const char *folder)
{
    bool wanted = strcmp(key, "log_file") == 0;
    char quote[MISTAKE_QUOTE_MAX];
    (wanted ? mistakes_add : mistakes_warn)(
        draft->mistakes, relay_line(draft, key),
        "[relay] %s: the folder %s does not exist; create it, or name another one", key,
        mistake_quote(folder, quote));
}

static void check_writable(const struct draft *draft, const char *key, const char *path)
{
    char folder[CONF_PATH_MAX], quote[MISTAKE_QUOTE_MAX];
    struct mistakes *mistakes = draft->mistakes;
    unsigned line = relay_line(draft, key);
    size_t len;
    enum file_fault fault = file_find_fault(path, &len);
    str_format(folder, sizeof folder, "%.*s", (int)len, path);
    switch (fault) {
    case FILE_FINE: break;
    case FILE_IS_FOLDER:
        mistakes_add(mistakes, line, "[relay] %s: %s is a directory; name a file in it", key,
                     mistake_quote(path, quote));
        break;
    case FILE_FOLDER_MISSING: tell_no_folder(draft, key, folder); break;
    case FILE_FOLDER_IS_FILE:
        mistakes_add(mistakes, line,
                     "[relay] %s: %s is a file, so nothing can be in it; name a folder", key,
                     mistake_quote(folder, quote));
        break;
    case FILE_OF_WINDOWS:
        mistakes_add(mistakes, line,
                     "[relay] %s: %s is a path of Windows; on this system one begins with '/', "
                     "such as /var/log/pairport.log",
                     key, mistake_quote(path, quote));
        break;
    }
}

static void check_place(const struct draft *draft, const char *key, const char *name)
{
    char path[CONF_PATH_MAX];
    if (name[0] == '\0')
        return;
    if (!file_beside(draft->name, name, path, sizeof path))
        mistakes_add(draft->mistakes, relay_line(draft, key),
                     "[relay] %s: it and the folder of this file have more than %d bytes; move "
                     "the file",
                     key, CONF_PATH_MAX - 1);
    else if (draft->on_disk)
        check_writable(draft, key, path);
}

/* It is written as a whole, and what it replaces is lost. */
static void check_state_file(const struct draft *draft)
{
    const struct conf *conf = draft->conf;
    unsigned line = relay_line(draft, "state_file");
    char quote[MISTAKE_QUOTE_MAX];
    mistake_quote(conf->state_file, quote);
    if (is_same_file(conf->state_file, conf->log_file))
        mistakes_add(draft->mistakes, line,
                     "[relay] state_file: %s is the log_file, too; give it a name of its own",
                     quote);
    if (is_configuration(draft, conf->state_file))
        mistakes_add(draft->mistakes, line,
                     "[relay] state_file: %s is this file, which would be replaced; give it a "
                     "name of its own",
                     quote);
}

/* Clients with sessions stay in the table, so there should be room for each of them. */
static void check_client_table(const struct draft *draft)
{
    const struct conf *conf = draft->conf;
    unsigned line = relay_line(draft, "client_table");
    if (line != 0 && conf->client_table < conf->max_sessions)
        mistakes_warn(draft->mistakes, line,
                      "[relay] client_table: %u clients are remembered and max_sessions is %u, "
                      "so the limits of a client may not hold for all; raise it to that",
                      (unsigned)conf->client_table, (unsigned)conf->max_sessions);
}

void check_relay(const struct draft *draft)
{
    check_place(draft, "log_file", draft->conf->log_file);
    check_place(draft, "state_file", draft->conf->state_file);
    check_state_file(draft);
    check_client_table(draft);
}

/* ---- routes ---- */

/* Where a key of a route stands, in its own section or in [defaults]; 0: nowhere. */
static unsigned find_line(const struct draft *draft, size_t r, const char *name,
                          char label[DRAFT_LABEL_MAX])
{
    unsigned line = draft_line_of(&draft->route_sections[r], name);
    draft_route_label(&draft->conf->routes[r], label);
    if (line == 0) {
        line = draft_line_of(&draft->default_section, name);
        str_format(label, DRAFT_LABEL_MAX, "[defaults]");
    }
    return line;
}

static void check_tarpit(const struct draft *draft, size_t r)
{
    char label[DRAFT_LABEL_MAX];
    unsigned line = find_line(draft, r, "refuse", label);
    if (line != 0 && draft->conf->routes[r].refuse == CONF_REFUSE_TARPIT &&
        draft->conf->tarpit_max == 0)
        mistakes_warn(draft->mistakes, line,
                      "%s refuse: [relay] tarpit_max is 0, so every client is reset at once; "
                      "raise that one, or write reset here",
                      label);
}

/* A limit that was written, and that a smaller one of more sessions hides. */
struct hidden {
    const char *name;
    const char *by;
    size_t pace; /* offsets of both */
    size_t by_pace;
};

#define HIDDEN(field, other)                                                                   \
    {                                                                                          \
#field, #other, offsetof(struct conf_route, field), offsetof(struct conf_route, other) \
    }

static const struct hidden paces[] = {
    HIDDEN(rate_up, rate_up_per_client),
    HIDDEN(rate_down, rate_down_per_client),
    HIDDEN(rate_up, rate_up_per_route),
    HIDDEN(rate_down, rate_down_per_route),
    HIDDEN(rate_up_per_client, rate_up_per_route),
    HIDDEN(rate_down_per_client, rate_down_per_route),
};

static const struct conf_pace *pace_at(const struct conf_route *route, size_t offset)
{
    return (const struct conf_pace *)((const char *)route + offset);
}

static void check_paces(const struct draft *draft, size_t r)
{
    const struct conf_route *route = &draft->conf->routes[r];
    for (size_t i = 0; i < sizeof paces / sizeof paces[0]; ++i) {
        char label[DRAFT_LABEL_MAX];
        char rate[STR_HUMAN_MAX];
        char least[STR_HUMAN_MAX];
        uint64_t one = pace_at(route, paces[i].pace)->bytes_per_s;
        uint64_t all = pace_at(route, paces[i].by_pace)->bytes_per_s;
        unsigned line = find_line(draft, r, paces[i].name, label);
        if (line != 0 && all > 0 && one > all)
            mistakes_warn(draft->mistakes, line,
                          "%s %s: %s/s can't be reached, %s is %s/s; raise that one or lower "
                          "this one",
                          label, paces[i].name, str_exact_size(one, rate), paces[i].by,
                          str_exact_size(all, least));
    }
}

static void check_per_client(const struct draft *draft, size_t r)
{
    static const char name[] = "max_sessions_per_client";
    const struct conf_route *route = &draft->conf->routes[r];
    unsigned line = draft_line_of(&draft->route_sections[r], name);
    char label[DRAFT_LABEL_MAX];
    if (line != 0 && route->max_sessions_per_client > route->max_sessions)
        mistakes_warn(draft->mistakes, line,
                      "%s %s: %u can't be reached, max_sessions is %u; raise that one or lower "
                      "this one",
                      draft_route_label(route, label), name,
                      (unsigned)route->max_sessions_per_client, (unsigned)route->max_sessions);
}

void check_guard(const struct draft *draft, size_t r)
{
    check_tarpit(draft, r);
    check_paces(draft, r);
    check_per_client(draft, r);
}
