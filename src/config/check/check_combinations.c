#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/str.h"
#include "config/check/check.h"

/* Where a contradiction between two keys of a route is reported: at the first of them in the
 * route's section, else at the first in [defaults]. There it is the same mistake for every
 * route, and told once. */
struct place {
    char label[DRAFT_LABEL_MAX];
    const char *key;
    unsigned line;
};

/* True when the route's value of a key, in its section or in [defaults], is none. */
static bool is_bad(const struct draft *draft, size_t r, const char *name)
{
    const struct draft_section *section = &draft->route_sections[r];
    if (draft_line_of(section, name) == 0)
        section = &draft->default_section;
    return draft_is_bad(section, name);
}

/* False when there is nothing to report, since one of the values was refused. */
static bool find_place(const struct draft *draft, size_t r, const char *const names[2],
                       struct place *place)
{
    if (is_bad(draft, r, names[0]) || is_bad(draft, r, names[1]))
        return false;
    const struct draft_section *sections[] = {&draft->route_sections[r],
                                              &draft->default_section};
    for (size_t i = 0; i < 4; ++i) {
        place->key = names[i % 2];
        place->line = draft_line_of(sections[i / 2], place->key);
        if (place->line == 0)
            continue;
        if (i < 2)
            draft_route_label(&draft->conf->routes[r], place->label);
        else
            str_format(place->label, sizeof place->label, "[defaults]");
        return true;
    }
    return false;
}

static void check_queue(const struct draft *draft, size_t r)
{
    static const char *const names[] = {"queue_max", "when_down"};
    const struct conf_route *route = &draft->conf->routes[r];
    struct place place;
    if (route->when_down != CONF_HOLD || route->queue_max > 0 ||
        !find_place(draft, r, names, &place))
        return;
    mistakes_add(
        draft->mistakes, place.line,
        "%s %s: when_down = hold lets clients wait, and queue_max is 0; write a larger "
        "queue_max, or when_down = refuse",
        place.label, place.key);
}

static void check_trusts(const struct draft *draft, size_t r)
{
    static const char *const names[] = {"proxy_protocol_in", "proxy_trust"};
    const struct conf_route *route = &draft->conf->routes[r];
    unsigned line = draft_line_of(&draft->route_sections[r], "proxy_trust");
    char label[DRAFT_LABEL_MAX];
    struct place place;

    if (!find_place(draft, r, names, &place))
        return;
    if (route->proxy_in == CONF_PROXY_IN_OFF && line != 0 && route->trust_count > 0)
        mistakes_warn(draft->mistakes, line,
                      "%s proxy_trust: it has no effect while proxy_protocol_in is off; write "
                      "proxy_protocol_in = required, or remove it",
                      draft_route_label(route, label));
    if (route->proxy_in != CONF_PROXY_IN_OFF && route->trust_count == 0)
        mistakes_add(draft->mistakes, place.line,
                     "%s %s: proxy_protocol_in is on and proxy_trust is empty, so no header "
                     "would be believed; write the proxies' addresses, such as proxy_trust = "
                     "10.0.0.0/8",
                     place.label, place.key);
}

/* True when some upstream has an address of the family or, being a name, may have one. */
static bool may_reach(const struct conf_route *route, uint8_t family)
{
    for (size_t i = 0; i < route->upstream_count; ++i) {
        struct addr addr;
        if (addr_parse_ip(route->upstreams[i].host, &addr) != ERR_OK || addr.family == family)
            return true;
    }
    return false;
}

/* Only of the route's own list: one in [defaults] is for routes of both families. */
static void check_sources(const struct draft *draft, size_t r)
{
    const struct conf_route *route = &draft->conf->routes[r];
    unsigned line = draft_line_of(&draft->route_sections[r], "source");
    char label[DRAFT_LABEL_MAX];
    char text[ADDR_TEXT_MAX];
    if (line == 0 || route->upstream_count == 0 || is_bad(draft, r, "source") ||
        is_bad(draft, r, "upstream"))
        return;
    for (size_t i = 0; i < route->source_count; ++i) {
        const struct addr *source = &route->sources[i];
        if (may_reach(route, source->family))
            continue;
        bool is_ipv4 = source->family == ADDR_IPV4;
        mistakes_add(draft->mistakes, line,
                     "%s source: %s is IPv%d and all upstreams are IPv%d; write an address of "
                     "that family",
                     draft_route_label(route, label), addr_format_ip(source, text),
                     is_ipv4 ? 4 : 6, is_ipv4 ? 6 : 4);
    }
}

void check_combinations(const struct draft *draft, size_t r)
{
    check_queue(draft, r);
    check_trusts(draft, r);
    check_sources(draft, r);
}

void check_defaults(const struct draft *draft)
{
    const struct draft_section *defaults = &draft->default_section;
    if (draft->defaults.trust_count == 0 || draft_is_bad(defaults, "proxy_trust") ||
        draft_is_bad(defaults, "proxy_protocol_in"))
        return;
    for (size_t r = 0; r < draft->conf->route_count; ++r)
        if (draft->conf->routes[r].proxy_in != CONF_PROXY_IN_OFF)
            return;
    mistakes_warn(draft->mistakes, draft_line_of(&draft->default_section, "proxy_trust"),
                  "[defaults] proxy_trust: it has no effect while proxy_protocol_in is off; "
                  "write proxy_protocol_in = required, or remove it");
}
