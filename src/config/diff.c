#include "config/diff.h"

#include <stdlib.h>
#include <string.h>

#include "config/value/listen.h"
#include "config/value/upstream.h"
#include "config/value/value.h"

struct making {
    struct diff *diff;
    bool failed; /* no memory */
};

/* The new change, to be filled in; NULL: no memory. */
static struct diff_change *add(struct making *making, enum diff_kind kind)
{
    struct diff *diff = making->diff;
    struct diff_change *grown =
        realloc(diff->changes, (diff->count + 1) * sizeof *diff->changes);
    if (grown == NULL) {
        making->failed = true;
        return NULL;
    }
    diff->changes = grown;
    struct diff_change *change = &grown[diff->count++];
    *change = (struct diff_change){.kind = kind, .section = KEY_ROUTE};
    str_init(&change->from);
    str_init(&change->to);
    return change;
}

static char *copy_name(struct making *making, const char *name)
{
    char *copy = malloc(strlen(name) + 1);
    if (copy == NULL)
        making->failed = true;
    else
        memcpy(copy, name, strlen(name) + 1);
    return copy;
}

static void note_failure(struct making *making, const struct diff_change *change)
{
    making->failed = making->failed || change->from.failed || change->to.failed;
}

/* ---- keys with one value ---- */

static bool is_compared(const struct key *key, enum key_section section)
{
    return key->section == section && key->preset != NULL;
}

bool diff_key(const struct conf_route *before, const struct conf_route *after, const char *key)
{
    return !value_equal(key_find(KEY_ROUTE, key), before, after);
}

bool diff_any_key(const struct conf_route *before, const struct conf_route *after)
{
    for (size_t i = 0; i < key_count; i++)
        if (is_compared(&keys[i], KEY_ROUTE) && !value_equal(&keys[i], before, after))
            return true;
    return false;
}

static void compare_key(struct making *making, const struct key *key, const void *before,
                        const void *after, const char *route)
{
    struct diff_change *change = value_equal(key, before, after) ? NULL : add(making, DIFF_KEY);
    if (change == NULL)
        return;
    change->section = key->section;
    if (route != NULL)
        change->route = copy_name(making, route);
    change->key = key->name;
    change->restart = !key->reloadable;
    change->new_only = route != NULL && key->reloadable && !key_reaches_open(key);
    value_write(key, before, &change->from);
    value_write(key, after, &change->to);
    note_failure(making, change);
}

static void compare_keys(struct making *making, enum key_section section, const void *before,
                         const void *after, const char *route)
{
    for (size_t i = 0; i < key_count; i++)
        if (is_compared(&keys[i], section))
            compare_key(making, &keys[i], before, after, route);
}

/* ---- addresses ---- */

static void write_listens(const struct conf_route *route, struct str *out)
{
    char text[LISTEN_TEXT_MAX];
    for (size_t i = 0; i < route->listen_count; i++)
        str_addf(out, "%s%s", i == 0 ? "" : ", ", listen_text(&route->listens[i], text));
}

static bool has_listen(const struct conf_route *route, const struct conf_listen *listen)
{
    for (size_t i = 0; i < route->listen_count; i++)
        if (listen_same(&route->listens[i], listen))
            return true;
    return false;
}

static bool has_listens(const struct conf_route *route, const struct conf_route *of)
{
    for (size_t i = 0; i < of->listen_count; i++)
        if (!has_listen(route, &of->listens[i]))
            return false;
    return true;
}

static void compare_listens(struct making *making, const struct conf_route *before,
                            const struct conf_route *after)
{
    if (has_listens(before, after) && has_listens(after, before))
        return;
    struct diff_change *change = add(making, DIFF_KEY);
    if (change == NULL)
        return;
    change->route = copy_name(making, after->name);
    change->key = "listen";
    write_listens(before, &change->from);
    write_listens(after, &change->to);
    note_failure(making, change);
}

/* NULL: the route does not have it. */
static const struct conf_upstream *find_upstream(const struct conf_route *route,
                                                 const char *name)
{
    for (size_t i = 0; i < route->upstream_count; i++)
        if (!route->upstreams[i].removed && strcmp(route->upstreams[i].name, name) == 0)
            return &route->upstreams[i];
    return NULL;
}

static void add_upstream(struct making *making, enum diff_kind kind,
                         const struct conf_route *route, const struct conf_upstream *before,
                         const struct conf_upstream *after)
{
    struct diff_change *change = add(making, kind);
    if (change == NULL)
        return;
    change->route = copy_name(making, route->name);
    change->new_only = kind == DIFF_UPSTREAM_CHANGED;
    change->upstream = copy_name(making, after != NULL ? after->name : before->name);
    if (before != NULL)
        upstream_write(before, &change->from);
    if (after != NULL)
        upstream_write(after, &change->to);
    note_failure(making, change);
}

static bool same_options(const struct conf_upstream *a, const struct conf_upstream *b)
{
    return a->weight == b->weight && a->max_sessions == b->max_sessions &&
           a->slow_start_ms == b->slow_start_ms && a->backup == b->backup &&
           a->disabled == b->disabled;
}

