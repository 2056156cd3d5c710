/* `show clients`: what is remembered of them, the most refused first. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "config/conf.h"
#include "control/command/grid.h"
#include "control/command/json_build.h"
#include "control/show/show.h"
#include "relay/server.h"
#include "relay/server_info.h"

static int down_order(uint64_t a, uint64_t b)
{
    return a > b ? -1 : a < b;
}

/* Of those refused as often, who has more sessions, then who was seen last, then by address. */
static int by_refused(const void *a, const void *b)
{
    const struct server_client_info *x = a, *y = b;
    int order = down_order(x->refused_total, y->refused_total);
    if (order == 0)
        order = down_order(x->sessions, y->sessions);
    if (order == 0)
        order = down_order(y->quiet_ms, x->quiet_ms);
    if (order == 0)
        order = (int)x->net.addr.family - (int)y->net.addr.family;
    if (order == 0)
        order = memcmp(x->net.addr.ip, y->net.addr.ip, sizeof x->net.addr.ip);
    return order != 0 ? order : down_order(y->route, x->route);
}

static void add_row(const struct server_client_info *client, const struct conf *conf,
                    struct grid *grid)
{
    char text[ADDR_NET_TEXT_MAX], human[STR_HUMAN_MAX];
    grid_cell(grid, "%s", addr_net_format_short(&client->net, text));
    grid_cell(grid, "%s", conf->routes[client->route].name);
    grid_cell(grid, "%" PRIu32, client->sessions);
    grid_cell(grid, "%" PRIu64, client->entered_total);
    grid_cell(grid, "%" PRIu64, client->refused_total);
    grid_cell(grid, "%s", str_human_duration(client->quiet_ms, human));
    grid_cell(grid, "%s", client->banned ? "banned" : "-");
}

/* Clients that are not in the table, or not counted in it. */
static void add_others(struct server *server, const struct command_args *args, struct str *out)
{
    const struct conf *conf = server_conf(server);
    struct server_bans bans;
    uint64_t hits = 0;
    bool exempt = false;
    for (size_t i = 0; i < conf->route_count; i++)
        exempt = exempt || ((args->route == SIZE_MAX || args->route == i) &&
                            conf->routes[i].exempt_count > 0);
    if (exempt)
        str_add(out, "clients on guard_exempt are not remembered\n");
    if (server_get_bans(server, &bans) != ERR_OK)
        return;
    for (size_t i = 0; i < bans.count; i++)
        hits += bans.bans[i].hits;
    server_free_bans(&bans);
    if (hits > 0)
        str_addf(out,
                 "bans have turned clients away %" PRIu64 " time%s, not counted in REFUSED; "
                 "`show bans` tells whom\n",
                 hits, hits == 1 ? "" : "s");
}

static void add_footer(const struct command_args *args, const struct conf *conf, size_t shown,
                       size_t count, struct str *out)
{
    char of[CONF_NAME_MAX + 16] = "";
    if (args->route != SIZE_MAX)
        str_format(of, sizeof of, " of route '%s'", conf->routes[args->route].name);
    if (count == 0)
        str_addf(out, "no client%s is remembered\n", of);
    else if (shown == count)
        str_addf(out, "%zu client%s%s, the most refused first\n", count, count == 1 ? "" : "s",
                 of);
    else
        str_addf(out,
                 "%zu of %zu clients%s shown, the most refused first; `show clients limit N` "
                 "shows more\n",
                 shown, count, of);
}

static void clients_as_text(const struct server_client_info *clients, size_t shown,
                            size_t count, const struct command_args *args,
                            const struct conf *conf, unsigned columns, struct str *out)
{
    static const struct grid_column layout[] = {
        {"CLIENT", false, 0}, {"ROUTE", false, 3}, {"OPEN", true, 0}, {"ENTERED", true, 1},
        {"REFUSED", true, 0}, {"QUIET", true, 2},  {"BAN", false, 4}};
    if (shown > 0) {
        struct grid grid;
        grid_init(&grid, layout, sizeof layout / sizeof layout[0]);
        for (size_t i = 0; i < shown; i++)
            add_row(&clients[i], conf, &grid);
        grid_print(&grid, columns, out);
        grid_free(&grid);
    }
    add_footer(args, conf, shown, count, out);
}

static json_t *client_as_json(struct json_build *build, const struct server_client_info *client,
                              const struct conf *conf)
{
    char net[ADDR_NET_TEXT_MAX];
    json_t *object = json_build_object(build);
    json_build_text(build, object, "network", addr_net_format(&client->net, net));
    json_build_text(build, object, "route", conf->routes[client->route].name);
    json_build_u64(build, object, "sessions_open", client->sessions);
    json_build_u64(build, object, "sessions_total", client->entered_total);
    json_build_u64(build, object, "sessions_refused_total", client->refused_total);
    json_build_u64(build, object, "quiet_ms", client->quiet_ms);
    json_build_bool(build, object, "banned", client->banned);
    return object;
}

static void clients_as_json(const struct server_client_info *clients, size_t shown,
                            size_t count, const struct conf *conf, struct str *out)
{
    struct json_build build = {false};
    json_t *root = json_build_object(&build);
    json_t *array = json_build_array(&build);
    for (size_t i = 0; i < shown; i++)
        json_build_push(&build, array, client_as_json(&build, &clients[i], conf));
    json_build_put(&build, root, "clients", array);
    json_build_u64(&build, root, "clients_shown", shown);
    json_build_u64(&build, root, "clients_remembered", count);
    json_build_write(&build, root, out);
}

void command_show_clients(struct command_session *session, const struct command_args *args,
                          struct command_result *result)
{
    struct server *server = session->console->server;
    struct server_client_info *clients;
    size_t count;
    enum err err = server_get_clients(server, args->route, &clients, &count);
    if (err != ERR_OK) {
        command_fail(result, "the clients could not be read: %s", err_text(err));
        return;
    }
    if (count > 1)
        qsort(clients, count, sizeof *clients, by_refused);
    size_t shown = count < args->limit ? count : (size_t)args->limit;
    const struct conf *conf = server_conf(server);
    if (args->json)
        clients_as_json(clients, shown, count, conf, &result->text);
    else
        clients_as_text(clients, shown, count, args, conf, session->columns, &result->text);
    if (!args->json)
        add_others(server, args, &result->text);
    free(clients);
}
