/* changes.c - what happened, until somebody takes it. */
#include <assert.h>

#include "base/str.h"
#include "route/route_private.h"

const char *state_word(enum route_state state)
{
    static const char *const words[] = {
#define X(name, word) word,
        ROUTE_STATE_TABLE(X)
#undef X
    };
    return words[state];
}

void changes_add(struct route *route, const struct change *change, const char *cause)
{
    if (route->changes_count == route->changes_size) {
        route->changes_first = (route->changes_first + 1) % route->changes_size;
        route->changes_count--;
        route->changes_dropped++;
    }
    size_t last = (route->changes_first + route->changes_count++) % route->changes_size;
    const struct route_server *server = change->server;
    struct route_change *out = &route->changes[last];
    *out = (struct route_change){
        .upstream = route_index(route, change->upstream),
        .has_server = server != NULL,
        .server = server != NULL ? server->slot : 0,
        .addr = server != NULL ? server->addr : (struct addr){0},
        .up_before = change->up_before,
        .up = change->up,
        .from_state = change->from,
        .to_state = change->to,
        .from = state_word(change->from),
        .to = state_word(change->to),
        .lasted_ms = change->lasted_ms,
    };
    str_format(out->cause, sizeof out->cause, "%s", cause);
}

void changes_forget(struct route *route, size_t upstream)
{
    size_t kept = 0;
    for (size_t i = 0; i < route->changes_count; i++) {
        size_t from = (route->changes_first + i) % route->changes_size;
        size_t to = (route->changes_first + kept) % route->changes_size;
        if (route->changes[from].upstream == upstream)
            continue;
        if (to != from)
            route->changes[to] = route->changes[from];
        kept++;
    }
    route->changes_count = kept;
}

bool route_take_change(struct route *route, struct route_change *out, uint64_t *dropped)
{
    if (route->changes_count == 0)
        return false;
    *out = route->changes[route->changes_first];
    route->changes_first = (route->changes_first + 1) % route->changes_size;
    route->changes_count--;
    if (dropped != NULL)
        *dropped = route->changes_dropped;
    route->changes_dropped = 0;
    return true;
}
