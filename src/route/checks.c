/* checks.c - whose health is to be checked, and what came of it. */
#include "base/str.h"
#include "route/route_private.h"

static bool take_check_of(struct upstream *upstream, uint64_t now_ms, struct server **out,
                          uint64_t *next_ms)
{
    if (upstream->admin == ROUTE_DISABLED || upstream->conf->removed)
        return false;
    FOR_EACH_SERVER(server, upstream)
    {
        if (health_take(&server->health, now_ms)) {
            *out = server;
            return true;
        }
        if (!server->health.running && server->health.due_ms < *next_ms)
            *next_ms = server->health.due_ms;
    }
    return false;
}

static void describe_check(const struct route *route, const struct server *server,
                           struct route_check *out)
{
    *out = (struct route_check){
        .upstream = route_index(route, server->upstream),
        .server = server->slot,
        .generation = server->generation,
        .addr = server->addr,
    };
    if (route->conf->health.port != 0)
        out->addr.port = route->conf->health.port;
}

bool route_take_check(struct route *route, uint64_t now_ms, struct route_check *out,
                      uint64_t *next_ms)
{
    route_see_time(route, now_ms);
    *next_ms = UINT64_MAX;
    for (size_t i = 0; i < route->upstream_count; i++) {
        size_t index = (route->check_next + i) % route->upstream_count;
        struct server *server;
        if (!take_check_of(&route->upstreams[index], route->now_ms, &server, next_ms))
            continue;
        route->check_next = index + 1;
        *next_ms = route->now_ms;
        describe_check(route, server, out);
        return true;
    }
    return false;
}

/* "L4CON the connection was refused (fall 3)" */
static void describe_result(const struct health_result *result, bool first,
                            const struct conf_health *conf, char *cause, size_t size)
{
    const char *code = health_code_word(result->code);
    const char *text =
        result->err != ERR_OK ? err_text(result->err) : health_code_text(result->code);
    bool passed = health_code_passes(result->code);
    if (first)
        str_format(cause, size, "%s %s (first check)", code, text);
    else
        str_format(cause, size, "%s %s (%s %u)", code, text, passed ? "rise" : "fall",
                   passed ? conf->rise : conf->fall);
}

void route_check_done(struct route *route, const struct route_check *check,
                      const struct health_result *result, uint64_t now_ms)
{
    route_see_time(route, now_ms);
    struct server *server = route_server_at(route, check->upstream, check->server);
    if (server == NULL || server->generation != check->generation)
        return;

    bool first = !server->health.decided;
    if (!health_done(&server->health, result, route->now_ms))
        return;
    char cause[sizeof((struct route_change *)NULL)->cause];
    describe_result(result, first, &route->conf->health, cause, sizeof cause);
    state_update_server(route, server, cause);
    ready_refresh(route);
}
