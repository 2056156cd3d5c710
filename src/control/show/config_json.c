#include "control/show/config_json.h"

#include "base/addr_net.h"
#include "config/value/bytes.h"
#include "config/value/keys.h"
#include "config/value/number.h"
#include "config/value/value.h"
#include "config/value/value_access.h"
#include "control/command/json_build.h"

/* ---- what has more than one value ---- */

static json_t *listens_as_json(struct json_build *build, const struct key *key,
                               const void *owner)
{
    (void)key;
    const struct conf_route *route = owner;
    json_t *array = json_build_array(build);
    for (size_t i = 0; i < route->listen_count; i++) {
        const struct conf_listen *conf = &route->listens[i];
        json_t *listen = json_build_object(build);
        json_build_addr(build, listen, "addr", &conf->addr);
        json_build_u64(build, listen, "port_count", conf->port_count);
        json_build_bool(build, listen, "dual_stack", conf->dual_stack);
        json_build_push(build, array, listen);
    }
    return array;
}

static json_t *upstreams_as_json(struct json_build *build, const struct key *key,
                                 const void *owner)
{
    (void)key;
    const struct conf_route *route = owner;
    json_t *array = json_build_array(build);
    for (size_t i = 0; i < route->upstream_count; i++) {
        const struct conf_upstream *conf = &route->upstreams[i];
        if (conf->removed)
            continue;
        json_t *upstream = json_build_object(build);
        json_build_text(build, upstream, "name", conf->name);
        json_build_u64(build, upstream, "weight", conf->weight);
        json_build_u64(build, upstream, "max_sessions", conf->max_sessions);
        json_build_u64(build, upstream, "slow_start_ms", conf->slow_start_ms);
        json_build_bool(build, upstream, "backup", conf->backup);
        json_build_bool(build, upstream, "disabled", conf->disabled);
        json_build_push(build, array, upstream);
    }
    return array;
}

/* Bytes as the file has them, null for none. */
static void put_bytes(struct json_build *build, json_t *object, const char *name,
                      const struct conf_bytes *bytes)
{
    if (bytes->len == 0) {
        json_build_put(build, object, name, json_null());
        return;
    }
    struct str text;
    str_init(&text);
    bytes_write(bytes, &text);
    build->failed = build->failed || text.failed;
    json_build_text(build, object, name, text.data);
    str_free(&text);
}

static json_t *health_as_json(struct json_build *build, const struct key *key,
                              const void *owner)
{
    const struct conf_health *conf = value_field_const(key, owner);
    if (!conf->on)
        return json_null();
    json_t *health = json_build_object(build);
    json_build_u64(build, health, "interval_ms", conf->interval_ms);
    json_build_u64(build, health, "timeout_ms", conf->timeout_ms);
    json_build_u64(build, health, "rise", conf->rise);
    json_build_u64(build, health, "fall", conf->fall);
    json_build_u64(build, health, "fast_ms", conf->fast_ms);
    if (conf->port == 0) /* the upstream's first one */
        json_build_put(build, health, "port", json_null());
    else
        json_build_u64(build, health, "port", conf->port);
    put_bytes(build, health, "send", &conf->send);
    put_bytes(build, health, "expect", &conf->expect);
    json_build_text(build, health, "end", conf->end == CONF_CHECK_RESET ? "reset" : "fin");
    return health;
}

static json_t *eject_as_json(struct json_build *build, const struct key *key, const void *owner)
{
    const struct conf_eject *conf = value_field_const(key, owner);
    if (conf->count == 0)
        return json_null();
    json_t *eject = json_build_object(build);
    json_build_u64(build, eject, "failures", conf->count);
    json_build_u64(build, eject, "within_ms", conf->within_ms);
    json_build_u64(build, eject, "for_ms", conf->for_ms);
    return eject;
}

static json_t *sources_as_json(struct json_build *build, const struct key *key,
                               const void *owner)
{
    (void)key;
    const struct conf_route *route = owner;
    json_t *array = json_build_array(build);
    for (size_t i = 0; i < route->source_count; i++) {
        char text[ADDR_TEXT_MAX];
        json_build_push(build, array, json_string(addr_format_ip(&route->sources[i], text)));
    }
    return array;
}

