/* `show sessions`: who is connected, the most interesting first. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "config/conf.h"
#include "control/command/grid.h"
#include "control/command/json_build.h"
#include "control/show/session_json.h"
#include "control/show/show.h"
#include "relay/server.h"
#include "relay/server_info.h"

/* ---- sorting ---- */

static uint64_t sum_bytes(const struct server_session_info *info)
{
    return info->up.bytes + info->down.bytes;
}

static uint64_t sum_rate(const struct server_session_info *info)
{
    return info->up.bytes_per_s + info->down.bytes_per_s;
}

static uint64_t sum_waiting(const struct server_session_info *info)
{
    return (uint64_t)info->up.waiting + info->down.waiting;
}

static int up_order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* What is equal stays in the order of ids, so that a table repeated is the same. */
static int by_id(const void *a, const void *b)
{
    const struct server_session_info *x = a, *y = b;
    return up_order(x->id, y->id);
}

static int by_newest(const void *a, const void *b)
{
    return by_id(b, a);
}

static int then_by_id(int order, const void *a, const void *b)
{
    return order != 0 ? order : by_id(a, b);
}

static int by_rate(const void *a, const void *b)
{
    return then_by_id(up_order(sum_rate(b), sum_rate(a)), a, b);
}

static int by_age(const void *a, const void *b)
{
    const struct server_session_info *x = a, *y = b;
    return then_by_id(up_order(y->age_ms, x->age_ms), a, b);
}

static int by_idle(const void *a, const void *b)
{
    const struct server_session_info *x = a, *y = b;
    return then_by_id(up_order(y->idle_ms, x->idle_ms), a, b);
}

static int by_bytes(const void *a, const void *b)
{
    return then_by_id(up_order(sum_bytes(b), sum_bytes(a)), a, b);
}

static int by_waiting(const void *a, const void *b)
{
    return then_by_id(up_order(sum_waiting(b), sum_waiting(a)), a, b);
}

static int by_client(const void *a, const void *b)
{
    const struct server_session_info *x = a, *y = b;
    int order = (int)x->client.family - (int)y->client.family;
    if (order == 0)
        order = memcmp(x->client.ip, y->client.ip, sizeof x->client.ip);
    if (order == 0)
        order = (int)x->client.port - (int)y->client.port;
    return then_by_id(order, a, b);
}

static int by_route(const void *a, const void *b)
{
    const struct server_session_info *x = a, *y = b;
    int order = up_order(x->route, y->route);
    return then_by_id(order != 0 ? order : up_order(x->upstream, y->upstream), a, b);
}

static int (*const orders[SORT_COUNT])(const void *, const void *) = {
    [SORT_RATE] = by_rate,     [SORT_AGE] = by_age,         [SORT_IDLE] = by_idle,
    [SORT_BYTES] = by_bytes,   [SORT_WAITING] = by_waiting, [SORT_ID] = by_id,
    [SORT_CLIENT] = by_client, [SORT_ROUTE] = by_route,     [SORT_NEWEST] = by_newest,
};

/* ---- text ---- */

/* The slow side and what waits for it: "down 64.0 KB". */
static void add_waiting(const struct server_session_info *info, struct grid *grid)
{
    char human[STR_HUMAN_MAX];
    bool down = info->down.waiting >= info->up.waiting;
    uint32_t waiting = down ? info->down.waiting : info->up.waiting;
    if (waiting == 0)
        grid_cell(grid, "-");
    else
        grid_cell(grid, "%s %s", down ? "down" : "up", str_human_size(waiting, human));
}

/* Only where proxies speak for their clients there is something to show of them. */
static bool any_via(const struct server_session_info *infos, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (infos[i].via.family != ADDR_NONE)
            return true;
    }
    return false;
}

