#include "control/command/refer.h"

#include <string.h>

#include "control/command/match.h"

/* ---- routes ---- */

bool refer_route(const struct conf *conf, const char *word, size_t *route)
{
    const struct conf_route *found = conf_find_route(conf, word);
    if (found == NULL)
        return false;
    *route = (size_t)(found - conf->routes);
    return true;
}

#define ROUTES_LISTED 8 /* routes named in a message; the rest is counted */

/* `first` is named before the others; NULL: in the order of the configuration. */
static void list_routes(const struct conf *conf, const char *first, struct str *out)
{
    size_t listed = 0;
    str_add(out, "the name of a route: ");
    if (first != NULL && conf->route_count > ROUTES_LISTED) {
        str_add(out, first);
        listed++;
    } else {
        first = NULL;
    }
    for (size_t i = 0; i < conf->route_count && listed < ROUTES_LISTED; i++) {
        if (first != NULL && strcmp(conf->routes[i].name, first) == 0)
            continue;
        str_addf(out, "%s%s", listed++ == 0 ? "" : ", ", conf->routes[i].name);
    }
    if (listed < conf->route_count)
        str_addf(out, " and %zu more, which `show routes` lists", conf->route_count - listed);
}

void refer_want_route(const struct conf *conf, struct str *out)
{
    list_routes(conf, NULL, out);
}

/* The better one of two guesses at what `word` meant; `best` may be NULL. */
static const char *nearer(const char *word, const char *name, const char *best)
{
    const char *const both[] = {name, best, NULL};
    const char *near = match_nearest(word, both);
    return near == NULL ? best : near;
}

static const char *nearest_route(const struct conf *conf, const char *word)
{
    const char *near = NULL;
    for (size_t i = 0; i < conf->route_count; i++)
        near = nearer(word, conf->routes[i].name, near);
    return near;
}

static void explain_no_route(const struct conf *conf, const char *word, struct str *why)
{
    const char *near = nearest_route(conf, word);
    str_addf(why, "there is no route '%s'; ", word);
    if (near != NULL)
        str_addf(why, "did you mean '%s'? ", near);
    str_add(why, "it needs ");
}

void refer_explain_route(const struct conf *conf, const char *word, struct str *why)
{
    explain_no_route(conf, word, why);
    list_routes(conf, nearest_route(conf, word), why);
}

/* ---- upstreams ---- */

#define LISTED_MAX 16 /* upstreams named in a message; the rest is counted */

/* The names listed so far. */
struct listing {
    struct str *out;
    size_t count;
};

static void list_name(struct listing *listing, const char *route, const char *upstream)
{
    if (listing->count < LISTED_MAX)
        str_addf(listing->out, "%s%s/%s", listing->count == 0 ? "" : ", ", route, upstream);
    listing->count++;
}

static void end_listing(const struct listing *listing)
{
    if (listing->count > LISTED_MAX)
        str_addf(listing->out, " and %zu more; `show upstreams` lists them",
                 listing->count - LISTED_MAX);
}

void refer_want_upstream(const struct conf *conf, struct str *out)
{
    str_add(out, "an upstream as ROUTE/NAME: ");
    struct listing listing = {.out = out};
    for (size_t r = 0; r < conf->route_count; r++) {
        const struct conf_route *route = &conf->routes[r];
        for (size_t u = 0; u < route->upstream_count; u++)
            if (!route->upstreams[u].removed)
                list_name(&listing, route->name, route->upstreams[u].name);
    }
    end_listing(&listing);
}

/* How well a typed name fits an upstream's. */
enum name_fit { NAME_OTHER, NAME_BEGINNING, NAME_HOST, NAME_WHOLE };

