#include "config/value/value_access.h"

#include <stdlib.h>
#include <string.h>

#include "base/addr_net.h"

bool value_is_allow(const struct key *key)
{
    return strcmp(key->name, "allow") == 0;
}

void value_write_access(const struct conf_route *route, bool allow, struct str *out)
{
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