static json_t *nets_as_json(struct json_build *build, const struct addr_net *nets, size_t count)
{
    json_t *array = json_build_array(build);
    for (size_t i = 0; i < count; i++) {
        char text[ADDR_NET_TEXT_MAX];
        json_build_push(build, array, json_string(addr_net_format(&nets[i], text)));
    }
    return array;
}

static json_t *trusts_as_json(struct json_build *build, const struct key *key,
                              const void *owner)
{
    (void)key;
    const struct conf_route *route = owner;
    return nets_as_json(build, route->trusts, route->trust_count);
}

static json_t *exempts_as_json(struct json_build *build, const struct key *key,
                               const void *owner)
{
    (void)key;
    const struct conf_route *route = owner;
    return nets_as_json(build, route->exempts, route->exempt_count);
}

/* Files by their names, networks only if they stand in no file. */
static json_t *access_as_json(struct json_build *build, const struct key *key,
                              const void *owner)
{
    const struct conf_route *route = owner;
    bool allow = value_is_allow(key);
    json_t *array = json_build_array(build);
    for (size_t i = 0; i < route->access_file_count; i++) {
        char name[CONF_PATH_MAX + 1];
        str_format(name, sizeof name, "@%s", route->access_files[i].path);
        if (route->access_files[i].allow == allow)
            json_build_push(build, array, json_string(name));
    }
    for (size_t i = 0; i < route->access_count; i++) {
        const struct conf_access *access = &route->access[i];
        char text[ADDR_NET_TEXT_MAX];
        if (access->allow == allow && !access->from_file)
            json_build_push(build, array, json_string(addr_net_format(&access->net, text)));
    }
    return array;
}

/* ---- rates; null for `off` ---- */

static json_t *ban_after_as_json(struct json_build *build, const struct key *key,
                                 const void *owner)
{
    const struct conf_eject *conf = value_field_const(key, owner);
    if (conf->count == 0)
        return json_null();
    json_t *ban = json_build_object(build);
    json_build_u64(build, ban, "refusals", conf->count);
    json_build_u64(build, ban, "within_ms", conf->within_ms);
    json_build_u64(build, ban, "for_ms", conf->for_ms);
    return ban;
}

static json_t *rate_as_json(struct json_build *build, const struct key *key, const void *owner)
{
    const struct conf_rate *conf = value_field_const(key, owner);
    if (conf->count == 0)
        return json_null();
    json_t *rate = json_build_object(build);
    json_build_u64(build, rate, "count", conf->count);
    json_build_u64(build, rate, "per_ms", conf->per_ms);
    json_build_u64(build, rate, "burst", conf->burst);
    return rate;
}

static json_t *pace_as_json(struct json_build *build, const struct key *key, const void *owner)
{
    const struct conf_pace *conf = value_field_const(key, owner);
    if (conf->bytes_per_s == 0)
        return json_null();
    json_t *pace = json_build_object(build);
    json_build_u64(build, pace, "bytes_per_s", conf->bytes_per_s);
    json_build_u64(build, pace, "burst_bytes", conf->burst_bytes);
    return pace;
}

static json_t *min_rate_as_json(struct json_build *build, const struct key *key,
                                const void *owner)
{
    const struct conf_min_rate *conf = value_field_const(key, owner);
    if (conf->bytes_per_s == 0)
        return json_null();
    json_t *rate = json_build_object(build);
    json_build_u64(build, rate, "bytes_per_s", conf->bytes_per_s);
    json_build_u64(build, rate, "over_ms", conf->over_ms);
    return rate;
}

/* ---- one number or word ---- */

static uint64_t read_number(const struct key *key, const void *owner)
{
    return number_get(key, value_field_const(key, owner));
}

static json_t *number_as_json(struct json_build *build, const struct key *key,
                              const void *owner)
{
    (void)build;
    uint64_t number = read_number(key, owner);
    return number > INT64_MAX ? json_null() : json_integer((json_int_t)number);
}

static json_t *bool_as_json(struct json_build *build, const struct key *key, const void *owner)
{
    (void)build;
    const bool *value = value_field_const(key, owner);
    return json_boolean(*value);
}