static size_t count_earlier(const struct conf_route *route, const struct conf_route *other,
                            const struct conf_upstream *than)
{
    size_t count = 0;
    for (size_t i = 0; i < route->upstream_count; i++) {
        const struct conf_upstream *one = &route->upstreams[i];
        count +=
            !one->removed && one->line < than->line && find_upstream(other, one->name) != NULL;
    }
    return count;
}

/* Those that both have stand in another order. */
static bool order_differs(const struct conf_route *before, const struct conf_route *after)
{
    for (size_t i = 0; i < after->upstream_count; i++) {
        const struct conf_upstream *old = find_upstream(before, after->upstreams[i].name);
        if (old != NULL && count_earlier(before, after, old) !=
                               count_earlier(after, before, &after->upstreams[i]))
            return true;
    }
    return false;
}

static void compare_upstreams(struct making *making, const struct conf_route *before,
                              const struct conf_route *after)
{
    for (size_t i = 0; i < after->upstream_count; i++) {
        const struct conf_upstream *new = &after->upstreams[i];
        const struct conf_upstream *old = find_upstream(before, new->name);
        if (old == NULL)
            add_upstream(making, DIFF_UPSTREAM_ADDED, after, NULL, new);
        else if (!same_options(old, new))
            add_upstream(making, DIFF_UPSTREAM_CHANGED, after, old, new);
    }
    for (size_t i = 0; i < before->upstream_count; i++) {
        const struct conf_upstream *old = &before->upstreams[i];
        if (!old->removed && find_upstream(after, old->name) == NULL)
            add_upstream(making, DIFF_UPSTREAM_REMOVED, after, old, NULL);
    }
    if (after->balance == CONF_FIRST && order_differs(before, after)) {
        struct diff_change *change = add(making, DIFF_UPSTREAM_ORDER);
        if (change != NULL)
            change->route = copy_name(making, after->name);
    }
}

/* ---- routes ---- */

/* "0.0.0.0:7777 -> 10.0.0.5:7000, 10.0.0.6:7000" */
static void write_addresses(const struct conf_route *route, struct str *out)
{
    write_listens(route, out);
    const char *before = " -> ";
    for (size_t i = 0; i < route->upstream_count; i++) {
        if (route->upstreams[i].removed)
            continue;
        str_addf(out, "%s%s", before, route->upstreams[i].name);
        before = ", ";
    }
}

static void add_route(struct making *making, enum diff_kind kind,
                      const struct conf_route *route)
{
    struct diff_change *change = add(making, kind);
    if (change == NULL)
        return;
    change->route = copy_name(making, route->name);
    write_addresses(route, kind == DIFF_ROUTE_ADDED ? &change->to : &change->from);
    note_failure(making, change);
}

static void compare_route(struct making *making, const struct conf_route *before,
                          const struct conf_route *after)
{
    compare_listens(making, before, after);
    compare_upstreams(making, before, after);
    compare_keys(making, KEY_ROUTE, before, after, after->name);
}

enum err diff_make(struct diff *out, const struct conf *before, const struct conf *after)
{
    struct making making = {.diff = out};
    *out = (struct diff){.count = 0};
    compare_keys(&making, KEY_RELAY, before, after, NULL);
    compare_keys(&making, KEY_CONSOLE, before, after, NULL);
    for (size_t i = 0; i < after->route_count; i++) {
        const struct conf_route *old = conf_find_route(before, after->routes[i].name);
        if (old == NULL)
            add_route(&making, DIFF_ROUTE_ADDED, &after->routes[i]);
        else
            compare_route(&making, old, &after->routes[i]);
    }
    for (size_t i = 0; i < before->route_count; i++)
        if (conf_find_route(after, before->routes[i].name) == NULL)
            add_route(&making, DIFF_ROUTE_REMOVED, &before->routes[i]);
    if (!making.failed)
        return ERR_OK;
    diff_free(out);
    return ERR_NOMEM;
}

void diff_free(struct diff *diff)
{
    for (size_t i = 0; i < diff->count; i++) {
        free(diff->changes[i].route);
        free(diff->changes[i].upstream);
        str_free(&diff->changes[i].from);
        str_free(&diff->changes[i].to);
    }
    free(diff->changes);
    *diff = (struct diff){.count = 0};
}

/* ---- what needs a restart ---- */

static bool keep_keys(enum key_section section, const void *before, void *after)
{
    for (size_t i = 0; i < key_count; i++)
        if (is_compared(&keys[i], section) && !keys[i].reloadable &&
            !value_copy(&keys[i], before, after))
            return false;
    return true;
}

bool diff_keep_fixed(const struct conf *before, struct conf *after)
{
    if (!keep_keys(KEY_RELAY, before, after) || !keep_keys(KEY_CONSOLE, before, after))
        return false;
    for (size_t i = 0; i < after->route_count; i++) {
        const struct conf_route *old = conf_find_route(before, after->routes[i].name);
        if (old != NULL && !keep_keys(KEY_ROUTE, old, &after->routes[i]))
            return false;
    }
    return true;
}
