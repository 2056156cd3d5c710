#include "control/act/reload_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/command/json_build.h"
#include "relay/server_info.h"

/* ---- how many sessions ---- */

static const struct server_route_info *find_route(const struct server_route_info *routes,
                                                  size_t count, const char *name)
{
    for (size_t i = 0; name != NULL && i < count; i++)
        if (strcmp(routes[i].conf->name, name) == 0)
            return &routes[i];
    return NULL;
}

static uint32_t sessions_of_upstream(const struct server_route_info *route, const char *name)
{
    for (size_t i = 0; i < route->upstream_count; i++)
        if (strcmp(route->upstreams[i].conf->name, name) == 0)
            return route->upstreams[i].state.sessions;
    return 0;
}

static struct reload_count count_sessions(const struct diff_change *change,
                                          const struct server_route_info *route)
{
    struct reload_count count = {.sessions = 0};
    if (route == NULL || change->restart)
        return count;
    if (change->upstream != NULL) {
        count.sessions = sessions_of_upstream(route, change->upstream);
    } else if (change->kind == DIFF_ROUTE_REMOVED) {
        count.sessions = route->totals.sessions_open;
        count.ends_them = route->conf->on_remove == CONF_KILL;
    } else if (change->kind == DIFF_KEY && strcmp(change->key, "listen") != 0) {
        count.sessions = route->totals.sessions_open;
    }
    if (change->new_only) {
        count.untouched = count.sessions;
        count.sessions = 0;
    }
    return count;
}

enum err reload_counts_make(struct reload_count **out, struct server *server,
                            const struct diff *diff)
{
    struct server_route_info *routes;
    size_t count;
    struct reload_count *counts = calloc(diff->count + 1, sizeof *counts);
    if (counts == NULL)
        return ERR_NOMEM;
    enum err err = server_get_routes(server, &routes, &count);
    if (err != ERR_OK) {
        free(counts);
        return err;
    }
    for (size_t i = 0; i < diff->count; i++)
        counts[i] = count_sessions(&diff->changes[i],
                                   find_route(routes, count, diff->changes[i].route));
    server_free_routes(routes, count);
    *out = counts;
    return ERR_OK;
}

void reload_counts_free(struct reload_count *counts)
{
    free(counts);
}

/* ---- text ---- */

static void add_sessions(const struct diff_change *change, const struct reload_count *count,
                         bool would, struct str *out)
{
    const char *plural = count->sessions == 1 ? "" : "s";
    const char *will = would ? "would " : "";
    bool goes = change->kind == DIFF_ROUTE_REMOVED || change->kind == DIFF_UPSTREAM_REMOVED;
    if (count->untouched > 0)
        str_addf(out, " (for new sessions; %" PRIu32 " open go%s on as before)",
                 count->untouched, count->untouched == 1 ? "es" : "");
    if (count->sessions == 0)
        return;
    if (!goes)
        str_addf(out, " (%" PRIu32 " session%s)", count->sessions, plural);
    else if (count->ends_them)
        str_addf(out, "; %" PRIu32 " session%s %s", count->sessions, plural,
                 would ? "would be ended" : "ended");
    else
        str_addf(out, "; %" PRIu32 " session%s %sgo%s on", count->sessions, plural, will,
                 count->sessions == 1 && !would ? "es" : "");
}

static const char *shown(const struct str *value)
{
    return value->len == 0 ? "(empty)" : value->data;
}

static void add_change(const struct diff_change *change, const struct reload_count *count,
                       bool would, struct str *out)
{
    const char *was = would ? "is" : "was";
    const char *be = would ? "would be " : "";
    if (change->route == NULL)
        str_addf(out, "%s ", key_section_word(change->section));
    else
        str_addf(out, "route '%s'", change->route);
    switch (change->kind) {
    case DIFF_ROUTE_ADDED: str_addf(out, " %sadded: %s", be, change->to.data); break;
    case DIFF_ROUTE_REMOVED: str_addf(out, " %sremoved: %s", be, change->from.data); break;
    case DIFF_KEY:
        if (strcmp(change->from.data, change->to.data) == 0) {
            str_addf(out, ": what %s = %s names %s", change->key, change->to.data,
                     would ? "would change" : "has changed");
            break;
        }
        str_addf(out, "%s%s = %s, %s %s", change->route == NULL ? "" : ": ", change->key,
                 shown(&change->to), was, shown(&change->from));
        break;
    case DIFF_UPSTREAM_ADDED:
        str_addf(out, ": upstream %s %sadded", change->to.data, be);
        break;
    case DIFF_UPSTREAM_REMOVED:
        str_addf(out, ": upstream %s %sremoved", change->upstream, be);
        break;
    case DIFF_UPSTREAM_CHANGED:
        str_addf(out, ": upstream = %s, %s %s", change->to.data, was, change->from.data);
        break;
    case DIFF_UPSTREAM_ORDER:
        str_addf(out, ": its upstreams %s another order", would ? "would get" : "have");
        break;
    }
    add_sessions(change, count, would, out);
    str_add(out, change->restart ? "; needs a restart\n" : "\n");
}

