/* `show session ID`: everything about one session. */
#include <inttypes.h>

#include "base/addr.h"
#include "config/conf.h"
#include "control/command/grid.h"
#include "control/command/json_build.h"
#include "control/command/units.h"
#include "control/show/session_json.h"
#include "control/show/show.h"
#include "relay/server.h"
#include "relay/server_info.h"

/* What the two phases wait for in which nothing moves. */
static const char *phase_hint(enum phase phase)
{
    switch (phase) {
    case PHASE_ACCEPT: return ", its PROXY header is awaited";
    case PHASE_HELD: return ", waits for an upstream, for `resume` or for its turn";
    case PHASE_CONNECT:
    case PHASE_DATA:
    case PHASE_HALF_CLOSED: break;
    }
    return "";
}

static void add_origin(const struct server_session_info *info, const struct conf *conf,
                       struct grid *grid)
{
    char text[ADDR_TEXT_MAX];
    grid_cell(grid, "route");
    grid_cell(grid, "%s, upstream %s", session_route_name(info, conf),
              session_upstream_name(info, conf));
    if (info->via.family == ADDR_NONE)
        return;
    grid_cell(grid, "via");
    grid_cell(grid, "%s, whose PROXY header names the client", addr_format(&info->via, text));
}

/* Why a direction stands still by the relay's will, and until when. */
static void add_park(const struct server_flow_info *flow, bool up, struct grid *grid)
{
    char since[STR_HUMAN_MAX], left[STR_HUMAN_MAX];
    if (flow->park == FLOW_NOT_PARKED)
        return;
    str_human_duration(flow->parked_ms, since);
    grid_cell(grid, "waits");
    if (flow->park == FLOW_FROZEN)
        grid_cell(grid, "%s, until the route is resumed; for %s so far", up ? "up" : "down",
                  since);
    else if (flow->park == FLOW_NO_BUFFER)
        grid_cell(grid, "%s, since memory is out and the other side takes nothing",
                  up ? "up" : "down");
    else
        grid_cell(grid, "%s, for room in %s; for %s so far, goes on in %s", up ? "up" : "down",
                  session_park_word(flow, up), since,
                  str_human_duration(flow->park_left_ms, left));
}

static void write_facts(const struct server_session_info *info, const struct conf *conf,
                        unsigned columns, struct str *out)
{
    static const struct grid_column layout[2] = {{.title = NULL}};
    char human[STR_HUMAN_MAX];
    struct grid grid;
    grid_init(&grid, layout, 2);
    add_origin(info, conf, &grid);
    grid_cell(&grid, "phase");
    if (info->ending)
        grid_cell(&grid, "%s, ending: %s (%s)", phase_word(info->phase),
                  reason_word(info->reason), reason_sentence(info->reason));
    else
        grid_cell(&grid, "%s%s%s", phase_word(info->phase), phase_hint(info->phase),
                  info->frozen ? ", the route is frozen" : "");
    add_park(&info->up, true, &grid);
    add_park(&info->down, false, &grid);
    grid_cell(&grid, "age");
    grid_cell(&grid, "%s", str_human_duration(info->age_ms, human));
    grid_cell(&grid, "idle");
    grid_cell(&grid, "%s", str_human_duration(info->idle_ms, human));
    grid_cell(&grid, "connect");
    if (info->upstream_local.family == ADDR_NONE)
        grid_cell(&grid, "not yet, %" PRIu32 " tr%s begun", info->tries,
                  info->tries == 1 ? "y" : "ies");
    else
        grid_cell(&grid, "took %s, %" PRIu32 " tr%s", units_us(info->connect_us, human),
                  info->tries, info->tries == 1 ? "y" : "ies");
    grid_write(&grid, 2, columns, out, NULL);
    grid_free(&grid);
}

