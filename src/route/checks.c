/* checks.c - whose health is to be checked, and what came of it. */
#include "base/str.h"
#include "route/route_private.h"

static bool take_check_of(struct upstream *upstream, uint64_t now_ms, struct route_server **out,
                          uint64_t *next_ms)
{
    if (upstream->admin == ROUTE_DISABLED || upstream->conf->removed)
        return false;
    FOR_EACH_SERVER (server, upstream) {
        if (health_take(&server->health, now_ms)) {
            *out = server;
            return true;
        }
        if (!server->health.running && server->health.due_ms < *next_ms)
            *next_ms = server->health.due_ms;
    }
    return false;
}

static void describe_check(const struct route *route, const struct route_server *server,
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
        struct route_server *server;
        if (!take_check_of(&route->upstreams[index], route->now_ms, &server, next_ms))
            continue;
        route->check_next = index + 1;
        *next_ms = route->now_ms;
        describe_check(route, server, out);
        return true;
    }
    return false;
}

/* What a result came to. */
enum turn { TURN_FIRST, TURN_COUNTED, TURN_UNEJECTED };

/* "L4CON the connection was refused (fall 3)" */
static void describe_result(const struct health_result *result, enum turn turn,
                            const struct conf_health *conf, char *cause, size_t size)
{
    const char *code = health_code_word(result->code);
    const char *text =
        result->err != ERR_OK ? err_text(result->err) : health_code_text(result->code);
    bool passed = health_code_passes(result->code);
    switch (turn) {
    case TURN_FIRST: str_format(cause, size, "%s %s (first check)", code, text); break;
    case TURN_COUNTED:
        str_format(cause, size, "%s %s (%s %u)", code, text, passed ? "rise" : "fall",
                   passed ? conf->rise : conf->fall);
        break;
    case TURN_UNEJECTED: str_format(cause, size, "%s %s (check passed)", code, text); break;
    }
}

void route_check_done(struct route *route, const struct route_check *check,
                      const struct health_result *result, uint64_t now_ms)
{
    route_see_time(route, now_ms);
    struct route_server *server = route_server_at(route, check->upstream, check->server);
    if (server == NULL || server->generation != check->generation)
        return;

    enum turn turn = server->health.decided ? TURN_COUNTED : TURN_FIRST;
    bool changed = health_done(&server->health, result, route->now_ms);
    /* A check saw it for itself; what sessions met may have been their fault. */
    bool unejected = server->ejected_until_ms != 0 && health_code_passes(result->code);
    if (!changed && !unejected)
        return;
    if (!changed)
        turn = TURN_UNEJECTED;
    if (unejected)
        server->ejected_until_ms = 0;
    char cause[sizeof((struct route_change *)NULL)->cause];
    describe_result(result, turn, &route->conf->health, cause, sizeof cause);
    state_update_server(route, server, cause);
    ready_refresh(route);
}