static enum name_fit fit_name(const struct conf_upstream *upstream, const char *typed)
{
    if (upstream->removed)
        return NAME_OTHER;
    if (match_equal(upstream->name, typed))
        return NAME_WHOLE;
    if (match_equal(upstream->host, typed))
        return NAME_HOST;
    return *typed != '\0' && match_begins(upstream->name, typed) ? NAME_BEGINNING : NAME_OTHER;
}

/* The best fit that some upstream has; how many have it, and the last of them. */
static enum name_fit best_fit(const struct conf_route *route, const char *typed, size_t *count,
                              size_t *upstream)
{
    enum name_fit best = NAME_OTHER;
    *count = 0;
    *upstream = 0;
    for (size_t u = 0; u < route->upstream_count; u++) {
        enum name_fit fit = fit_name(&route->upstreams[u], typed);
        if (fit < best)
            continue;
        *count = fit == best ? *count + 1 : 1;
        *upstream = u;
        best = fit;
    }
    return best;
}

/* Splits ROUTE/NAME; the route is NULL when there is none of that name. False: no slash. */
static bool split(const struct conf *conf, const char *word, char route_name[CONF_NAME_MAX],
                  const struct conf_route **route, const char **name)
{
    const char *slash = strchr(word, '/');
    if (slash == NULL)
        return false;
    bool fits = slash - word < CONF_NAME_MAX;
    str_format(route_name, CONF_NAME_MAX, "%.*s", (int)(slash - word), word);
    *route = fits ? conf_find_route(conf, route_name) : NULL;
    *name = slash + 1;
    return true;
}

bool refer_upstream(const struct conf *conf, const char *word, size_t *route, size_t *upstream)
{
    char route_name[CONF_NAME_MAX];
    const struct conf_route *found;
    const char *name;
    if (!split(conf, word, route_name, &found, &name) || found == NULL)
        return false;
    size_t count, index;
    if (best_fit(found, name, &count, &index) == NAME_OTHER || count != 1)
        return false;
    *route = (size_t)(found - conf->routes);
    *upstream = index;
    return true;
}

static void explain_no_upstream(const struct conf_route *route, const char *name,
                                struct str *why)
{
    const char *near = NULL;
    for (size_t u = 0; u < route->upstream_count; u++)
        if (!route->upstreams[u].removed)
            near = nearer(name, route->upstreams[u].name, near);
    str_addf(why, "route '%s' has no upstream '%s'; ", route->name, name);
    if (near != NULL)
        str_addf(why, "did you mean '%s/%s'? ", route->name, near);
    str_add(why, "it has ");
    struct listing listing = {.out = why};
    for (size_t u = 0; u < route->upstream_count; u++)
        if (!route->upstreams[u].removed)
            list_name(&listing, route->name, route->upstreams[u].name);
    end_listing(&listing);
}

static void explain_ambiguous(const struct conf_route *route, const char *name,
                              enum name_fit fit, struct str *why)
{
    str_addf(why, "'%s/%s' can mean several upstreams: ", route->name, name);
    struct listing listing = {.out = why};
    for (size_t u = 0; u < route->upstream_count; u++) {
        if (fit_name(&route->upstreams[u], name) == fit)
            list_name(&listing, route->name, route->upstreams[u].name);
    }
    end_listing(&listing);
    str_add(why, "; write more of it");
}

void refer_explain_upstream(const struct conf *conf, const char *word, struct str *why)
{
    char route_name[CONF_NAME_MAX];
    const struct conf_route *route;
    const char *name;
    if (!split(conf, word, route_name, &route, &name)) {
        str_addf(why, "'%s' is no ROUTE/NAME; it needs ", word);
        refer_want_upstream(conf, why);
        return;
    }
    if (route == NULL) {
        explain_no_route(conf, route_name, why);
        refer_want_upstream(conf, why);
        return;
    }
    size_t count, index;
    enum name_fit fit = best_fit(route, name, &count, &index);
    if (fit == NAME_OTHER)
        explain_no_upstream(route, name, why);
    else
        explain_ambiguous(route, name, fit, why);
}
