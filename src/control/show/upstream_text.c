#include "control/show/upstream_text.h"

#include <inttypes.h>
#include <stddef.h>

#include "control/command/units.h"
#include "control/show/drain_text.h"
#include "relay/server_info.h"

uint64_t upstream_elapsed_ms(uint64_t then, uint64_t now_ms)
{
    return now_ms > then ? now_ms - then : 0;
}

const struct route_server_info *upstream_only_server(const struct server_upstream_info *info)
{
    bool one = info->state.server_count == 1 && info->state.hidden_count == 0;
    return one ? &info->state.servers[0] : NULL;
}

/* True for the states that an upstream has from its servers. */
static bool comes_from_servers(enum route_state state)
{
    switch (state) {
    case ROUTE_UP:
    case ROUTE_DOWN:
    case ROUTE_EJECTED: return true;
    case ROUTE_INIT:
    case ROUTE_UNRESOLVED:
    case ROUTE_DRAINING:
    case ROUTE_MAINT:
    case ROUTE_FULL:
    case ROUTE_NEW:
    case ROUTE_GONE: break;
    }
    return false;
}

/* The only server where it says more of the upstream's state than that itself. */
static const struct route_server_info *speaker(const struct server_upstream_info *info)
{
    return comes_from_servers(info->state.state) ? upstream_only_server(info) : NULL;
}

bool upstream_is_shown(const struct server_upstream_info *info)
{
    return !info->conf->removed || info->state.sessions > 0;
}

const char *upstream_word(const struct server_upstream_info *info)
{
    const struct route_server_info *server = speaker(info);
    return server == NULL ? info->state.word : server->word;
}

uint64_t upstream_age_ms(const struct server_upstream_info *info, uint64_t now_ms)
{
    const struct route_server_info *server = speaker(info);
    return upstream_elapsed_ms(server == NULL ? info->state.since_ms : server->since_ms,
                               now_ms);
}

/* ---- why ---- */

/* Begins a further reason behind those that `out` has got from `start` on. */
static void separate(struct str *out, size_t start)
{
    if (out->len > start)
        str_add(out, "; ");
}

static void add_check(const struct health_info *health, struct str *out)
{
    char human[STR_HUMAN_MAX];
    str_addf(out, "%s ", health_code_word(health->code));
    if (health_code_passes(health->code))
        str_addf(out, "in %s", units_us(health->duration_us, human));
    else if (health->err != ERR_OK)
        str_add(out, err_text(health->err));
    else
        str_add(out, health_code_text(health->code));
}

/* "timed out" */
static void add_short_error(enum err err, struct str *out)
{
    for (const char *at = err_word(err); *at != '\0'; at++)
        str_add_char(out, *at == '_' ? ' ' : *at);
}

/* What sessions met there: all that is known of a server without checks. */
static void add_connects(const struct route_server_info *server, uint64_t now_ms, size_t start,
                         struct str *out)
{
    char human[STR_HUMAN_MAX];
    separate(out, start);
    if (!server->health.checked)
        str_add(out, "not checked; ");
    str_addf(out, "last connect failed %s ago: ",
             str_human_duration(upstream_elapsed_ms(server->connect_failed_ms, now_ms), human));
    add_short_error(server->connect_err, out);
    str_addf(out, ", %" PRIu32 " in a row", server->connect_failures);
}

bool upstream_connects_fail(const struct route_server_info *server)
{
    return server->connect_failures > 0 && !server->gone && server->state != ROUTE_DOWN;
}

void upstream_add_server_why(const struct route_server_info *server, uint64_t now_ms,
                             struct str *out)
{
    size_t start = out->len;
    char human[STR_HUMAN_MAX];
    if (server->gone) {
        str_add(out, "no longer an address of the name");
        return; /* and no longer checked */
    }
    if (server->state == ROUTE_EJECTED)
        str_addf(
            out, "%s left",
            str_human_duration(upstream_elapsed_ms(now_ms, server->ejected_until_ms), human));
    if (server->health.checked) {
        separate(out, start);
        add_check(&server->health, out);
    }
    if (upstream_connects_fail(server))
        add_connects(server, now_ms, start, out);
}

static void add_admin(const struct server_upstream_info *info, size_t start, struct str *out)
{
    const struct route_upstream_info *state = &info->state;
    if (info->drain.on)
        drain_add_state(&info->drain, out);
    if (state->admin != ROUTE_READY) {
        separate(out, start);
        str_add(out, "until it is enabled");
    }
    if (state->state == ROUTE_DRAINING && state->weight == 0) {
        separate(out, start);
        str_add(out, "weight is 0");
    }
    if (state->state == ROUTE_FULL)
        str_addf(out, "at its max_sessions of %" PRIu32, state->sessions_max);
}

/* "1 of 2 addresses up" */
static void add_count(const struct route_upstream_info *state, size_t start, struct str *out)
{
    size_t up = 0, all = 0;
    for (size_t i = 0; i < state->server_count; i++) {
        all += !state->servers[i].gone;
        up += state->servers[i].state == ROUTE_UP;
    }
    separate(out, start);
    str_addf(out, "%zu of %zu addresses up", up, all);
}

static void add_resolution(const struct server_upstream_info *info, uint64_t now_ms,
                           size_t start, struct str *out)
{
    char human[STR_HUMAN_MAX];
    if (info->resolve_why[0] != '\0') {
        separate(out, start);
        str_addf(out, "name not resolved: %s", info->resolve_why);
        if (info->resolved_ms != 0)
            str_addf(out, ", last %s ago",
                     str_human_duration(upstream_elapsed_ms(info->resolved_ms, now_ms), human));
    } else if (info->is_name && info->resolved_ms == 0 && info->state.server_count == 0) {
        separate(out, start);
        str_add(out, "name is being resolved");
    }
}

void upstream_add_why(const struct server_upstream_info *info, uint64_t now_ms, struct str *out)
{
    size_t start = out->len;
    const struct route_upstream_info *state = &info->state;
    add_admin(info, start, out);
    if (info->conf->backup && state->state == ROUTE_UP && !state->usable) {
        separate(out, start);
        str_add(out, "backup, not in use");
    }
    const struct route_server_info *server = upstream_only_server(info);
    if (server == NULL && state->server_count > 0) {
        add_count(state, start, out);
    } else if (server != NULL && (server->gone || server->state == ROUTE_EJECTED ||
                                  server->health.checked || upstream_connects_fail(server))) {
        separate(out, start);
        upstream_add_server_why(server, now_ms, out);
    }
    add_resolution(info, now_ms, start, out);
}

/* ---- ports ---- */

bool upstream_source_is_busy(const struct server_source_use *source)
{
    return source->limit > 0 && (uint64_t)source->used * 5 >= (uint64_t)source->limit * 4;
}

/* Where the limit is unknown it may be anything: such a source counts as nearly empty. */
static uint64_t limit_of(const struct server_source_use *source)
{
    return source->limit == 0 ? UINT32_MAX : source->limit;
}

const struct server_source_use *upstream_busiest_source(const struct server_upstream_info *info)
{
    const struct server_source_use *busiest = NULL;
    for (size_t i = 0; i < info->source_count; i++) {
        const struct server_source_use *source = &info->sources[i];
        if (busiest == NULL ||
            source->used * limit_of(busiest) > busiest->used * limit_of(source))
            busiest = source;
    }
    return busiest;
}