static void add_side(struct grid *grid, const char *side, const struct addr *theirs,
                     const struct addr *ours, bool known, const struct sock_tcp_info *tcp)
{
    char text[ADDR_TEXT_MAX], human[STR_HUMAN_MAX];
    grid_cell(grid, "%s", side);
    grid_cell(grid, "%s", addr_format(theirs, text));
    grid_cell(grid, "%s", addr_format(ours, text));
    if (!known) {
        grid_cell(grid,
                  ours->family == ADDR_NONE ? "not connected" : "not told by this system");
        grid_end_row(grid);
        return;
    }
    grid_cell(grid, "%s", units_us(tcp->rtt_us, human));
    grid_cell(grid, "%s", units_us(tcp->rtt_var_us, human));
    if (tcp->retransmits_in_bytes)
        grid_cell(grid, "%s", str_human_size(tcp->retransmits_total, human));
    else
        grid_cell(grid, "%" PRIu64, tcp->retransmits_total);
}

static void write_sides(const struct server_session_info *info, unsigned columns,
                        struct str *out)
{
    static const struct grid_column layout[] = {
        {"", false, 0},    {"THEIR END", false, 0}, {"OUR END", false, 0},
        {"RTT", false, 0}, {"VARIES", false, 1},    {"SENT AGAIN", false, 2}};
    struct grid grid;
    grid_init(&grid, layout, 6);
    add_side(&grid, "client", &info->client, &info->client_local, info->has_client_tcp,
             &info->client_tcp);
    add_side(&grid, "upstream", &info->upstream_addr, &info->upstream_local,
             info->has_upstream_tcp, &info->upstream_tcp);
    grid_write(&grid, 2, columns, out, NULL);
    grid_free(&grid);
}

static void add_flow(struct grid *grid, const char *direction,
                     const struct server_flow_info *flow)
{
    char human[STR_HUMAN_MAX];
    grid_cell(grid, "%s", direction);
    grid_cell(grid, "%s", str_human_size(flow->bytes, human));
    grid_cell(grid, "%" PRIu64, flow->writes);
    grid_cell(grid, "%s", str_human_rate(flow->bytes_per_s, human));
    if (flow->waiting == 0) {
        grid_cell(grid, "-");
        grid_cell(grid, "-");
    } else {
        grid_cell(grid, "%s", str_human_size(flow->waiting, human));
        grid_cell(grid, "%s", str_human_duration(flow->waiting_ms, human));
    }
    grid_cell(grid, "%s", flow->finished ? "finished" : "open");
}

static void write_flows(const struct server_session_info *info, unsigned columns,
                        struct str *out)
{
    static const struct grid_column layout[] = {
        {"", false, 0},       {"BYTES", true, 0}, {"WRITES", true, 1}, {"RATE", true, 0},
        {"WAITING", true, 0}, {"FOR", true, 0},   {"SOURCE", false, 2}};
    struct grid grid;
    grid_init(&grid, layout, 7);
    add_flow(&grid, "up", &info->up);
    add_flow(&grid, "down", &info->down);
    grid_write(&grid, 2, columns, out, NULL);
    grid_free(&grid);
}

void command_show_session(struct command_session *session, const struct command_args *args,
                          struct command_result *result)
{
    struct server *server = session->console->server;
    struct server_session_info info;
    enum err err = server_get_session(server, args->id, &info);
    if (err != ERR_OK) {
        command_fail(result,
                     "session %" PRIu64 " is not open; `show sessions` lists the open ones",
                     args->id);
        return;
    }
    const struct conf *conf = server_conf(server);
    if (args->json) {
        struct json_build build = {false};
        json_t *root = session_as_json(&build, &info, conf, true);
        json_build_write(&build, root, &result->text);
        return;
    }
    str_addf(&result->text, "session %" PRIu64 "\n", info.id);
    write_facts(&info, conf, session->columns, &result->text);
    str_add_char(&result->text, '\n');
    write_sides(&info, session->columns, &result->text);
    str_add_char(&result->text, '\n');
    write_flows(&info, session->columns, &result->text);
}
