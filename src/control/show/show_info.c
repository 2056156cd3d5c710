/* `show info` and `show config`: the program itself. */
#include <inttypes.h>

#include "base/log.h"
#include "config/conf.h"
#include "control/command/grid.h"
#include "control/command/json_build.h"
#include "control/command/units.h"
#include "control/show/config_json.h"
#include "control/show/show.h"
#include "os/os.h"
#include "port/op.h"
#include "port/port.h"
#include "relay/server.h"
#include "relay/server_info.h"

static const char *const kind_words[OP_WAKE + 1] = {
    [OP_ACCEPT] = "accept", [OP_CONNECT] = "connect", [OP_READ] = "read",
    [OP_WRITE] = "write",   [OP_WAKE] = "wake",
};

static const char *state_word(enum server_state state)
{
    switch (state) {
    case SERVER_RUNNING: return "running";
    case SERVER_STOPPING: return "stopping";
    case SERVER_STOPPED: return "stopped";
    }
    return "";
}

static void add_state(const struct server_info *info, struct grid *grid)
{
    char up[STR_HUMAN_MAX], left[STR_HUMAN_MAX];
    str_human_duration(info->uptime_ms, up);
    grid_cell(grid, "state");
    if (info->state == SERVER_STOPPING)
        grid_cell(grid, "stopping, %s left%s, up for %s",
                  str_human_duration(info->stop_left_ms, left),
                  info->stop_drains ? ", sessions are ended evenly" : "", up);
    else
        grid_cell(grid, "%s, up for %s", state_word(info->state), up);
}

static void add_descriptors(const struct server_info *info, struct grid *grid)
{
    char used[STR_HUMAN_MAX];
    if (info->descriptors_used == 0)
        str_format(used, sizeof used, "not told by this system");
    else
        str_format(used, sizeof used, "%" PRIu64 " open", info->descriptors_used);
    grid_cell(grid, "descriptors");
    if (info->descriptors_limit == UINT64_MAX)
        grid_cell(grid, "%s, no limit", used);
    else
        grid_cell(grid, "%s, at most %" PRIu64, used, info->descriptors_limit);
}

static void add_machine(const struct server_info *info, struct grid *grid)
{
    char a[STR_HUMAN_MAX], b[STR_HUMAN_MAX];
    grid_cell(grid, "memory");
    const char *resident =
        info->resident_bytes == 0 ? "unknown" : str_human_size(info->resident_bytes, a);
    if (info->memory_limit == 0)
        grid_cell(grid, "%s resident", resident);
    else
        grid_cell(grid, "%s resident, at most %s", resident,
                  str_human_size(info->memory_limit, b));
    grid_cell(grid, "buffers");
    grid_cell(grid, "%" PRIu64 " in use, %s held", info->buffers_used,
              str_human_size(info->buffer_bytes, a));
    grid_cell(grid, "processor");
    grid_cell(grid, "%s used, busy %s", str_human_duration(info->cpu_us / 1000, a),
              units_percent(info->cpu_us / 1000, info->uptime_ms, b));
}

static void add_guard(const struct server_info *info, struct grid *grid)
{
    const struct clients_info *clients = &info->clients;
    grid_cell(grid, "clients");
    if (clients->unremembered_total > 0)
        grid_cell(grid,
                  "%" PRIu32 " of %" PRIu32 " remembered, %" PRIu64
                  " forgotten for others, %" PRIu64 " found no place",
                  clients->used, clients->capacity, clients->evicted_total,
                  clients->unremembered_total);
    else
        grid_cell(grid,
                  "%" PRIu32 " of %" PRIu32 " remembered, %" PRIu64 " forgotten for others",
                  clients->used, clients->capacity, clients->evicted_total);
    grid_cell(grid, "bans");
    grid_cell(grid, "%zu", info->bans);
    grid_cell(grid, "tarpit");
    grid_cell(grid,
              "%" PRIu32 " kept of at most %" PRIu32 ", %" PRIu64 " so far, %" PRIu64
              " found no place",
              info->tarpit_held, info->tarpit_max, info->tarpit_total, info->tarpit_full_total);
}

/* What did not even get into a listener's backlog. */
static void add_backlog(const struct server_info *info, struct grid *grid)
{
    grid_cell(grid, "backlog");
    if (!info->backlog_known)
        grid_cell(grid, "drops are not told by this system");
    else
        grid_cell(grid,
                  "%" PRIu64 " connects dropped by this machine, %" PRIu64
                  " a second now, %" PRIu64 " because a backlog was full (somaxconn: %" PRIu32
                  ")",
                  info->backlog_drops_total, info->backlog_drops_per_s,
                  info->backlog_overflows_total, info->backlog_limit);
}

