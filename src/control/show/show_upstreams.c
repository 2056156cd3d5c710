/* `show upstreams`: how each of them is and why, and what it carries. */
#include <inttypes.h>
#include <string.h>

#include "base/addr.h"
#include "config/conf.h"
#include "control/command/grid.h"
#include "control/command/json_build.h"
#include "control/command/units.h"
#include "control/show/show.h"
#include "control/show/upstream_json.h"
#include "control/show/upstream_text.h"
#include "os/os.h"
#include "relay/server_info.h"

/* The upstreams to show: those of routes[first..end). */
struct choice {
    const struct server_route_info *routes;
    size_t first, end;
    uint64_t now_ms;
};

/* ---- cells ---- */

static void add_empty(struct grid *grid, size_t count)
{
    for (size_t i = 0; i < count; i++)
        grid_cell(grid, "%s", "");
}

/* The state in three cells: word, reason, age. */
static void add_state(struct grid *grid, const char *word, struct str *why, uint64_t age_ms)
{
    char human[STR_HUMAN_MAX];
    grid_cell(grid, "%s", word);
    grid_cell(grid, "%s", why->len == 0 ? "-" : why->data);
    grid_cell(grid, "%s", str_human_duration(age_ms, human));
    grid->cells.failed |= why->failed;
    str_free(why);
}

/* Health checks in two cells: how many, how many failed. */
static void add_checks(struct grid *grid, const struct route_server_info *server)
{
    if (server == NULL) {
        add_empty(grid, 2);
    } else if (!server->health.checked) {
        grid_cell(grid, "-");
        grid_cell(grid, "-");
    } else {
        grid_cell(grid, "%" PRIu64, server->health.checks_total);
        grid_cell(grid, "%" PRIu64, server->health.failures_total);
    }
}

static void add_weight(struct grid *grid, const struct route_upstream_info *state)
{
    if (state->weight_percent < 100)
        grid_cell(grid, "%" PRIu32 " at %" PRIu32 "%%", state->weight, state->weight_percent);
    else
        grid_cell(grid, "%" PRIu32, state->weight);
}

static void add_sessions(struct grid *grid, const struct route_upstream_info *state,
                         const struct server_totals *totals)
{
    grid_cell(grid, "%" PRIu32, state->sessions);
    grid_cell(grid, "%" PRIu32, state->sessions_peak);
    if (state->sessions_max == 0)
        grid_cell(grid, "-");
    else
        grid_cell(grid, "%" PRIu32, state->sessions_max);
    grid_cell(grid, "%" PRIu64, totals->sums.counters[STAT_SESSIONS]);
    grid_cell(grid, "%" PRIu64, totals->sums.counters[STAT_CONNECT_FAILURES]);
}

static void add_speed(struct grid *grid, const struct server_totals *totals)
{
    char human[STR_HUMAN_MAX];
    grid_cell(grid, "%s", units_us(totals->connect_us.p50, human));
    grid_cell(grid, "%s", units_us(totals->connect_us.p99, human));
    grid_cell(grid, "%s", str_human_rate(totals->rate_10s.bytes_up, human));
    grid_cell(grid, "%s", str_human_rate(totals->rate_10s.bytes_down, human));
}

/* "25000/28232 !": the mark says that they are running out. */
static void add_ports(struct grid *grid, const struct server_upstream_info *info)
{
    const struct server_source_use *source = upstream_busiest_source(info);
    if (source == NULL)
        grid_cell(grid, "-");
    else if (source->limit == 0)
        grid_cell(grid, "%" PRIu32, source->used);
    else
        grid_cell(grid, "%" PRIu32 "/%" PRIu32 "%s", source->used, source->limit,
                  upstream_source_is_busy(source) ? " !" : "");
}

static void add_address(struct grid *grid, const struct server_upstream_info *info)
{
    const struct route_server_info *server = upstream_only_server(info);
    char text[ADDR_TEXT_MAX];
    if (server != NULL)
        grid_cell(grid, "%s", addr_format(&server->addr, text));
    else if (info->state.server_count == 0)
        grid_cell(grid, "-");
    else
        grid_cell(grid, "%zu addresses", info->state.server_count + info->state.hidden_count);
}

