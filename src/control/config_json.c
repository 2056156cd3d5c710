#include "control/config_json.h"

#include <string.h>

#include "config/keys.h"
#include "control/json_build.h"

/* The field of a key in its struct. The table names the type behind each offset; memcpy() reads
 * it without assuming that the compiler sees the same. */
static void read_field(const void *owner, const struct key *key, void *value, size_t size)
{
    memcpy(value, (const char *)owner + key->offset, size);
}

static json_t *listens_as_json(struct json_build *build, const struct conf_route *route)
{
    json_t *array = json_build_array(build);
    for (size_t i = 0; i < route->listen_count; i++) {
        json_t *listen = json_build_object(build);
        json_build_addr(build, listen, "addr", &route->listens[i].addr);
        json_build_bool(build, listen, "dual_stack", route->listens[i].dual_stack);
        json_build_push(build, array, listen);
    }
    return array;
}

static json_t *upstreams_as_json(struct json_build *build, const struct conf_route *route)
{
    json_t *array = json_build_array(build);
    for (size_t i = 0; i < route->upstream_count; i++)
        json_build_push(build, array, json_string(route->upstreams[i].name));
    return array;
}

static void put_key(struct json_build *build, json_t *section, const struct key *key,
                    const void *owner)
{
    char name[64];
    switch (key->type) {
    case KEY_COUNT: {
        uint32_t value;
        read_field(owner, key, &value, sizeof value);
        json_build_u64(build, section, key->name, value);
        break;
    }
    case KEY_WORKERS: {
        unsigned value;
        read_field(owner, key, &value, sizeof value);
        if (value == 0)
            json_build_text(build, section, key->name, "auto");
        else
            json_build_u64(build, section, key->name, value);
        break;
    }
    case KEY_DURATION:
    case KEY_SIZE: {
        uint32_t value;
        read_field(owner, key, &value, sizeof value);
        str_format(name, sizeof name, "%s_%s", key->name,
                   key->type == KEY_DURATION ? "ms" : "bytes");
        json_build_u64(build, section, name, value);
        break;
    }
    case KEY_BOOL: {
        bool value;
        read_field(owner, key, &value, sizeof value);
        json_build_bool(build, section, key->name, value);
        break;
    }
    case KEY_LEVEL: {
        enum log_level value;
        read_field(owner, key, &value, sizeof value);
        json_build_text(build, section, key->name, log_level_word(value));
        break;
    }
    case KEY_CONSOLE_MODE: {
        enum conf_console value;
        read_field(owner, key, &value, sizeof value);
        json_build_text(build, section, key->name,
                        value == CONF_CONSOLE_LOCAL ? "local" : "none");
        break;
    }
    case KEY_TEXT:
        json_build_text(build, section, key->name, (const char *)owner + key->offset);
        break;
    case KEY_LISTEN:
        json_build_put(build, section, key->name, listens_as_json(build, owner));
        break;
    case KEY_UPSTREAM:
        json_build_put(build, section, key->name, upstreams_as_json(build, owner));
        break;
    }
}

static json_t *section_as_json(struct json_build *build, enum key_section which,
                               const void *owner)
{
    json_t *section = json_build_object(build);
    for (size_t i = 0; i < key_count; i++) {
        if (keys[i].section == which)
            put_key(build, section, &keys[i], owner);
    }
    return section;
}

void config_json_write(const struct conf *conf, struct str *out)
{
    struct json_build build = {false};
    json_t *root = json_build_object(&build);
    json_build_text(&build, root, "file", conf->path);
    json_build_put(&build, root, "relay", section_as_json(&build, KEY_RELAY, conf));
    json_build_put(&build, root, "console", section_as_json(&build, KEY_CONSOLE, conf));
    json_t *routes = json_build_array(&build);
    for (size_t i = 0; i < conf->route_count; i++) {
        json_t *route = section_as_json(&build, KEY_ROUTE, &conf->routes[i]);
        json_build_text(&build, route, "name", conf->routes[i].name);
        json_build_push(&build, routes, route);
    }
    json_build_put(&build, root, "routes", routes);
    json_build_write(&build, root, out);
}
