#include "config/read/draft.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "config/value/value.h"
#include "config/value/value_list.h"

enum err draft_init(struct draft *draft, const char *name, struct mistakes *mistakes)
{
    memset(draft, 0, sizeof *draft);
    draft->name = name;
    draft->mistakes = mistakes;
    draft->conf = calloc(1, sizeof *draft->conf);
    if (draft->conf == NULL)
        return ERR_NOMEM;
    if (value_preset(KEY_RELAY, draft->conf) && value_preset(KEY_CONSOLE, draft->conf) &&
        value_preset(KEY_ROUTE, &draft->defaults))
        return ERR_OK;
    draft_free(draft);
    return ERR_NOMEM;
}

void draft_free(struct draft *draft)
{
    /* A configuration that was handed out has taken over its lists. */
    for (size_t i = 0; draft->conf != NULL && i < draft->conf->route_count; ++i)
        access_free(&draft->route_sections[i].access);
    conf_free(draft->conf);
    access_free(&draft->default_section.access);
    value_free_lists(&draft->defaults);
    free(draft->route_sections);
    draft->conf = NULL;
    draft->route_sections = NULL;
}

/* Makes room for at least one more element behind `count` of them by doubling. NULL: no memory,
 * the array stays as it is. */
static void *grow(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return array;
    size_t more = *room == 0 ? 4 : 2 * *room;
    void *grown = realloc(array, more * size);
    if (grown != NULL)
        *room = more;
    return grown;
}

bool draft_add_route(struct draft *draft, const char *name, unsigned line)
{
    struct conf *conf = draft->conf;
    if (conf->route_count == DRAFT_ROUTES_MAX) {
        if (!draft->too_many_routes)
            mistakes_add(draft->mistakes, line, "there are more than %d routes; remove some",
                         DRAFT_ROUTES_MAX);
        draft->too_many_routes = true;
        return false;
    }

    size_t room = draft->room;
    void *sections =
        grow(draft->route_sections, conf->route_count, &room, sizeof *draft->route_sections);
    if (sections == NULL)
        goto fail;
    draft->route_sections = sections;
    void *routes = grow(conf->routes, conf->route_count, &draft->room, sizeof *conf->routes);
    if (routes == NULL)
        goto fail;
    conf->routes = routes;

    struct conf_route *route = &conf->routes[conf->route_count];
    memset(&draft->route_sections[conf->route_count], 0, sizeof *draft->route_sections);
    draft->route_sections[conf->route_count].line = line;
    ++conf->route_count;
    memset(route, 0, sizeof *route);
    str_format(route->name, sizeof route->name, "%s", name);
    route->line = line;
    if (!value_preset(KEY_ROUTE, route))
        goto fail;
    return true;

fail:
    draft->mistakes->failed = true;
    return false;
}

static struct conf_route *last_route(struct draft *draft)
{
    return &draft->conf->routes[draft->conf->route_count - 1];
}

/* Lists of a route hold exactly `count` elements; they are short, and there are few of them. */
static void *add_one(struct draft *draft, void *list, size_t count, const void *element,
                     size_t size)
{
    char *grown = realloc(list, (count + 1) * size);
    if (grown == NULL) {
        draft->mistakes->failed = true;
        return NULL;
    }
    memcpy(grown + count * size, element, size);
    return grown;
}

bool draft_add_listen(struct draft *draft, const struct conf_listen *listen)
{
    struct conf_route *route = last_route(draft);
    char label[DRAFT_LABEL_MAX];
    if (draft->listen_count == DRAFT_LISTENS_MAX) {
        mistakes_add(draft->mistakes, listen->line,
                     "%s listen: there are %d in all already, which is the most; remove some",
                     draft_route_label(route, label), DRAFT_LISTENS_MAX);
        return false;
    }
    if (draft->port_count + listen->port_count > DRAFT_PORTS_MAX) {
        mistakes_add(
            draft->mistakes, listen->line,
            "%s listen: with this line there are %zu ports in all, and %d is the most; "
            "write a smaller range",
            draft_route_label(route, label), draft->port_count + listen->port_count,
            DRAFT_PORTS_MAX);
        return false;
    }
    void *list =
        add_one(draft, route->listens, route->listen_count, listen, sizeof *route->listens);
    if (list == NULL)
        return false;
    route->listens = list;
    ++route->listen_count;
    ++draft->listen_count;
    draft->port_count += listen->port_count;
    return true;
}