/* ---- rows ---- */

static const struct grid_column columns[] = {
    {"ROUTE", false, 0}, {"UPSTREAM", false, 0}, {"STATE", false, 0},  {"WHY", false, 15},
    {"SINCE", true, 14}, {"WEIGHT", true, 12},   {"OPEN", true, 0},    {"PEAK", true, 2},
    {"MAX", true, 7},    {"TOTAL", true, 5},     {"FAILED", true, 11}, {"P50", true, 10},
    {"P99", true, 13},   {"UP/S", true, 8},      {"DOWN/S", true, 9},  {"CHECKS", true, 3},
    {"BAD", true, 6},    {"PORTS", true, 4},     {"ADDRESS", false, 1}};

#define COLUMN_COUNT (sizeof columns / sizeof columns[0])
#define COLUMN_WHY   3

static void add_upstream_row(struct grid *grid, const char *route,
                             const struct server_upstream_info *info, uint64_t now_ms)
{
    struct str why;
    str_init(&why);
    upstream_add_why(info, now_ms, &why);
    grid_cell(grid, "%s", route);
    grid_cell(grid, "%s", info->conf->name);
    add_state(grid, upstream_word(info), &why, upstream_age_ms(info, now_ms));
    add_weight(grid, &info->state);
    add_sessions(grid, &info->state, &info->totals);
    add_speed(grid, &info->totals);
    add_checks(grid, upstream_only_server(info));
    add_ports(grid, info);
    add_address(grid, info);
}

/* One of several servers, below its upstream; what only the upstream has stays empty. */
static void add_server_row(struct grid *grid, const struct route_server_info *server,
                           uint64_t now_ms)
{
    char text[ADDR_TEXT_MAX];
    struct str why;
    str_init(&why);
    upstream_add_server_why(server, now_ms, &why);
    add_empty(grid, 1);
    grid_cell(grid, "  %s", addr_format(&server->addr, text));
    add_state(grid, server->word, &why, upstream_elapsed_ms(server->since_ms, now_ms));
    add_empty(grid, 1);
    grid_cell(grid, "%" PRIu32, server->sessions);
    add_empty(grid, 8);
    add_checks(grid, server);
    grid_end_row(grid);
}

static void add_rows(struct grid *grid, const struct choice *choice, size_t r, size_t u)
{
    const struct server_route_info *route = &choice->routes[r];
    const struct server_upstream_info *info = &route->upstreams[u];
    bool first = true;
    for (size_t i = 0; i < u; i++)
        first = first && !upstream_is_shown(&route->upstreams[i]);
    if (!upstream_is_shown(info))
        return;
    add_upstream_row(grid, first ? route->conf->name : "", info, choice->now_ms);
    if (upstream_only_server(info) != NULL)
        return;
    for (size_t i = 0; i < info->state.server_count; i++)
        add_server_row(grid, &info->state.servers[i], choice->now_ms);
    if (info->state.hidden_count > 0) {
        add_empty(grid, 1);
        grid_cell(grid, "  and %zu more", info->state.hidden_count);
        grid_end_row(grid);
    }
}

/* ---- below the table ---- */

/* "lobby/game.example:7000, 10.0.0.9:7000: " */
static void add_subject(const struct server_route_info *route,
                        const struct server_upstream_info *info,
                        const struct route_server_info *server, struct str *out)
{
    char text[ADDR_TEXT_MAX];
    str_addf(out, "%s/%s", route->conf->name, info->conf->name);
    if (server != NULL)
        str_addf(out, ", %s", addr_format(&server->addr, text));
    str_add(out, ": ");
}

/* `server` may be NULL. */
static bool is_well(const char *word, const struct route_server_info *server)
{
    return strcmp(word, "UP") == 0 && (server == NULL || !upstream_connects_fail(server));
}

