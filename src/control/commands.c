/* The table of commands. What stands here is all there is: dispatch, help, completion and
 * suggestions read it. */
#include <assert.h>
#include <stddef.h>

#include "control/command_table.h"

const char *const session_sort_words[SORT_COUNT + 1] = {
    [SORT_RATE] = "rate",     [SORT_AGE] = "age",         [SORT_IDLE] = "idle",
    [SORT_BYTES] = "bytes",   [SORT_WAITING] = "waiting", [SORT_ID] = "id",
    [SORT_CLIENT] = "client", [SORT_ROUTE] = "route",     [SORT_COUNT] = NULL,
};

void command_level_words(const char *words[COMMAND_LEVELS + 1])
{
    for (int level = 0; level < COMMAND_LEVELS; level++)
        words[level] = log_level_word((enum log_level)level);
    words[COMMAND_LEVELS] = NULL;
}

#define JSON_HERE                                                                              \
    {                                                                                          \
        "json", ARG_FLAG, false                                                                \
    }

const struct command commands[] = {
    {
        .words = "help",
        .args = {{NULL, ARG_TOPIC, false}},
        .help = "lists the commands, or explains one",
        .details =
            "`help` lists all commands, `help show` those that begin with `show`, and\n"
            "`help show sessions` explains one.\n"
            "\n"
            "Words may be shortened as long as they fit one command (`sh sess`), except\n"
            "where a command ends sessions. Tab completes. Text with blanks goes in\n"
            "\"quotes\". A line that begins with # is a comment.\n",
        .run = command_help,
    },
    {
        .words = "show info",
        .args = {JSON_HERE},
        .help = "the program: version, uptime, limits, memory, port",
        .details =
            "The state of the whole program: version and backend, uptime, workers, open\n"
            "sessions, descriptors and their limit, memory, processor time, configuration\n"
            "file, log, and what the completion port did. `busy` is the share of one\n"
            "processor that the program used on average since its start.\n",
        .run = command_show_info,
    },
    {
        .words = "show routes",
        .args = {JSON_HERE},
        .help = "the routes: where they listen, sessions, rates",
        .details =
            "One row a route, a further row for each further address it listens on.\n"
            "OPEN, PEAK, MAX are sessions now, at most so far, and allowed; TOTAL counts\n"
            "admitted ones, REFUSED those turned away before an upstream was tried. UP/S\n"
            "and DOWN/S are rates over the last 10 s. `starved` is a listener that waits\n"
            "for descriptors or memory and will go on by itself.\n",
        .run = command_show_routes,
    },
    {
        .words = "show upstreams",
        .args = {{"route", ARG_ROUTE, false}, JSON_HERE},
        .help = "the upstreams: addresses, sessions, connect times",
        .details =
            "One row an upstream, a further row for each further address of its name.\n"
            "OPEN, PEAK, TOTAL are connected sessions; FAILED counts connects that did not\n"
            "come about; P50 and P99 are the connect time that half of all and 99 of 100\n"
            "connects stayed below. With `route NAME` those of one route.\n",
        .run = command_show_upstreams,
    },
    {
        .words = "show sessions",
        .args = {{"route", ARG_ROUTE, false},
                 {"sort", ARG_SORT, false},
                 {"limit", ARG_LIMIT, false},
                 JSON_HERE},
        .help = "the open sessions, the busiest first",
        .details =
            "One row a session. BYTES and RATE are both directions together; WAITING are\n"
            "bytes that one side has not taken yet and the side that is slow: `down` for\n"
            "the client, `up` for the upstream. Columns that do not fit are left out, the\n"
            "last line names them; `json` and `show session ID` have everything.\n"
            "\n"
            "route NAME  only the sessions of this route\n"
            "sort KEY    rate (the default: busiest first), age (oldest first), idle\n"
            "            (longest first), bytes (most first), waiting (most first), id,\n"
            "            client, route\n"
            "limit N     at most N rows, 50 when not given\n",
        .run = command_show_sessions,
    },
    {
        .words = "show session",
        .args = {{NULL, ARG_ID, true}, JSON_HERE},
        .help = "one session in full: addresses, flows, round trip times",
        .details =
            "All four addresses of the session, both directions (bytes, write operations,\n"
            "rate, bytes that wait and for how long), its phase, how it was connected, and\n"
            "what TCP knows of both connections, where the system tells.\n",
        .run = command_show_session,
    },
    {
        .words = "show stats",
        .args = {{"route", ARG_ROUTE, false}, JSON_HERE},
        .help = "counters, rates and percentiles, in all and by route",
        .details =
            "In all and for each route (or for one route): sessions open, peak, total,\n"
            "refused and ended by reason; connects, failures and retries; bytes and write\n"
            "operations each way with their rates over the last 1, 10 and 60 s; how long\n"
            "connects and sessions took. `up` is client to upstream, `down` is upstream to\n"
            "client. A percentile is at most 6.25 % above the true value.\n",
        .run = command_show_stats,
    },
    {
        .words = "show config",
        .args = {JSON_HERE},
        .help = "the configuration that runs, every key with its value",
        .details = "The running configuration as a file that pairport would read, defaults\n"
                   "included. What was changed since by `set` shows in `show info`.\n",
        .run = command_show_config,
    },
    {
        .words = "kill",
        .args = {{NULL, ARG_ID, true}},
        .whole = true,
        .help = "ends one session at once",
        .details = "Ends the session; client and upstream both see a reset. `show sessions`\n"
                   "lists the ids.\n",
        .run = command_kill,
    },
    {
        .words = "kill route",
        .args = {{NULL, ARG_ROUTE, true}},
        .whole = true,
        .help = "ends all sessions of a route that are open now",
        .details = "Ends the open sessions of the route; clients and upstreams see a reset.\n"
                   "The route goes on listening and takes new sessions.\n",
        .run = command_kill_route,
    },
    {
        .words = "set log_level",
        .args = {{NULL, ARG_LEVEL, true}},
        .help = "how much is logged, until the next start",
        .details = "LEVEL is error, warning, notice, info or debug, each with all before it.\n"
                   "The configuration's own log_level holds again after the next start.\n",
        .run = command_set_log_level,
    },
    {
        .words = "set columns",
        .args = {{NULL, ARG_COLUMNS, true}},
        .help = "how wide tables may be on this console",
        .details = "N columns, 40 to 1000; 0 shows tables as wide as they are. At a terminal\n"
                   "its own width is used, and again when it is resized.\n",
        .run = command_set_columns,
    },
    {
        .words = "reopen",
        .help = "opens the log file again, after it was moved away",
        .details = "For rotating the log: move the file away, then `reopen` (or SIGHUP on\n"
                   "Linux). If the new file cannot be opened, the old one stays in use.\n",
        .run = command_reopen,
    },
    {
        .words = "shutdown",
        .args = {{"now", ARG_FLAG, false}},
        .whole = true,
        .help = "stops the relay; `now` does not wait for the sessions",
        .details =
            "Stops listening at once and lets the open sessions finish for stop_timeout,\n"
            "then ends them; `shutdown now`, or a second `shutdown`, ends them at once.\n"
            "At the relay's own prompt, Ctrl-C twice on an empty line does the same.\n",
        .run = command_shutdown,
    },
    {
        .words = "quit",
        .help = "leaves the console; the relay goes on",
        .details =
            "Leaves `pairport console`, as Ctrl-D on an empty line does. The relay's own\n"
            "prompt cannot be left: there, `shutdown` stops the relay.\n",
        .run = command_quit,
    },
};

const size_t command_count = sizeof commands / sizeof commands[0];
static_assert(sizeof commands / sizeof commands[0] <= COMMAND_LIMIT,
              "arrays of COMMAND_LIMIT hold one entry a command");