static void add_row(const struct server_session_info *info, const struct conf *conf, bool via,
                    struct grid *grid)
{
    char text[ADDR_TEXT_MAX], human[STR_HUMAN_MAX];
    grid_cell(grid, "%" PRIu64, info->id);
    grid_cell(grid, "%s", session_route_name(info, conf));
    grid_cell(grid, "%s", addr_format(&info->client, text));
    grid_cell(grid, "%s", addr_format(&info->upstream_addr, text));
    grid_cell(grid, "%s", str_human_duration(info->age_ms, human));
    grid_cell(grid, "%s", str_human_duration(info->idle_ms, human));
    grid_cell(grid, "%s", str_human_size(info->up.bytes, human));
    grid_cell(grid, "%s", str_human_size(info->down.bytes, human));
    grid_cell(grid, "%s", str_human_size(sum_bytes(info), human));
    grid_cell(grid, "%s", str_human_rate(sum_rate(info), human));
    add_waiting(info, grid);
    grid_cell(grid, "%s", session_state(info));
    if (via)
        grid_cell(grid, "%s", addr_format(&info->via, text));
}

static void add_footer(const struct command_args *args, const struct conf *conf, size_t shown,
                       size_t count, struct str *out)
{
    char of[CONF_NAME_MAX + 16] = "";
    if (args->route != SIZE_MAX)
        str_format(of, sizeof of, " of route '%s'", conf->routes[args->route].name);
    if (count == 0) {
        str_addf(out, "no session%s is open\n", of);
        return;
    }
    if (shown == count)
        str_addf(out, "%zu session%s%s, sorted by %s\n", count, count == 1 ? "" : "s", of,
                 session_sort_words[args->sort]);
    else
        str_addf(
            out,
            "%zu of %zu sessions%s shown, sorted by %s; `show sessions limit N` shows more\n",
            shown, count, of, session_sort_words[args->sort]);
}

static void sessions_as_text(const struct server_session_info *infos, size_t shown,
                             size_t count, const struct command_args *args,
                             const struct conf *conf, unsigned columns, struct str *out)
{
    static const struct grid_column layout[] = {
        {"ID", true, 0},    {"ROUTE", false, 8}, {"CLIENT", false, 0},  {"UPSTREAM", false, 4},
        {"AGE", true, 7},   {"IDLE", true, 5},   {"UP", true, 2},       {"DOWN", true, 3},
        {"BYTES", true, 6}, {"RATE", true, 11},  {"WAITING", true, 10}, {"STATE", false, 9},
        {"VIA", false, 1}};
    if (shown > 0) {
        struct grid grid;
        bool via = any_via(infos, shown);
        grid_init(&grid, layout, sizeof layout / sizeof layout[0] - (via ? 0 : 1));
        for (size_t i = 0; i < shown; i++)
            add_row(&infos[i], conf, via, &grid);
        grid_print(&grid, columns, out);
        grid_free(&grid);
    }
    add_footer(args, conf, shown, count, out);
}

/* ---- JSON ---- */

static void sessions_as_json(const struct server_session_info *infos, size_t shown,
                             size_t count, const struct conf *conf, struct str *out)
{
    struct json_build build = {false};
    json_t *root = json_build_object(&build);
    json_t *array = json_build_array(&build);
    for (size_t i = 0; i < shown; i++)
        json_build_push(&build, array, session_as_json(&build, &infos[i], conf, false));
    json_build_put(&build, root, "sessions", array);
    json_build_u64(&build, root, "sessions_shown", shown);
    json_build_u64(&build, root, "sessions_open", count);
    json_build_write(&build, root, out);
}

void command_show_sessions(struct command_session *session, const struct command_args *args,
                           struct command_result *result)
{
    struct server *server = session->console->server;
    struct server_session_info *infos;
    size_t count;
    enum err err = server_get_sessions(server, args->route, &infos, &count);
    if (err != ERR_OK) {
        command_fail(result, "the sessions could not be read: %s", err_text(err));
        return;
    }
    if (count > 1)
        qsort(infos, count, sizeof *infos, orders[args->sort]);
    size_t shown = count < args->limit ? count : (size_t)args->limit;
    const struct conf *conf = server_conf(server);
    if (args->json)
        sessions_as_json(infos, shown, count, conf, &result->text);
    else
        sessions_as_text(infos, shown, count, args, conf, session->columns, &result->text);
    free(infos);
}
