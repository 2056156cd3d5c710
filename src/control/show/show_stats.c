/* `show stats`: in all and by route. */
#include "config/conf.h"
#include "control/command/json_build.h"
#include "control/show/show.h"
#include "control/show/totals.h"
#include "relay/server_info.h"

static void stats_as_text(const struct server_totals *all,
                          const struct server_route_info *routes, size_t first, size_t end,
                          unsigned columns, struct str *out)
{
    if (all != NULL)
        totals_write("all routes", all, columns, out);
    for (size_t i = first; i < end; i++) {
        char title[CONF_NAME_MAX + 16];
        str_format(title, sizeof title, "route '%s'", routes[i].conf->name);
        if (out->len > 0)
            str_add_char(out, '\n');
        totals_write(title, &routes[i].totals, columns, out);
    }
}

static void stats_as_json(const struct server_totals *all,
                          const struct server_route_info *routes, size_t first, size_t end,
                          struct str *out)
{
    struct json_build build = {false};
    json_t *root = json_build_object(&build);
    if (all != NULL) {
        json_t *object = json_build_object(&build);
        totals_put_json(&build, object, all);
        json_build_put(&build, root, "all", object);
    }
    json_t *array = json_build_array(&build);
    for (size_t i = first; i < end; i++) {
        json_t *object = json_build_object(&build);
        json_build_text(&build, object, "route", routes[i].conf->name);
        totals_put_json(&build, object, &routes[i].totals);
        json_build_push(&build, array, object);
    }
    json_build_put(&build, root, "routes", array);
    json_build_write(&build, root, out);
}

void command_show_stats(struct command_session *session, const struct command_args *args,
                        struct command_result *result)
{
    struct server_route_info *routes;
    size_t count;
    enum err err = server_get_routes(session->console->server, &routes, &count);
    if (err != ERR_OK) {
        command_fail(result, "the statistics could not be read: %s", err_text(err));
        return;
    }
    bool one = args->route != SIZE_MAX;
    /* With a single route the block of all routes would say the same twice. */
    bool sum = !one && (count > 1 || args->json);
    size_t first = one ? args->route : 0;
    size_t end = one ? args->route + 1 : count;
    struct server_totals totals;
    if (sum)
        server_get_totals(session->console->server, &totals);
    const struct server_totals *all = sum ? &totals : NULL;
    if (args->json)
        stats_as_json(all, routes, first, end, &result->text);
    else
        stats_as_text(all, routes, first, end, session->columns, &result->text);
    server_free_routes(routes, count);
}
