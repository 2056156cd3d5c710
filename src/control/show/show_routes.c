/* `show routes`: where they listen, and how much they carry. */
#include <inttypes.h>
#include <stdlib.h>

#include "base/addr.h"
#include "config/conf.h"
#include "control/command/grid.h"
#include "control/command/json_build.h"
#include "control/command/units.h"
#include "control/show/drain_text.h"
#include "control/show/show.h"
#include "control/show/totals.h"
#include "relay/server_info.h"

bool command_get_routes(const struct command_session *session,
                        struct server_route_info **routes, size_t *count,
                        struct command_result *result)
{
    enum err err = server_get_routes(session->console->server, routes, count);
    if (err != ERR_OK)
        command_fail(result, "the routes could not be read: %s", err_text(err));
    return err == ERR_OK;
}

#define LISTENER_TEXT_MAX (ADDR_TEXT_MAX + 6)

/* "10.0.0.1:7777", "*:7000-7015". */
static const char *listener_text(const struct server_listener_info *listener,
                                 char text[LISTENER_TEXT_MAX])
{
    unsigned first = listener->addr.port;
    char addr[ADDR_TEXT_MAX];
    if (listener->dual_stack)
        str_format(addr, sizeof addr, "*:%u", first);
    else
        addr_format(&listener->addr, addr);
    if (listener->port_count > 1)
        str_format(text, LISTENER_TEXT_MAX, "%s-%u", addr, first + listener->port_count - 1);
    else
        str_format(text, LISTENER_TEXT_MAX, "%s", addr);
    return text;
}

/* The operator's hand on the route before what its listener does. */
static const char *state_word(const struct server_route_info *route,
                              const struct server_listener_info *listener)
{
    if (route->drain.on)
        return "DRAIN";
    if (route->paused)
        return route->frozen ? "FROZEN" : "PAUSED";
    if (listener->starved)
        return "starved";
    return route->ramps ? "ramps" : "listens";
}

static void add_sums(const struct server_totals *totals, uint32_t held, uint32_t max,
                     struct grid *grid)
{
    char human[STR_HUMAN_MAX];
    grid_cell(grid, "%" PRIu32, totals->sessions_open);
    grid_cell(grid, "%" PRIu32, held);
    grid_cell(grid, "%" PRIu32, totals->sessions_peak);
    grid_cell(grid, "%" PRIu32, max);
    grid_cell(grid, "%" PRIu64, totals->sums.counters[STAT_SESSIONS]);
    grid_cell(grid, "%" PRIu64, totals_refused(totals));
    grid_cell(grid, "%s", str_human_rate(totals->rate_10s.bytes_up, human));
    grid_cell(grid, "%s", str_human_rate(totals->rate_10s.bytes_down, human));
}

static void add_route_row(const struct server_route_info *route, struct grid *grid)
{
    char text[LISTENER_TEXT_MAX];
    for (size_t i = 0; i < route->listener_count; i++) {
        const struct server_listener_info *listener = &route->listeners[i];
        grid_cell(grid, "%s", i == 0 ? route->conf->name : "");
        grid_cell(grid, "%s", listener_text(listener, text));
        grid_cell(grid, "%s", state_word(route, listener));
        if (i > 0) {
            grid_end_row(grid);
            continue;
        }
        grid_cell(grid, "%zu", route->upstream_count);
        add_sums(&route->totals, route->held, route->conf->max_sessions, grid);
    }
}

static void add_removed_row(const struct server_removed_info *removed, struct grid *grid)
{
    grid_cell(grid, "%s", removed->conf->name);
    grid_cell(grid, "-");
    grid_cell(grid, "GONE"); /* as a removed upstream is */
    grid_cell(grid, "-");
    add_sums(&removed->totals, removed->held, removed->conf->max_sessions, grid);
}

/* What an operator does to the route right now, in words, below the table. */
static void add_notes(const struct server_route_info *route, struct str *out)
{
    const struct conf_route *conf = route->conf;
    char human[STR_HUMAN_MAX], exact[STR_HUMAN_MAX];
    if (route->paused)
        str_addf(out,
                 "%s: paused for %s by %s%s; %" PRIu32 " of %" PRIu32
                 " clients wait, each for %s at most\n",
                 conf->name, str_human_duration(route->paused_ms, human), route->paused_by,
                 route->frozen ? ", its sessions are frozen" : "", route->held, route->held_max,
                 str_exact_duration(conf->pause_timeout_ms, exact));
    if (route->ramps && route->held > 0)
        str_addf(out, "%s: clients are let in at its admission_ramp; %" PRIu32 " wait\n",
                 conf->name, route->held);
    if (route->drain.on) {
        str_addf(out, "%s: drained, ", conf->name);
        drain_add_state(&route->drain, out);
        str_addf(out, "; new clients are refused until `resume %s`\n", conf->name);
    }
}

struct shown {
    struct server_route_info *routes;
    size_t count;
    struct server_removed_info *removed;
    size_t removed_count;
};

