#include "service/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "config/conf.h"
#include "config/value/listen.h"
#include "control/command/grid.h"
#include "control/command/text_width.h"
#include "os/tty.h"
#include "relay/server.h"
#include "service/config_file.h"
#include "service/listen_ports.h"

static void add_route(const struct conf_route *route, struct grid *grid)
{
    char text[LISTEN_TEXT_MAX];
    size_t rows = route->listen_count > route->upstream_count ? route->listen_count
                                                              : route->upstream_count;
    for (size_t row = 0; row < rows; row++) {
        grid_cell(grid, "%s", row == 0 ? route->name : "");
        if (row >= route->listen_count)
            grid_cell(grid, "%s", "");
        else
            grid_cell(grid, "%s", listen_text(&route->listens[row], text));
        grid_cell(grid, "%s", row < route->upstream_count ? route->upstreams[row].name : "");
        if (row == 0)
            grid_cell(grid, "%" PRIu32, route->max_sessions);
        grid_end_row(grid);
    }
}

static void write_routes(const struct conf *conf, struct str *out)
{
    static const struct grid_column layout[] = {{"ROUTE", false, 0},
                                                {"LISTEN", false, 0},
                                                {"UPSTREAM", false, 0},
                                                {"MAX SESSIONS", true, 1}};
    struct grid grid;
    grid_init(&grid, layout, 4);
    for (size_t i = 0; i < conf->route_count; i++)
        add_route(&conf->routes[i], &grid);
    grid_write(&grid, 0, tty_columns_wanted(), out, NULL);
    grid_free(&grid);
}

/* Who is there now may be the relay that is to be reloaded, so that is no mistake. */
static void write_taken_ports(const struct conf *conf, struct str *out)
{
    struct str taken;
    str_init(&taken);
    (void)server_try_listens(NULL, conf, &taken);
    for (const char *line = taken.data; *line != '\0';) {
        int len = (int)strcspn(line, "\n");
        str_addf(out, "at present: %.*s\n", len, line);
        line += len + (line[len] == '\n');
    }
    out->failed = out->failed || taken.failed;
    str_free(&taken);
}

static void warn(const char *where, const char *text)
{
    fprintf(stderr, "%s: warning: %s\n", where, text);
}

int check_run(const char *given)
{
    struct conf *conf = config_file_load(given);
    if (conf == NULL)
        return 1;
    struct str out;
    str_init(&out);
    listen_ports_warn(conf, warn);
    write_routes(conf, &out);
    write_taken_ports(conf, &out);
    str_addf(&out, "%s is fine: %zu route%s\n", conf->path, conf->route_count,
             conf->route_count == 1 ? "" : "s");
    str_escape(&out); /* who holds a port has chosen the name of its process */
    text_wrap(&out, tty_columns_wanted(), false);
    fputs(out.data, stdout);
    bool written = fflush(stdout) == 0 && !out.failed;
    str_free(&out);
    conf_free(conf);
    return written ? 0 : 1;
}
