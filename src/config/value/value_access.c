#include "config/value/value_access.h"

#include <stdlib.h>
#include <string.h>

#include "base/addr_net.h"

bool value_is_allow(const struct key *key)
{
    return strcmp(key->name, "allow") == 0;
}

void value_write_access(const struct key *key, const void *owner, struct str *out)
{
    const struct conf_route *route = owner;
    bool allow = value_is_allow(key);
    size_t start = out->len;
    for (size_t i = 0; i < route->access_file_count; ++i)
        if (route->access_files[i].allow == allow)
            str_addf(out, "%s@%s", out->len > start ? ", " : "", route->access_files[i].path);
    for (size_t i = 0; i < route->access_count; ++i) {
        const struct conf_access *access = &route->access[i];
        char text[ADDR_NET_TEXT_MAX];
        if (access->allow == allow && !access->from_file)
            str_addf(out, "%s%s", out->len > start ? ", " : "",
                     addr_net_format(&access->net, text));
    }
}

static bool same_net(const struct addr_net *a, const struct addr_net *b)
{
    return a->bits == b->bits && addr_equal(&a->addr, &b->addr);
}

/* Moves *at on to the next network that is allowed, or denied. False: there is none. */
static bool find_next(const struct conf_route *route, bool allow, size_t *at)
{
    while (*at < route->access_count && route->access[*at].allow != allow)
        ++*at;
    return *at < route->access_count;
}

/* Both lists are sorted. */
bool value_equal_access(const struct key *key, const void *left, const void *right)
{
    const struct conf_route *a = left;
    const struct conf_route *b = right;
    bool allow = value_is_allow(key);
    size_t i = 0;
    size_t j = 0;
    while (find_next(a, allow, &i)) {
        if (!find_next(b, allow, &j) || !same_net(&a->access[i].net, &b->access[j].net))
            return false;
        ++i;
        ++j;
    }
    return !find_next(b, allow, &j);
}

void value_free_access(struct conf_route *route)
{
    if (!route->access_shared) {
        free(route->access);
        free(route->access_files);
    }
    route->access = NULL;
    route->access_count = 0;
    route->access_files = NULL;
    route->access_file_count = 0;
    route->access_shared = false;
}
