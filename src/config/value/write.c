#include <stdbool.h>
#include <string.h>

#include "base/str.h"
#include "config/conf.h"
#include "config/value/keys.h"
#include "config/value/listen.h"
#include "config/value/upstream.h"
#include "config/value/value.h"
#include "config/value/value_access.h"

#define COLUMNS 96 /* of a line with networks, as far as they fit */

/* What a route allows, or denies, as it would be given: files, then networks that stand in none
 * of them. Each line begins with `start`; there is at least one. */
static void write_access(const struct conf_route *route, bool allow, const char *start,
                         struct str *out)
{
    bool is_written = false;
    for (size_t i = 0; i < route->access_file_count; ++i) {
        const struct conf_access_file *file = &route->access_files[i];
        if (file->allow != allow)
            continue;
        str_addf(out, "%s @%s\n", start, file->path);
        is_written = true;
    }
    size_t columns = 0; /* of the line that is being written, 0: none is */
    for (size_t i = 0; i < route->access_count; ++i) {
        const struct conf_access *access = &route->access[i];
        char text[ADDR_NET_TEXT_MAX];
        if (access->allow != allow || access->from_file)
            continue;
        size_t len = strlen(addr_net_format(&access->net, text));
        if (columns > 0 && columns + 2 + len <= COLUMNS) {
            str_addf(out, ", %s", text);
            columns += 2 + len;
        } else {
            str_addf(out, "%s%s %s", columns > 0 ? "\n" : "", start, text);
            columns = strlen(start) + 1 + len;
        }
        is_written = true;
    }
    if (columns > 0)
        str_add_char(out, '\n');
    if (!is_written)
        str_addf(out, "%s\n", start);
}

/* "KEY = VALUE" for every key of a section that may be in [defaults], one value or none. `owner`
 * as in value_field(). */
static void write_values(enum key_section section, const void *owner, struct str *out)
{
    for (size_t i = 0; i < key_count; ++i) {
        const struct key *key = &keys[i];
        if (key->section != section || key->preset == NULL)
            continue;
        if (key->type == KEY_ACCESS) {
            write_access(owner, value_is_allow(key),
                         value_is_allow(key) ? "allow =" : "deny =", out);
            continue;
        }
        struct str value;
        str_init(&value);
        value_write(key, owner, &value);
        if (value.failed)
            out->failed = true;
        str_addf(out, "%s =%s%s\n", key->name, value.len > 0 ? " " : "", value.data);
        str_free(&value);
    }
}

static void write_route(const struct conf_route *route, struct str *out)
{
    char text[LISTEN_TEXT_MAX];

    str_addf(out, "\n[route %s]\n", route->name);
    for (size_t i = 0; i < route->listen_count; ++i)
        str_addf(out, "listen = %s\n", listen_for_file(&route->listens[i], text));
    for (size_t i = 0; i < route->upstream_count; ++i) {
        if (route->upstreams[i].removed)
            continue; /* the file does not have it any more */
        str_add(out, "upstream = ");
        upstream_write(&route->upstreams[i], out);
        str_add_char(out, '\n');
    }
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
