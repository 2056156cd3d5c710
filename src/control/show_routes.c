/* `show routes` and `show upstreams`. */
#include <inttypes.h>

#include "base/addr.h"
#include "config/conf.h"
#include "control/command_table.h"
#include "control/grid.h"
#include "control/json_build.h"
#include "control/totals.h"
#include "control/units.h"

static bool get_routes(struct command_session *session, struct server_route_info **routes,
                       size_t *count, struct command_result *result)
{
    enum err err = server_get_routes(session->console->server, routes, count);
    if (err != ERR_OK)
        command_fail(result, "the routes could not be read: %s", err_text(err));
    return err == ERR_OK;
}

static void write_table(struct grid *grid, unsigned columns, struct str *out)
{
    struct str dropped;
    str_init(&dropped);
    grid_write(grid, 0, columns, out, &dropped);
    if (dropped.len > 0)
        str_addf(out, "left out at %u columns: %s\n", columns, dropped.data);
    str_free(&dropped);
    grid_free(grid);
}

/* ---- show routes ---- */

static const char *listener_text(const struct server_listener_info *listener,
                                 char text[ADDR_TEXT_MAX])
{
    if (!listener->dual_stack)
        return addr_format(&listener->addr, text);
    str_format(text, ADDR_TEXT_MAX, "*:%u", (unsigned)listener->addr.port);
    return text;
}

static void add_route_row(const struct server_route_info *route, struct grid *grid)
{
    char text[ADDR_TEXT_MAX], human[STR_HUMAN_MAX];
    const struct server_totals *totals = &route->totals;
    for (size_t i = 0; i < route->listener_count; i++) {
        const struct server_listener_info *listener = &route->listeners[i];
        grid_cell(grid, "%s", i == 0 ? route->conf->name : "");
        grid_cell(grid, "%s", listener_text(listener, text));
        grid_cell(grid, "%s", listener->starved ? "starved" : "listens");
        if (i > 0) {
            grid_end_row(grid);
            continue;
        }
        grid_cell(grid, "%zu", route->upstream_count);
        grid_cell(grid, "%" PRIu32, totals->sessions_open);
        grid_cell(grid, "%" PRIu32, totals->sessions_peak);
        grid_cell(grid, "%" PRIu32, route->conf->max_sessions);
        grid_cell(grid, "%" PRIu64, totals->sums.counters[STAT_SESSIONS]);
        grid_cell(grid, "%" PRIu64, totals_refused(totals));
        grid_cell(grid, "%s", str_human_rate(totals->rate_10s.bytes_up, human));
        grid_cell(grid, "%s", str_human_rate(totals->rate_10s.bytes_down, human));
    }
}

static void routes_as_text(const struct server_route_info *routes, size_t count,
                           unsigned columns, struct str *out)
{
    static const struct grid_column layout[] = {
        {"ROUTE", false, 0},  {"LISTEN", false, 0}, {"STATE", false, 4}, {"UPSTREAMS", true, 1},
        {"OPEN", true, 0},    {"PEAK", true, 3},    {"MAX", true, 2},    {"TOTAL", true, 5},
        {"REFUSED", true, 6}, {"UP/S", true, 7},    {"DOWN/S", true, 8}};
    struct grid grid;
    grid_init(&grid, layout, sizeof layout / sizeof layout[0]);
    for (size_t i = 0; i < count; i++)
        add_route_row(&routes[i], &grid);
    write_table(&grid, columns, out);
}

static json_t *route_as_json(struct json_build *build, const struct server_route_info *route)
{
    json_t *object = json_build_object(build);
    json_build_text(build, object, "route", route->conf->name);
    json_build_u64(build, object, "sessions_max", route->conf->max_sessions);
    json_t *listeners = json_build_array(build);
    for (size_t i = 0; i < route->listener_count; i++) {
        const struct server_listener_info *info = &route->listeners[i];
        json_t *listener = json_build_object(build);
        json_build_addr(build, listener, "addr", &info->addr);
        json_build_bool(build, listener, "dual_stack", info->dual_stack);
        json_build_bool(build, listener, "starved", info->starved);
        json_build_push(build, listeners, listener);
    }
    json_build_put(build, object, "listeners", listeners);
    json_t *upstreams = json_build_array(build);
    for (size_t i = 0; i < route->upstream_count; i++)
        json_build_push(build, upstreams, json_string(route->upstreams[i].name));
    json_build_put(build, object, "upstreams", upstreams);
    totals_put_json(build, object, &route->totals);
    return object;
}

