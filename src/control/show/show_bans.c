/* `show bans`: who is banned, by whom, why and until when. */
#include <inttypes.h>

#include "base/log.h"
#include "control/command/grid.h"
#include "control/command/json_build.h"
#include "control/show/show.h"
#include "os/os.h"
#include "relay/server_info.h"

/* "2026-11-23 17:04:05", UTC as in the log. */
static const char *until_text(uint64_t until_ms, char text[24])
{
    char time[32];
    log_format_time(until_ms * 1000, time, sizeof time);
    str_format(text, 24, "%.10s %.8s", time, time + 11);
    return text;
}

static void add_row(const struct ban *ban, uint64_t now_ms, struct grid *grid)
{
    char text[ADDR_NET_TEXT_MAX], human[STR_HUMAN_MAX], time[24];
    bool for_ever = ban->until_ms == BAN_FOR_EVER;
    grid_cell(grid, "%s", addr_net_format_short(&ban->net, text));
    if (for_ever) {
        grid_cell(grid, "for ever");
        grid_cell(grid, "-");
    } else {
        uint64_t left_ms = ban->until_ms > now_ms ? ban->until_ms - now_ms : 0;
        grid_cell(grid, "%s", until_text(ban->until_ms, time));
        grid_cell(grid, "%s", str_human_duration(left_ms, human));
    }
    uint64_t age_ms = now_ms > ban->set_ms ? now_ms - ban->set_ms : 0;
    grid_cell(grid, "%s", str_human_duration(age_ms, human));
    grid_cell(grid, "%" PRIu64, ban->hits);
    grid_cell(grid, "%s", ban->by);
    grid_cell(grid, "%s", ban->reason[0] == '\0' ? "-" : ban->reason);
}

static void add_kept(const struct server_bans *bans, struct str *out)
{
    if (bans->path[0] == '\0')
        str_add(out, "forgotten at a restart: `state_file` of [relay] keeps them\n");
    else if (bans->handed_over)
        str_addf(out, "kept by the process that took over, in %s\n", bans->path);
    else if (bans->locked_out)
        str_addf(out,
                 "in memory only: %s is written by another relay, pid %" PRIu64
                 ", until that one ends\n",
                 bans->path, bans->holder);
    else if (bans->read_err != ERR_OK)
        str_addf(out, "in memory only: %s can't be read: %s; its own bans have no effect yet\n",
                 bans->path, err_text(bans->read_err));
    else if (bans->keep_err != ERR_OK)
        str_addf(out, "forgotten at a restart: %s can't be written: %s\n", bans->path,
                 err_text(bans->keep_err));
    else
        str_addf(out, "kept in %s\n", bans->path);
}

static void bans_as_text(const struct server_bans *bans, uint64_t now_ms, unsigned columns,
                         struct str *out)
{
    static const struct grid_column layout[] = {
        {"NETWORK", false, 0}, {"UNTIL (UTC)", false, 3}, {"LEFT", true, 4},   {"AGE", true, 1},
        {"HITS", true, 5},     {"BY", false, 2},          {"REASON", false, 6}};
    if (bans->count > 0) {
        struct grid grid;
        grid_init(&grid, layout, sizeof layout / sizeof layout[0]);
        grid.cut_last = true;
        for (size_t i = 0; i < bans->count; i++)
            add_row(&bans->bans[i], now_ms, &grid);
        grid_print(&grid, columns, out);
        grid_free(&grid);
        str_addf(out, "%zu ban%s, ", bans->count, bans->count == 1 ? "" : "s");
    } else {
        str_add(out, "no bans; they are ");
    }
    add_kept(bans, out);
    if (bans->aside > 0)
        str_addf(out, "%zu more than fit are kept in the file and have no effect yet\n",
                 bans->aside);
}

static json_t *ban_as_json(struct json_build *build, const struct ban *ban)
{
    char net[ADDR_NET_TEXT_MAX];
    json_t *object = json_build_object(build);
    json_build_text(build, object, "network", addr_net_format(&ban->net, net));
    json_build_u64(build, object, "set_ms", ban->set_ms);
    json_build_u64(build, object, "until_ms", ban->until_ms); /* null: for ever */
    json_build_u64(build, object, "hits_total", ban->hits);
    json_build_text(build, object, "by", ban->by);
    json_build_text(build, object, "reason", ban->reason);
    return object;
}

static void bans_as_json(const struct server_bans *bans, struct str *out)
{
    struct json_build build = {false};
    json_t *root = json_build_object(&build);
    json_t *array = json_build_array(&build);
    for (size_t i = 0; i < bans->count; i++)
        json_build_push(&build, array, ban_as_json(&build, &bans->bans[i]));
    json_build_put(&build, root, "bans", array);
    json_build_text(&build, root, "state_file", bans->path);
    json_build_bool(&build, root, "kept",
                    bans->path[0] != '\0' && bans->keep_err == ERR_OK &&
                        bans->read_err == ERR_OK && !bans->handed_over && !bans->locked_out);
    json_build_u64(&build, root, "kept_aside", bans->aside);
    json_build_write(&build, root, out);
}

void command_show_bans(struct command_session *session, const struct command_args *args,
                       struct command_result *result)
{
    struct server_bans bans;
    enum err err = server_get_bans(session->console->server, &bans);
    if (err != ERR_OK) {
        command_fail(result, "the bans could not be read: %s", err_text(err));
        return;
    }
    if (args->json)
        bans_as_json(&bans, &result->text);
    else
        bans_as_text(&bans, os_wall_us() / 1000, session->columns, &result->text);
    server_free_bans(&bans);
}
