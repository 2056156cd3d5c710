#include "config/check/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A limit that somebody wrote and that can't be reached is probably not what was wanted. */
static void check_limit(const struct draft *draft, unsigned line, const char *label,
                        uint32_t limit)
{
    uint32_t all = draft->conf->max_sessions;
    if (line != 0 && limit > all)
        mistakes_warn(draft->mistakes, line,
                      "%s max_sessions: %u can't be reached, [relay] max_sessions is %u; raise "
                      "that one or lower this one",
                      label, (unsigned)limit, (unsigned)all);
}

void check_draft(const struct draft *draft)
{
    const struct conf *conf = draft->conf;
    char label[DRAFT_LABEL_MAX];

    if (conf->route_count == 0 && !draft->misnamed_route)
        mistakes_add(draft->mistakes, 0,
                     "there is no route; add a section [route NAME] with a listen and an "
                     "upstream line");

    check_limit(draft, draft_line_of(&draft->default_section, "max_sessions"), "[defaults]",
                draft->defaults.max_sessions);
    check_defaults(draft);
    check_relay(draft);
    for (size_t i = 0; i < conf->route_count; ++i) {
        const struct conf_route *route = &conf->routes[i];
        const struct draft_section *section = &draft->route_sections[i];
        draft_route_label(route, label);
        if (draft_line_of(section, "listen") == 0)
            mistakes_add(draft->mistakes, route->line,
                         "%s has no listen; add a line such as 'listen = *:7777'", label);
        if (draft_line_of(section, "upstream") == 0)
            mistakes_add(draft->mistakes, route->line,
                         "%s has no upstream; add a line such as 'upstream = 10.0.0.5:7000'",
                         label);
        check_listens(draft, i);
        check_upstreams(draft, i);
        check_combinations(draft, i);
        check_guard(draft, i);
        check_limit(draft, draft_line_of(section, "max_sessions"), label, route->max_sessions);
    }
    check_circles(draft);
}