/* Why an upstream, or one of its addresses, is not simply up: where the table has no room. */
static void add_reasons(const struct server_route_info *route,
                        const struct server_upstream_info *info, uint64_t now_ms,
                        struct str *out)
{
    if (!is_well(upstream_word(info), upstream_only_server(info)) ||
        info->resolve_why[0] != '\0') {
        add_subject(route, info, NULL, out);
        upstream_add_why(info, now_ms, out);
        str_add_char(out, '\n');
    }
    if (upstream_only_server(info) != NULL)
        return;
    for (size_t i = 0; i < info->state.server_count; i++) {
        const struct route_server_info *server = &info->state.servers[i];
        if (is_well(server->word, server))
            continue;
        add_subject(route, info, server, out);
        upstream_add_server_why(server, now_ms, out);
        str_add_char(out, '\n');
    }
}

/* Running out of ports ends in sessions that cannot be connected, so it is said in words, too. */
static void add_port_notes(const struct server_route_info *route,
                           const struct server_upstream_info *info, struct str *out)
{
    for (size_t i = 0; i < info->source_count; i++) {
        const struct server_source_use *source = &info->sources[i];
        char text[ADDR_TEXT_MAX];
        if (!upstream_source_is_busy(source))
            continue;
        add_subject(route, info, NULL, out);
        str_addf(out, "%" PRIu32 " of %" PRIu32 " local ports", source->used, source->limit);
        if (source->source.family != ADDR_NONE)
            str_addf(out, " of %s", addr_format_ip(&source->source, text));
        str_add(out, " are in use; each further address in `source` gives as many again\n");
    }
}

static void as_text(const struct choice *choice, unsigned width, struct str *out)
{
    struct grid_column layout[COLUMN_COUNT];
    memcpy(layout, columns, sizeof layout);
    struct grid grid;
    grid_init(&grid, layout, COLUMN_COUNT);
    for (size_t r = choice->first; r < choice->end; r++) {
        for (size_t u = 0; u < choice->routes[r].upstream_count; u++)
            add_rows(&grid, choice, r, u);
    }
    /* Reasons so long that they would push out all the rest stand below the table instead. */
    bool reasons_shown = grid_shows(&grid, width, COLUMN_WHY);
    if (!reasons_shown)
        layout[COLUMN_WHY].rank = 1;
    grid_print(&grid, width, out);
    grid_free(&grid);
    for (size_t r = choice->first; r < choice->end; r++) {
        const struct server_route_info *route = &choice->routes[r];
        for (size_t u = 0; u < route->upstream_count; u++) {
            if (!upstream_is_shown(&route->upstreams[u]))
                continue;
            if (!reasons_shown)
                add_reasons(route, &route->upstreams[u], choice->now_ms, out);
            add_port_notes(route, &route->upstreams[u], out);
        }
    }
}

static void as_json(const struct choice *choice, struct str *out)
{
    struct json_build build = {false};
    json_t *root = json_build_object(&build);
    json_t *array = json_build_array(&build);
    for (size_t r = choice->first; r < choice->end; r++) {
        const struct server_route_info *route = &choice->routes[r];
        for (size_t u = 0; u < route->upstream_count; u++)
            if (upstream_is_shown(&route->upstreams[u]))
                json_build_push(&build, array,
                                upstream_as_json(&build, route->conf->name,
                                                 &route->upstreams[u], choice->now_ms));
    }
    json_build_put(&build, root, "upstreams", array);
    json_build_write(&build, root, out);
}

void command_show_upstreams(struct command_session *session, const struct command_args *args,
                            struct command_result *result)
{
    struct server_route_info *routes;
    size_t count;
    if (!command_get_routes(session, &routes, &count, result))
        return;
    bool one = args->route != SIZE_MAX;
    const struct choice choice = {.routes = routes,
                                  .first = one ? args->route : 0,
                                  .end = one ? args->route + 1 : count,
                                  .now_ms = os_mono_ms()};
    if (args->json)
        as_json(&choice, &result->text);
    else
        as_text(&choice, session->columns, &result->text);
    server_free_routes(routes, count);
}