void reload_as_text(const struct diff *diff, const struct reload_count *counts,
                    const char *path, enum reload_tense tense, const char *messages,
                    struct str *out)
{
    size_t restarts = 0;
    str_add(out, messages);
    if (tense == RELOAD_CANNOT) {
        str_add(out, "nothing was changed\n");
        return;
    }
    for (size_t i = 0; i < diff->count; i++) {
        add_change(&diff->changes[i], &counts[i], tense == RELOAD_WOULD, out);
        restarts += diff->changes[i].restart;
    }
    size_t taken = diff->count - restarts;
    if (diff->count == 0)
        str_addf(out, "no change: %s says what is in effect\n", path);
    else if (tense == RELOAD_DID)
        str_addf(out, "%zu change%s took effect\n", taken, taken == 1 ? "" : "s");
    else if (taken > 0)
        str_addf(out, "`reload` makes %zu change%s\n", taken, taken == 1 ? "" : "s");
}

/* ---- JSON ---- */

static const char *kind_word(enum diff_kind kind)
{
    switch (kind) {
    case DIFF_ROUTE_ADDED: return "route_added";
    case DIFF_ROUTE_REMOVED: return "route_removed";
    case DIFF_KEY: return "key_changed";
    case DIFF_UPSTREAM_ADDED: return "upstream_added";
    case DIFF_UPSTREAM_REMOVED: return "upstream_removed";
    case DIFF_UPSTREAM_CHANGED: return "upstream_changed";
    case DIFF_UPSTREAM_ORDER: return "upstreams_reordered";
    }
    return "";
}

/* Null where there is none. */
static void put_text(struct json_build *build, json_t *object, const char *name,
                     const char *text)
{
    if (text == NULL)
        json_build_put(build, object, name, json_null());
    else
        json_build_text(build, object, name, text);
}

static json_t *change_as_json(struct json_build *build, const struct diff_change *change,
                              const struct reload_count *count)
{
    json_t *object = json_build_object(build);
    bool has_from = change->kind == DIFF_KEY || change->from.len > 0;
    bool has_to = change->kind == DIFF_KEY || change->to.len > 0;
    json_build_text(build, object, "change", kind_word(change->kind));
    json_build_text(build, object, "section", key_section_word(change->section));
    put_text(build, object, "route", change->route);
    put_text(build, object, "upstream", change->upstream);
    put_text(build, object, "key", change->key);
    put_text(build, object, "from", has_from ? change->from.data : NULL);
    put_text(build, object, "to", has_to ? change->to.data : NULL);
    json_build_bool(build, object, "needs_restart", change->restart);
    json_build_u64(build, object, "sessions", count->sessions);
    json_build_bool(build, object, "ends_sessions", count->ends_them);
    json_build_bool(build, object, "new_sessions_only", change->new_only);
    return object;
}

static void push_lines(struct json_build *build, json_t *array, const char *messages)
{
    while (*messages != '\0') {
        size_t len = strcspn(messages, "\n");
        json_build_push(build, array, json_stringn(messages, len));
        messages += len + (messages[len] == '\n');
    }
}

static void put_messages(struct json_build *build, json_t *root, const char *messages)
{
    json_t *array = json_build_array(build);
    push_lines(build, array, messages);
    json_build_put(build, root, "messages", array);
}

void reload_as_json(const struct diff *diff, const struct reload_count *counts,
                    const char *path, enum reload_tense tense, const char *messages,
                    struct str *out)
{
    struct json_build build = {false};
    json_t *root = json_build_object(&build);
    json_t *array = json_build_array(&build);
    json_build_text(&build, root, "file", path);
    json_build_bool(&build, root, "good", tense != RELOAD_CANNOT);
    json_build_bool(&build, root, "applied", tense == RELOAD_DID);
    put_messages(&build, root, messages);
    for (size_t i = 0; tense != RELOAD_CANNOT && i < diff->count; i++)
        json_build_push(&build, array, change_as_json(&build, &diff->changes[i], &counts[i]));
    json_build_put(&build, root, "changes", array);
    json_build_write(&build, root, out);
}
