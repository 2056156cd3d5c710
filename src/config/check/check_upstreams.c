#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "config/check/check.h"
#include "config/value/listen.h"
#include "config/value/upstream.h"

static void check_repeated(const struct draft *draft, const struct conf_route *route, size_t at)
{
    const struct conf_upstream *upstream = &route->upstreams[at];
    char label[DRAFT_LABEL_MAX];
    for (size_t i = 0; i < at; ++i) {
        if (strcmp(route->upstreams[i].name, upstream->name) != 0)
            continue;
        mistakes_add(draft->mistakes, upstream->line,
                     "%s upstream: %s stands in line %u already; remove one of them",
                     draft_route_label(route, label), upstream->name, route->upstreams[i].line);
        return;
    }
}

/* Port i of a listener leads to port i of the upstream, so both have as many. */
static void check_length(const struct draft *draft, const struct conf_route *route,
                         const struct conf_upstream *upstream)
{
    char label[DRAFT_LABEL_MAX];
    char text[LISTEN_TEXT_MAX];
    if (upstream->port_count == 1)
        return;
    for (size_t i = 0; i < route->listen_count; ++i) {
        const struct conf_listen *listen = &route->listens[i];
        if (listen->port_count == upstream->port_count)
            continue;
        mistakes_add(draft->mistakes, upstream->line,
                     "%s upstream: %s has %u ports and %s in line %u has %u; write ranges of "
                     "the same length, or one port that all lead to",
                     draft_route_label(route, label), upstream->name,
                     (unsigned)upstream->port_count, listen_text(listen, text), listen->line,
                     (unsigned)listen->port_count);
        return;
    }
}

static void check_limit(const struct draft *draft, const struct conf_route *route,
                        const struct conf_upstream *upstream)
{
    char label[DRAFT_LABEL_MAX];
    if (upstream->max_sessions > route->max_sessions)
        mistakes_warn(
            draft->mistakes, upstream->line,
            "%s upstream: max_sessions: %u can't be reached, the route's max_sessions "
            "is %u; raise that one or lower this one",
            draft_route_label(route, label), (unsigned)upstream->max_sessions,
            (unsigned)route->max_sessions);
}

static void check_any_enabled(const struct draft *draft, const struct conf_route *route)
{
    char label[DRAFT_LABEL_MAX];
    for (size_t i = 0; i < route->upstream_count; ++i)
        if (!route->upstreams[i].disabled && route->upstreams[i].weight > 0)
            return;
    if (route->upstream_count > 0)
        mistakes_warn(draft->mistakes, route->upstreams[0].line,
                      "%s upstream: no session can go anywhere until one is enabled on the "
                      "console, each is disabled or has weight=0",
                      draft_route_label(route, label));
}

void check_upstreams(const struct draft *draft, size_t r)
{
    const struct conf_route *route = &draft->conf->routes[r];
    for (size_t i = 0; i < route->upstream_count; ++i) {
        const struct conf_upstream *upstream = &route->upstreams[i];
        check_repeated(draft, route, i);
        check_length(draft, route, upstream);
        check_limit(draft, route, upstream);
    }
    if (!draft_is_bad(&draft->route_sections[r], "upstream"))
        check_any_enabled(draft, route);
}