static void add_standstills(const struct server_info *info, struct grid *grid)
{
    char last[STR_HUMAN_MAX], ago[STR_HUMAN_MAX];
    grid_cell(grid, "standstills");
    if (info->standstills_total == 0)
        grid_cell(grid, "none");
    else
        grid_cell(grid, "%" PRIu64 ", the last one for %s, %s ago", info->standstills_total,
                  str_human_duration(info->standstill_last_ms, last),
                  str_human_duration(info->standstill_last_ago_ms, ago));
}

static void add_files(const struct console *console, struct grid *grid)
{
    grid_cell(grid, "config");
    grid_cell(grid, "%s", console->config_path[0] == '\0' ? "built in" : console->config_path);
    grid_cell(grid, "log");
    grid_cell(grid, "%s", console->log_path[0] == '\0' ? "stderr" : console->log_path);
    grid_cell(grid, "log level");
    uint64_t lost = log_lost_total();
    if (lost == 0)
        grid_cell(grid, "%s", log_level_word(log_get_level()));
    else
        grid_cell(grid, "%s, %" PRIu64 " lines could not be written",
                  log_level_word(log_get_level()), lost);
}

static void add_port(const struct port_stats *stats, unsigned columns, struct str *out)
{
    static const struct grid_column layout[] = {{"OPERATION", false, 0},
                                                {"STARTED", true, 0},
                                                {"FINISHED", true, 0},
                                                {"IN FLIGHT", true, 1}};
    struct grid grid;
    grid_init(&grid, layout, 4);
    for (int kind = 0; kind <= OP_WAKE; kind++) {
        uint64_t begun = stats->submits[kind], ended = stats->completions[kind];
        grid_cell(&grid, "%s", kind_words[kind]);
        grid_cell(&grid, "%" PRIu64, begun);
        grid_cell(&grid, "%" PRIu64, ended);
        grid_cell(&grid, "%" PRIu64, begun > ended ? begun - ended : 0);
    }
    str_add(out, "\nport\n");
    grid_write(&grid, 2, columns, out, NULL);
    grid_free(&grid);
    str_addf(out,
             "  system calls: %" PRIu64 " waits (%" PRIu64 " slept), %" PRIu64
             " receives, %" PRIu64 " sends; %" PRIu64 " stale events\n",
             stats->waits_total, stats->wakeups_total, stats->reads_total, stats->writes_total,
             stats->stale_events_total);
}

static void info_as_text(const struct command_session *session, const struct server_info *info,
                         struct str *out)
{
    static const struct grid_column layout[2] = {{.title = NULL}};
    const struct console *console = session->console;
    struct grid grid;
    grid_init(&grid, layout, 2);
    grid_cell(&grid, "version");
    grid_cell(&grid, "pairport %s (%s) on %s", console->version, console->backend, os_name());
    add_state(info, &grid);
    grid_cell(&grid, "process");
    grid_cell(&grid, "pid %" PRIu64 ", %u worker%s", os_process_id(), info->workers,
              info->workers == 1 ? "" : "s");
    grid_cell(&grid, "sessions");
    grid_cell(&grid, "%" PRIu32 " open, peak %" PRIu32 ", at most %" PRIu32,
              info->sessions_open, info->sessions_peak, info->sessions_max);
    add_descriptors(info, &grid);
    add_backlog(info, &grid);
    add_machine(info, &grid);
    add_standstills(info, &grid);
    add_guard(info, &grid);
    add_files(console, &grid);
    grid_write(&grid, 0, session->columns, out, NULL);
    grid_free(&grid);
    add_port(&info->port, session->columns, out);
}

static json_t *port_as_json(struct json_build *build, const struct port_stats *stats)
{
    json_t *port = json_build_object(build);
    for (int kind = 0; kind <= OP_WAKE; kind++) {
        char name[48];
        str_format(name, sizeof name, "%s_submits_total", kind_words[kind]);
        json_build_u64(build, port, name, stats->submits[kind]);
        str_format(name, sizeof name, "%s_completions_total", kind_words[kind]);
        json_build_u64(build, port, name, stats->completions[kind]);
    }
    json_build_u64(build, port, "wait_calls_total", stats->waits_total);
    json_build_u64(build, port, "wakeups_total", stats->wakeups_total);
    json_build_u64(build, port, "read_calls_total", stats->reads_total);
    json_build_u64(build, port, "write_calls_total", stats->writes_total);
    json_build_u64(build, port, "stale_events_total", stats->stale_events_total);
    return port;
}