static json_t *workers_as_json(struct json_build *build, const struct key *key,
                               const void *owner)
{
    (void)build;
    const unsigned *value = value_field_const(key, owner);
    return *value == 0 ? json_string("auto") : json_integer((json_int_t)*value);
}

/* The value as the file has it. */
static json_t *text_as_json(struct json_build *build, const struct key *key, const void *owner)
{
    struct str text;
    str_init(&text);
    value_write(key, owner, &text);
    build->failed = build->failed || text.failed;
    json_t *json = json_string(text.data);
    str_free(&text);
    return json;
}

/* ---- keys that have another name, or two ---- */

static void put_with_unit(struct json_build *build, json_t *section, const struct key *key,
                          const void *owner)
{
    const char *unit = key->type == KEY_DURATION ? "ms"
                       : key->type == KEY_SIZE   ? "bytes"
                                                 : "percent";
    char name[64];
    str_format(name, sizeof name, "%s_%s", key->name, unit);
    json_build_u64(build, section, name, read_number(key, owner));
}

static void put_when_down(struct json_build *build, json_t *section, const struct key *key,
                          const void *owner)
{
    const struct conf_route *route = owner;
    json_build_text(build, section, key->name,
                    route->when_down == CONF_HOLD ? "hold" : "refuse");
    json_build_u64(build, section, "hold_ms", route->hold_ms);
}

static void put_refuse(struct json_build *build, json_t *section, const struct key *key,
                       const void *owner)
{
    static const char *const words[] = {[CONF_REFUSE_RESET] = "reset",
                                        [CONF_REFUSE_CLOSE] = "close",
                                        [CONF_REFUSE_TARPIT] = "tarpit"};
    const struct conf_route *route = owner;
    json_build_text(build, section, key->name, words[route->refuse]);
    json_build_u64(build, section, "tarpit_ms", route->tarpit_ms);
}

/* ---- keys ---- */

/* What a type is as JSON: a value under the name of its key, or what `put` adds. A type without
 * either is one that only options have. */
static const struct {
    json_t *(*as_json)(struct json_build *build, const struct key *key, const void *owner);
    void (*put)(struct json_build *build, json_t *section, const struct key *key,
                const void *owner);
} types[] = {
    [KEY_COUNT] = {.as_json = number_as_json},
    [KEY_WORKERS] = {.as_json = workers_as_json},
    [KEY_DURATION] = {.put = put_with_unit},
    [KEY_SIZE] = {.put = put_with_unit},
    [KEY_PERCENT] = {.put = put_with_unit},
    [KEY_BOOL] = {.as_json = bool_as_json},
    [KEY_LEVEL] = {.as_json = text_as_json},
    [KEY_CHOICE] = {.as_json = text_as_json},
    [KEY_TEXT] = {.as_json = text_as_json},
    [KEY_WHEN_DOWN] = {.put = put_when_down},
    [KEY_HEALTH] = {.as_json = health_as_json},
    [KEY_EJECT] = {.as_json = eject_as_json},
    [KEY_BAN_AFTER] = {.as_json = ban_after_as_json},
    [KEY_RATE] = {.as_json = rate_as_json},
    [KEY_PACE] = {.as_json = pace_as_json},
    [KEY_MIN_RATE] = {.as_json = min_rate_as_json},
    [KEY_REFUSE] = {.put = put_refuse},
    [KEY_SOURCE] = {.as_json = sources_as_json},
    [KEY_TRUST] = {.as_json = trusts_as_json},
    [KEY_EXEMPT] = {.as_json = exempts_as_json},
    [KEY_ACCESS] = {.as_json = access_as_json},
    [KEY_BYTES] = {.as_json = NULL},
    [KEY_LISTEN] = {.as_json = listens_as_json},
    [KEY_UPSTREAM] = {.as_json = upstreams_as_json},
};

static void put_key(struct json_build *build, json_t *section, const struct key *key,
                    const void *owner)
{
    if (types[key->type].put != NULL)
        types[key->type].put(build, section, key, owner);
    else if (types[key->type].as_json != NULL)
        json_build_put(build, section, key->name, types[key->type].as_json(build, key, owner));
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