static void routes_as_text(const struct shown *shown, unsigned columns, struct str *out)
{
    static const struct grid_column layout[] = {
        {"ROUTE", false, 0}, {"LISTEN", false, 0}, {"STATE", false, 4}, {"UPSTREAMS", true, 1},
        {"OPEN", true, 0},   {"HELD", true, 5},    {"PEAK", true, 3},   {"MAX", true, 2},
        {"TOTAL", true, 6},  {"REFUSED", true, 7}, {"UP/S", true, 8},   {"DOWN/S", true, 9}};
    struct grid grid;
    grid_init(&grid, layout, sizeof layout / sizeof layout[0]);
    for (size_t i = 0; i < shown->count; i++)
        add_route_row(&shown->routes[i], &grid);
    for (size_t i = 0; i < shown->removed_count; i++)
        add_removed_row(&shown->removed[i], &grid);
    grid_print(&grid, columns, out);
    grid_free(&grid);
    for (size_t i = 0; i < shown->count; i++)
        add_notes(&shown->routes[i], out);
    for (size_t i = 0; i < shown->removed_count; i++) {
        uint32_t open = shown->removed[i].totals.sessions_open;
        str_addf(out, "%s: removed from the configuration; %" PRIu32 " session%s open\n",
                 shown->removed[i].conf->name, open, open == 1 ? " is" : "s are");
    }
}

static json_t *route_as_json(struct json_build *build, const struct server_route_info *route)
{
    json_t *object = json_build_object(build);
    json_build_text(build, object, "route", route->conf->name);
    json_build_u64(build, object, "sessions_max", route->conf->max_sessions);
    json_build_bool(build, object, "paused", route->paused);
    json_build_bool(build, object, "frozen", route->frozen);
    json_build_u64(build, object, "paused_ms", route->paused ? route->paused_ms : UINT64_MAX);
    json_build_put(build, object, "paused_by",
                   route->paused ? json_string(route->paused_by) : json_null());
    json_build_bool(build, object, "ramps", route->ramps);
    json_build_put(build, object, "drain", drain_as_json(build, &route->drain));
    json_build_u64(build, object, "predecessor_sessions_open", 0); /* added later */
    json_build_u64(build, object, "headers_awaited", route->headers);
    json_build_u64(build, object, "headers_awaited_max", route->headers_max);
    json_build_u64(build, object, "held", route->held);
    json_build_u64(build, object, "held_left", route->held_left);
    json_build_u64(build, object, "held_max", route->held_max);
    json_build_u64(build, object, "held_max_per_client", route->conf->queue_max_per_client);
    json_build_u64(build, object, "held_peak", route->held_peak);
    json_build_u64(build, object, "held_total", route->held_total);
    json_t *listeners = json_build_array(build);
    for (size_t i = 0; i < route->listener_count; i++) {
        const struct server_listener_info *info = &route->listeners[i];
        json_t *listener = json_build_object(build);
        json_build_addr(build, listener, "addr", &info->addr);
        json_build_u64(build, listener, "port_count", info->port_count);
        json_build_bool(build, listener, "dual_stack", info->dual_stack);
        json_build_bool(build, listener, "starved", info->starved);
        json_build_push(build, listeners, listener);
    }
    json_build_put(build, object, "listeners", listeners);
    json_t *upstreams = json_build_array(build);
    for (size_t i = 0; i < route->upstream_count; i++)
        if (!route->upstreams[i].conf->removed)
            json_build_push(build, upstreams, json_string(route->upstreams[i].conf->name));
    json_build_put(build, object, "upstreams", upstreams);
    totals_put_json(build, object, &route->totals);
    return object;
}

static void routes_as_json(const struct shown *shown, struct str *out)
{
    struct json_build build = {false};
    json_t *root = json_build_object(&build);
    json_t *array = json_build_array(&build);
    for (size_t i = 0; i < shown->count; i++)
        json_build_push(&build, array, route_as_json(&build, &shown->routes[i]));
    json_build_put(&build, root, "routes", array);
    array = json_build_array(&build);
    for (size_t i = 0; i < shown->removed_count; i++) {
        json_t *object = json_build_object(&build);
        json_build_text(&build, object, "route", shown->removed[i].conf->name);
        totals_put_json(&build, object, &shown->removed[i].totals);
        json_build_push(&build, array, object);
    }
    json_build_put(&build, root, "removed_routes", array);
    json_build_write(&build, root, out);
}

void command_show_routes(struct command_session *session, const struct command_args *args,
                         struct command_result *result)
{
    struct shown shown;
    if (!command_get_routes(session, &shown.routes, &shown.count, result))
        return;
    enum err err =
        server_get_removed(session->console->server, &shown.removed, &shown.removed_count);
    if (err != ERR_OK) {
        command_fail(result, "the routes could not be read: %s", err_text(err));
    } else {
        if (args->json)
            routes_as_json(&shown, &result->text);
        else
            routes_as_text(&shown, session->columns, &result->text);
        free(shown.removed);
    }
    server_free_routes(shown.routes, shown.count);
}