static void info_as_json(const struct console *console, const struct server_info *info,
                         struct str *out)
{
    struct json_build build = {false};
    json_t *root = json_build_object(&build);
    json_build_text(&build, root, "version", console->version);
    json_build_text(&build, root, "backend", console->backend);
    json_build_text(&build, root, "system", os_name());
    json_build_u64(&build, root, "pid", os_process_id());
    json_build_text(&build, root, "state", state_word(info->state));
    json_build_u64(&build, root, "uptime_ms", info->uptime_ms);
    json_build_u64(&build, root, "stop_left_ms", info->stop_left_ms);
    json_build_bool(&build, root, "stop_drains", info->stop_drains);
    json_build_u64(&build, root, "workers", info->workers);
    json_build_u64(&build, root, "sessions_open", info->sessions_open);
    json_build_u64(&build, root, "sessions_peak", info->sessions_peak);
    json_build_u64(&build, root, "sessions_max", info->sessions_max);
    json_build_u64(&build, root, "descriptors_open", info->descriptors_used);
    json_build_u64(&build, root, "descriptors_max", info->descriptors_limit);
    json_build_u64(&build, root, "resident_memory_bytes", info->resident_bytes);
    json_build_u64(&build, root, "memory_max_bytes",
                   info->memory_limit == 0 ? UINT64_MAX : info->memory_limit);
    json_build_u64(&build, root, "backlog_drops_total",
                   info->backlog_known ? info->backlog_drops_total : UINT64_MAX);
    json_build_u64(&build, root, "backlog_overflows_total",
                   info->backlog_known ? info->backlog_overflows_total : UINT64_MAX);
    json_build_u64(&build, root, "backlog_drops_per_s",
                   info->backlog_known ? info->backlog_drops_per_s : UINT64_MAX);
    json_build_u64(&build, root, "backlog_max",
                   info->backlog_limit == 0 ? UINT64_MAX : info->backlog_limit);
    json_build_u64(&build, root, "buffers_in_use", info->buffers_used);
    json_build_u64(&build, root, "buffer_memory_bytes", info->buffer_bytes);
    json_build_u64(&build, root, "cpu_us_total", info->cpu_us);
    bool stood = info->standstills_total > 0;
    json_build_u64(&build, root, "standstills_total", info->standstills_total);
    json_build_u64(&build, root, "standstill_last_ms",
                   stood ? info->standstill_last_ms : UINT64_MAX);
    json_build_u64(&build, root, "standstill_last_ago_ms",
                   stood ? info->standstill_last_ago_ms : UINT64_MAX);
    json_build_u64(&build, root, "clients_remembered", info->clients.used);
    json_build_u64(&build, root, "clients_max", info->clients.capacity);
    json_build_u64(&build, root, "clients_evicted_total", info->clients.evicted_total);
    json_build_u64(&build, root, "clients_unremembered_total",
                   info->clients.unremembered_total);
    json_build_u64(&build, root, "bans", info->bans);
    json_build_u64(&build, root, "tarpit_held", info->tarpit_held);
    json_build_u64(&build, root, "tarpit_max", info->tarpit_max);
    json_build_u64(&build, root, "tarpit_total", info->tarpit_total);
    json_build_u64(&build, root, "tarpit_full_total", info->tarpit_full_total);
    json_build_text(&build, root, "config_file", console->config_path);
    json_build_text(&build, root, "log_file", console->log_path);
    json_build_text(&build, root, "log_level", log_level_word(log_get_level()));
    json_build_u64(&build, root, "log_lines_lost_total", log_lost_total());
    json_build_put(&build, root, "port", port_as_json(&build, &info->port));
    json_build_put(&build, root, "predecessors", json_build_array(&build)); /* added later */
    json_build_write(&build, root, out);
}

void command_show_info(struct command_session *session, const struct command_args *args,
                       struct command_result *result)
{
    struct server_info info;
    server_get_info(session->console->server, &info);
    if (args->json)
        info_as_json(session->console, &info, &result->text);
    else
        info_as_text(session, &info, &result->text);
}

void command_show_config(struct command_session *session, const struct command_args *args,
                         struct command_result *result)
{
    const struct conf *conf = server_conf(session->console->server);
    if (args->json)
        config_json_write(conf, &result->text);
    else
        conf_write(conf, &result->text);
}
