#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/draft.h"
#include "config/endpoint.h"
#include "config/value.h"

static unsigned line_of(const struct draft_section *section, enum key_section in,
                        const char *name)
{
    return section->lines[key_find(in, name) - keys];
}

/* ---- listeners ---- */

/* Finds a listener before `listen`, which is number `at` of route number `r`, that the system
 * would not open together with it. */
static const struct conf_listen *find_overlap(const struct conf *conf, size_t r, size_t at,
                                              const struct conf_route **route)
{
    const struct conf_listen *listen = &conf->routes[r].listens[at];
    for (size_t i = 0; i <= r; ++i) {
        const struct conf_route *other = &conf->routes[i];
        size_t count = i == r ? at : other->listen_count;
        for (size_t j = 0; j < count; ++j) {
            if (endpoint_overlap(&other->listens[j], listen)) {
                *route = other;
                return &other->listens[j];
            }
        }
    }
    return NULL;
}

static void check_listens(const struct draft *draft, size_t r)
{
    const struct conf_route *route = &draft->conf->routes[r];
    char label[DRAFT_LABEL_MAX];
    char other_label[DRAFT_LABEL_MAX];
    char text[ADDR_TEXT_MAX];
    char other_text[ADDR_TEXT_MAX];
    draft_route_label(route, label);

    for (size_t i = 0; i < route->listen_count; ++i) {
        const struct conf_listen *listen = &route->listens[i];
        const struct conf_route *other_route;
        const struct conf_listen *other = find_overlap(draft->conf, r, i, &other_route);
        if (other == NULL)
            continue;
        endpoint_listen_text(listen, text);
        endpoint_listen_text(other, other_text);
        draft_route_label(other_route, other_label);
        if (strcmp(text, other_text) == 0)
            mistakes_add(draft->mistakes, listen->line,
                         "%s listen: %s is taken by %s in line %u; each address can be there "
                         "once",
                         label, text, other_label, other->line);
        else
            mistakes_add(draft->mistakes, listen->line,
                         "%s listen: %s and %s of %s in line %u include each other; use "
                         "different ports, or only addresses that differ%s",
                         label, text, other_text, other_label, other->line,
                         listen->dual_stack || other->dual_stack
                             ? " (*:PORT and [::]:PORT are IPv4 too)"
                             : "");
    }
}

/* ---- upstreams ---- */

static void check_upstreams(const struct draft *draft, const struct conf_route *route)
{
    char label[DRAFT_LABEL_MAX];
    draft_route_label(route, label);

    for (size_t i = 0; i < route->upstream_count; ++i) {
        const struct conf_upstream *upstream = &route->upstreams[i];
        for (size_t j = 0; j < i; ++j) {
            if (strcmp(route->upstreams[j].name, upstream->name) != 0)
                continue;
            mistakes_add(draft->mistakes, upstream->line,
                         "%s upstream: %s stands in line %u already; remove one of them", label,
                         upstream->name, route->upstreams[j].line);
            break;
        }
        /* No server can be there: every session would open the next one, until no more go. */
        for (size_t j = 0; j < route->listen_count; ++j) {
            if (!endpoint_is_listener(upstream, &route->listens[j]))
                continue;
            mistakes_add(draft->mistakes, upstream->line,
                         "%s upstream: %s is the route's own listener of line %u, sessions "
                         "would go in a circle; write the game server's address",
                         label, upstream->name, route->listens[j].line);
            break;
        }
    }
}

/* ---- limits ---- */

/* A limit that somebody wrote and that can't be reached is probably not what he wanted; that of
 * the table is there for those who did not care. */
static void check_limit(const struct draft *draft, unsigned line, const char *label,
                        uint32_t limit, uint32_t preset)
{
    uint32_t all = draft->conf->max_sessions;
    if (line != 0 && limit > all && limit != preset)
        mistakes_warn(draft->mistakes, line,
                      "%s max_sessions: %u can't be reached, [relay] max_sessions is %u; raise "
                      "that one or lower this one",
                      label, (unsigned)limit, (unsigned)all);
}

void draft_check(const struct draft *draft)
{
    const struct conf *conf = draft->conf;
    struct conf_route preset;
    char label[DRAFT_LABEL_MAX];
    value_preset(KEY_ROUTE, &preset);

    if (conf->route_count == 0 && !draft->misnamed_route)
        mistakes_add(draft->mistakes, 0,
                     "there is no route; add a section [route NAME] with a listen and an "
                     "upstream line");

    check_limit(draft, line_of(&draft->default_section, KEY_ROUTE, "max_sessions"),
                "[defaults]", draft->defaults.max_sessions, preset.max_sessions);
    for (size_t i = 0; i < conf->route_count; ++i) {
        const struct conf_route *route = &conf->routes[i];
        const struct draft_section *section = &draft->route_sections[i];
        draft_route_label(route, label);
        if (line_of(section, KEY_ROUTE, "listen") == 0)
            mistakes_add(draft->mistakes, route->line,
                         "%s has no listen; add a line such as 'listen = *:7777'", label);
        if (line_of(section, KEY_ROUTE, "upstream") == 0)
            mistakes_add(draft->mistakes, route->line,
                         "%s has no upstream; add a line such as 'upstream = 10.0.0.5:7000'",
                         label);
        check_listens(draft, i);
        check_upstreams(draft, route);
        check_limit(draft, line_of(section, KEY_ROUTE, "max_sessions"), label,
                    route->max_sessions, preset.max_sessions);
    }
}
