#include <stddef.h>
#include <string.h>

#include "config/check/check.h"
#include "config/value/listen.h"

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
            if (listen_overlap(&other->listens[j], listen)) {
                *route = other;
                return &other->listens[j];
            }
        }
    }
    return NULL;
}

/* "include each other", or which ports are in both: "have the ports 7000-7003 in common". */
static void explain_overlap(const struct conf_listen *a, const struct conf_listen *b,
                            struct str *out)
{
    if (a->addr.port == b->addr.port && a->port_count == b->port_count) {
        str_add(out, "include each other");
        return;
    }
    unsigned first = a->addr.port > b->addr.port ? a->addr.port : b->addr.port;
    unsigned end_a = (unsigned)a->addr.port + a->port_count;
    unsigned end_b = (unsigned)b->addr.port + b->port_count;
    unsigned last = (end_a < end_b ? end_a : end_b) - 1;
    if (first == last)
        str_addf(out, "have the port %u in common", first);
    else
        str_addf(out, "have the ports %u-%u in common", first, last);
}

static void report_overlap(const struct draft *draft, const struct conf_route *route,
                           const struct conf_listen *listen,
                           const struct conf_route *other_route,
                           const struct conf_listen *other)
{
    char label[DRAFT_LABEL_MAX];
    char other_label[DRAFT_LABEL_MAX];
    char text[LISTEN_TEXT_MAX];
    char other_text[LISTEN_TEXT_MAX];
    draft_route_label(route, label);
    draft_route_label(other_route, other_label);
    listen_text(listen, text);
    listen_text(other, other_text);

    if (listen_same(listen, other)) {
        bool differs = strcmp(text, other_text) != 0;
        mistakes_add(
            draft->mistakes, listen->line,
            "%s listen: %s is taken by %s in line %u%s%s; each address can be there once",
            label, text, other_label, other->line, differs ? ", as " : "",
            differs ? other_text : "");
        return;
    }
    struct str how;
    str_init(&how);
    explain_overlap(listen, other, &how);
    if (how.failed)
        draft->mistakes->failed = true;
    mistakes_add(
        draft->mistakes, listen->line,
        "%s listen: %s and %s of %s in line %u %s; use different ports, or only "
        "addresses that differ%s",
        label, text, other_text, other_label, other->line, how.data,
        listen->dual_stack || other->dual_stack ? " (*:PORT and [::]:PORT are IPv4 too)" : "");
    str_free(&how);
}

void check_listens(const struct draft *draft, size_t r)
{
    const struct conf_route *route = &draft->conf->routes[r];
    for (size_t i = 0; i < route->listen_count; ++i) {
        const struct conf_route *other_route;
        const struct conf_listen *other = find_overlap(draft->conf, r, i, &other_route);
        if (other != NULL)
            report_overlap(draft, route, &route->listens[i], other_route, other);
    }
}