void command_show_routes(struct command_session *session, const struct command_args *args,
                         struct command_result *result)
{
    struct server_route_info *routes;
    size_t count;
    if (!get_routes(session, &routes, &count, result))
        return;
    if (args->json) {
        struct json_build build = {false};
        json_t *root = json_build_object(&build);
        json_t *array = json_build_array(&build);
        for (size_t i = 0; i < count; i++)
            json_build_push(&build, array, route_as_json(&build, &routes[i]));
        json_build_put(&build, root, "routes", array);
        json_build_write(&build, root, &result->text);
    } else {
        routes_as_text(routes, count, session->columns, &result->text);
    }
    server_free_routes(routes, count);
}

/* ---- show upstreams ---- */

static void add_upstream_rows(const struct server_route_info *route, size_t index,
                              struct grid *grid)
{
    const struct server_upstream_info *upstream = &route->upstreams[index];
    const struct server_totals *totals = &upstream->totals;
    char text[ADDR_TEXT_MAX], human[STR_HUMAN_MAX];
    grid_cell(grid, "%s", index == 0 ? route->conf->name : "");
    grid_cell(grid, "%s", upstream->name);
    grid_cell(grid, "%s",
              upstream->addr_count == 0 ? "-" : addr_format(&upstream->addrs[0], text));
    grid_cell(grid, "%" PRIu32, totals->sessions_open);
    grid_cell(grid, "%" PRIu32, totals->sessions_peak);
    grid_cell(grid, "%" PRIu64, totals->sums.counters[STAT_SESSIONS]);
    grid_cell(grid, "%" PRIu64, totals->sums.counters[STAT_CONNECT_FAILURES]);
    grid_cell(grid, "%s", units_us(totals->connect_us.p50, human));
    grid_cell(grid, "%s", units_us(totals->connect_us.p99, human));
    grid_cell(grid, "%s", str_human_rate(totals->rate_10s.bytes_up, human));
    grid_cell(grid, "%s", str_human_rate(totals->rate_10s.bytes_down, human));
    for (size_t i = 1; i < upstream->addr_count; i++) {
        grid_cell(grid, "%s", "");
        grid_cell(grid, "%s", "");
        grid_cell(grid, "%s", addr_format(&upstream->addrs[i], text));
        grid_end_row(grid);
    }
}

static void upstreams_as_text(const struct server_route_info *routes, size_t first, size_t end,
                              unsigned columns, struct str *out)
{
    static const struct grid_column layout[] = {
        {"ROUTE", false, 0}, {"UPSTREAM", false, 0}, {"ADDRESS", false, 1}, {"OPEN", true, 0},
        {"PEAK", true, 2},   {"TOTAL", true, 6},     {"FAILED", true, 8},   {"P50", true, 5},
        {"P99", true, 7},    {"UP/S", true, 3},      {"DOWN/S", true, 4}};
    struct grid grid;
    grid_init(&grid, layout, sizeof layout / sizeof layout[0]);
    for (size_t r = first; r < end; r++) {
        for (size_t u = 0; u < routes[r].upstream_count; u++)
            add_upstream_rows(&routes[r], u, &grid);
    }
    write_table(&grid, columns, out);
    for (size_t r = first; r < end; r++) {
        for (size_t u = 0; u < routes[r].upstream_count; u++) {
            if (routes[r].upstreams[u].addr_count == 0)
                str_addf(out, "not resolved: %s of route '%s'\n", routes[r].upstreams[u].name,
                         routes[r].conf->name);
        }
    }
}

static json_t *upstream_as_json(struct json_build *build, const struct server_route_info *route,
                                const struct server_upstream_info *upstream)
{
    json_t *object = json_build_object(build);
    json_build_text(build, object, "route", route->conf->name);
    json_build_text(build, object, "upstream", upstream->name);
    json_t *addrs = json_build_array(build);
    for (size_t i = 0; i < upstream->addr_count; i++) {
        char text[ADDR_TEXT_MAX];
        json_build_push(build, addrs, json_string(addr_format(&upstream->addrs[i], text)));
    }
    json_build_put(build, object, "addrs", addrs);
    totals_put_json(build, object, &upstream->totals);
    return object;
}

void command_show_upstreams(struct command_session *session, const struct command_args *args,
                            struct command_result *result)
{
    struct server_route_info *routes;
    size_t count;
    if (!get_routes(session, &routes, &count, result))
        return;
    size_t first = args->route == SIZE_MAX ? 0 : args->route;
    size_t end = args->route == SIZE_MAX ? count : args->route + 1;
    if (args->json) {
        struct json_build build = {false};
        json_t *root = json_build_object(&build);
        json_t *array = json_build_array(&build);
        for (size_t r = first; r < end; r++) {
            for (size_t u = 0; u < routes[r].upstream_count; u++)
                json_build_push(&build, array,
                                upstream_as_json(&build, &routes[r], &routes[r].upstreams[u]));
        }
        json_build_put(&build, root, "upstreams", array);
        json_build_write(&build, root, &result->text);
    } else {
        upstreams_as_text(routes, first, end, session->columns, &result->text);
    }
    server_free_routes(routes, count);
}
