#include "control/show/upstream_json.h"

#include "control/show/drain_text.h"
#include "control/show/totals.h"
#include "control/show/upstream_text.h"
#include "relay/server_info.h"

static const char *const state_words[] = {
#define X(name, word) [name] = word,
    ROUTE_STATE_TABLE(X)
#undef X
};

static const char *admin_word(enum route_admin admin)
{
    switch (admin) {
    case ROUTE_READY: return "ready";
    case ROUTE_DRAIN: return "drain";
    case ROUTE_DISABLED: return "disabled";
    }
    return "";
}

/* Null where `then` is 0: never. */
static void put_age(struct json_build *build, json_t *object, const char *name, uint64_t then,
                    uint64_t now_ms)
{
    if (then == 0)
        json_build_put(build, object, name, json_null());
    else
        json_build_u64(build, object, name, upstream_elapsed_ms(then, now_ms));
}

/* Null where 0 means that there is none. */
static void put_limit(struct json_build *build, json_t *object, const char *name,
                      uint64_t limit)
{
    json_build_u64(build, object, name, limit == 0 ? UINT64_MAX : limit);
}

static json_t *check_as_json(struct json_build *build, const struct health_info *health,
                             uint64_t now_ms)
{
    if (!health->checked)
        return json_null();
    json_t *check = json_build_object(build);
    json_build_text(build, check, "code", health_code_word(health->code));
    json_build_text(build, check, "text", health_code_text(health->code));
    json_build_text(build, check, "error", err_word(health->err));
    json_build_u64(build, check, "duration_us", health->duration_us);
    put_age(build, check, "age_ms", health->last_ms, now_ms);
    json_build_bool(build, check, "running", health->running);
    json_build_u64(build, check, "checks_total", health->checks_total);
    json_build_u64(build, check, "failures_total", health->failures_total);
    json_build_u64(build, check, "downs_total", health->downs_total);
    return check;
}

static json_t *server_as_json(struct json_build *build, const struct route_server_info *server,
                              uint64_t now_ms)
{
    json_t *object = json_build_object(build);
    json_build_addr(build, object, "addr", &server->addr);
    json_build_text(build, object, "state", state_words[server->state]);
    json_build_text(build, object, "state_shown", server->word);
    json_build_u64(build, object, "state_age_ms",
                   upstream_elapsed_ms(server->since_ms, now_ms));
    json_build_bool(build, object, "usable", server->usable);
    json_build_bool(build, object, "gone", server->gone);
    json_build_u64(build, object, "sessions_open", server->sessions);
    json_build_u64(build, object, "ejected_left_ms",
                   upstream_elapsed_ms(now_ms, server->ejected_until_ms));
    put_age(build, object, "last_connect_age_ms", server->tried_ms, now_ms);
    json_build_u64(build, object, "connect_failures_in_row", server->connect_failures);
    put_age(build, object, "last_connect_failure_age_ms", server->connect_failed_ms, now_ms);
    json_build_put(build, object, "last_connect_error",
                   server->connect_failures == 0 ? json_null()
                                                 : json_string(err_word(server->connect_err)));
    json_build_put(build, object, "check", check_as_json(build, &server->health, now_ms));
    return object;
}

static void put_servers(struct json_build *build, json_t *object,
                        const struct route_upstream_info *state, uint64_t now_ms)
{
    json_t *servers = json_build_array(build);
    for (size_t i = 0; i < state->server_count; i++)
        json_build_push(build, servers, server_as_json(build, &state->servers[i], now_ms));
    json_build_put(build, object, "servers", servers);
    json_build_u64(build, object, "servers_hidden", state->hidden_count);
}

static void put_sources(struct json_build *build, json_t *object,
                        const struct server_upstream_info *info)
{
    json_t *sources = json_build_array(build);
    for (size_t i = 0; i < info->source_count; i++) {
        const struct server_source_use *use = &info->sources[i];
        char text[ADDR_TEXT_MAX];
        json_t *source = json_build_object(build);
        json_build_put(build, source, "addr",
                       use->source.family == ADDR_NONE
                           ? json_null() /* the system chooses */
                           : json_string(addr_format_ip(&use->source, text)));
        json_build_u64(build, source, "ports_used", use->used);
        put_limit(build, source, "ports_max", use->limit);
        json_build_push(build, sources, source);
    }
    json_build_put(build, object, "sources", sources);
}

static void put_resolution(struct json_build *build, json_t *object,
                           const struct server_upstream_info *info, uint64_t now_ms)
{
    json_build_bool(build, object, "is_name", info->is_name);
    put_age(build, object, "resolved_age_ms", info->resolved_ms, now_ms);
    json_build_u64(build, object, "resolve_failures_total", info->resolve_failures_total);
    json_build_put(build, object, "resolve_error",
                   info->resolve_why[0] == '\0' ? json_null() : json_string(info->resolve_why));
}

json_t *upstream_as_json(struct json_build *build, const char *route,
                         const struct server_upstream_info *info, uint64_t now_ms)
{
    const struct route_upstream_info *state = &info->state;
    json_t *object = json_build_object(build);
    json_build_text(build, object, "route", route);
    json_build_text(build, object, "upstream", info->conf->name);
    json_build_text(build, object, "state", state_words[state->state]);
    json_build_u64(build, object, "state_age_ms", upstream_elapsed_ms(state->since_ms, now_ms));
    json_build_bool(build, object, "usable", state->usable);
    json_build_text(build, object, "admin", admin_word(state->admin));
    json_build_put(build, object, "drain", drain_as_json(build, &info->drain));
    json_build_bool(build, object, "backup", info->conf->backup);
    json_build_u64(build, object, "weight", state->weight);
    json_build_u64(build, object, "weight_percent", state->weight_percent);
    put_limit(build, object, "sessions_max", state->sessions_max);
    put_resolution(build, object, info, now_ms);
    put_servers(build, object, state, now_ms);
    put_sources(build, object, info);
    totals_put_json(build, object, &info->totals);
    return object;
}