bool draft_add_upstream(struct draft *draft, const struct conf_upstream *upstream)
{
    struct conf_route *route = last_route(draft);
    char label[DRAFT_LABEL_MAX];
    if (route->upstream_count == DRAFT_UPSTREAMS_MAX) {
        mistakes_add(draft->mistakes, upstream->line,
                     "%s upstream: the route has %d already, which is the most; remove some",
                     draft_route_label(route, label), DRAFT_UPSTREAMS_MAX);
        return false;
    }
    void *list = add_one(draft, route->upstreams, route->upstream_count, upstream,
                         sizeof *route->upstreams);
    if (list == NULL)
        return false;
    route->upstreams = list;
    ++route->upstream_count;
    return true;
}

/* Whether a section mentions one of the access lists, with or without networks. */
static bool has_access(const struct draft_section *section)
{
    for (size_t k = 0; k < key_count; ++k)
        if (keys[k].type == KEY_ACCESS && section->lines[k] != 0)
            return true;
    return false;
}

/* The lists of [defaults] may be long: one route gets them, and the others share them. */
static void apply_access(struct draft *draft)
{
    const struct conf_route *owner = NULL;
    char label[DRAFT_LABEL_MAX];
    access_settle(&draft->default_section.access, draft->name, "[defaults]", &draft->defaults,
                  draft->mistakes);
    for (size_t i = 0; i < draft->conf->route_count; ++i) {
        struct conf_route *route = &draft->conf->routes[i];
        struct draft_section *section = &draft->route_sections[i];
        if (has_access(section)) {
            access_settle(&section->access, draft->name, draft_route_label(route, label), route,
                          draft->mistakes);
            continue;
        }
        const struct conf_route *from = owner != NULL ? owner : &draft->defaults;
        route->access = from->access;
        route->access_count = from->access_count;
        route->access_files = from->access_files;
        route->access_file_count = from->access_file_count;
        route->access_shared = owner != NULL;
        if (owner == NULL) {
            draft->defaults.access_shared = true;
            owner = route;
        }
    }
}

void draft_apply_defaults(struct draft *draft)
{
    apply_access(draft);
    for (size_t i = 0; i < draft->conf->route_count; ++i) {
        for (size_t k = 0; k < key_count; ++k) {
            const struct key *key = &keys[k];
            if (key->section != KEY_ROUTE || key->preset == NULL || key->type == KEY_ACCESS ||
                draft->route_sections[i].lines[k] != 0)
                continue;
            if (!value_copy(key, &draft->defaults, &draft->conf->routes[i]))
                draft->mistakes->failed = true;
        }
    }
}

/* With others beside it a route leaves some places to them, however full it is. */
static uint32_t auto_max_sessions(const struct conf *conf)
{
    uint32_t spare = conf->max_sessions / 10;
    return conf->route_count > 1 ? conf->max_sessions - spare : conf->max_sessions;
}

void draft_fill_auto(struct draft *draft)
{
    for (size_t i = 0; i < draft->conf->route_count; ++i) {
        struct conf_route *route = &draft->conf->routes[i];
        if (route->max_sessions == 0)
            route->max_sessions = auto_max_sessions(draft->conf);
        if (route->queue_max_per_client == 0 && route->queue_max > 0)
            route->queue_max_per_client = route->queue_max >= 10 ? route->queue_max / 10 : 1;
    }
}

void draft_drop_unused(struct draft *draft)
{
    for (size_t i = 0; i < draft->conf->route_count; ++i) {
        struct conf_route *route = &draft->conf->routes[i];
        if (route->proxy_in == CONF_PROXY_IN_OFF)
            value_free_list(KEY_TRUST, route);
    }
}

const char *draft_route_label(const struct conf_route *route, char buf[DRAFT_LABEL_MAX])
{
    str_format(buf, DRAFT_LABEL_MAX, "[route %s]", route->name);
    return buf;
}

unsigned draft_line_of(const struct draft_section *section, const char *name)
{
    return section->lines[key_find(KEY_ROUTE, name) - keys];
}

bool draft_is_bad(const struct draft_section *section, const char *name)
{
    return section->bad[key_find(KEY_ROUTE, name) - keys];
}
