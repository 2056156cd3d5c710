#include <stdbool.h>

#include "base/addr.h"
#include "base/str.h"
#include "config/conf.h"
#include "config/endpoint.h"
#include "config/keys.h"
#include "config/value.h"

/* "KEY = VALUE" for every key of a section that has one value. `owner` as in value_field(). */
static void write_values(enum key_section section, const void *owner, struct str *out)
{
    for (size_t i = 0; i < key_count; ++i) {
        const struct key *key = &keys[i];
        if (key->section != section || key->preset == NULL)
            continue;
        const void *field = value_field_const(key, owner);
        bool is_empty = key->type == KEY_TEXT && *(const char *)field == '\0';
        str_addf(out, "%s =%s", key->name, is_empty ? "" : " ");
        value_write(key, field, out);
        str_add_char(out, '\n');
    }
}

static void write_route(const struct conf_route *route, struct str *out)
{
    char text[ADDR_TEXT_MAX];

    str_addf(out, "\n[route %s]\n", route->name);
    for (size_t i = 0; i < route->listen_count; ++i)
        str_addf(out, "listen = %s\n", endpoint_listen_text(&route->listens[i], text));
    for (size_t i = 0; i < route->upstream_count; ++i)
        str_addf(out, "upstream = %s\n", route->upstreams[i].name);
    write_values(KEY_ROUTE, route, out);
}

void conf_write(const struct conf *conf, struct str *out)
{
    str_add(out, "[relay]\n");
    write_values(KEY_RELAY, conf, out);
    str_add(out, "\n[console]\n");
    write_values(KEY_CONSOLE, conf, out);
    for (size_t i = 0; i < conf->route_count; ++i)
        write_route(&conf->routes[i], out);
}
