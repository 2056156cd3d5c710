#include "control/commands.h"

#include <assert.h>
#include <stddef.h>

#include "control/act/act.h"
#include "control/show/show.h"
#include "control/takeover/predecessors.h"
#include "control/takeover/takeover.h"

#define JSON_HERE                                                                              \
    {                                                                                          \
        "json", ARG_FLAG, false                                                                \
    }

#define UPSTREAM_HERE                                                                          \
    "Of NAME, as `show upstreams` has it, the host or an unambiguous beginning is\n"           \
    "enough: `lobby/10.0.0.5`.\n"

static const struct command all[] = {
    {
        .words = "help",
        .args = {{NULL, ARG_TOPIC, false}},
        .help = "lists the commands, or explains one",
        .details =
            "`help` lists all commands, `help show` those that begin with `show`, and\n"
            "`help show sessions` explains one.\n"
            "\n"
            "Words may be shortened as long as they fit one command (`sh sess`). A command\n"
            "that changes something wants a word that begins no other command: `rel` is\n"
            "`reload`, `re` could be four. A command that ends sessions is written in full.\n"
            "Tab completes. Text with blanks goes in \"quotes\". A line that begins with # is\n"
            "a comment.\n"
            "\n"
            "The name of a route or an upstream may stand alone where it can be nothing\n"
            "else: `drain lobby`, `enable lobby/10.0.0.5`, `show stats lobby`.\n",
        .run = command_help,
        .lines = LINES_FLOW,
    },
    {
        .words = "show info",
        .args = {JSON_HERE},
        .help = "the program: version, uptime, limits, memory",
        .details =
            "The state of the whole program: version and backend, uptime, workers, open\n"
            "sessions, descriptors and their limit, memory, processor time, configuration\n"
            "file, log, and what the completion port did. `busy` is the share of one\n"
            "processor that the program used on average since its start. After a takeover\n"
            "`predecessors` are the relays before, and what they wait for.\n",
        .run = command_show_info,
        .forward = FORWARD_INFO,
    },
    {
        .words = "show routes",
        .args = {JSON_HERE},
        .help = "the routes: where they listen, sessions, rates",
        .details =
            "One row a route, a further row for each further address it listens on.\n"
            "OPEN, PEAK, MAX are sessions now, at most so far, and allowed; TOTAL counts\n"
            "admitted ones, REFUSED those turned away before an upstream was tried. HELD\n"
            "are clients that wait now: for an upstream (`when_down = hold`), for `resume`\n"
            "or for their turn at the admission_ramp. UP/S and DOWN/S are rates over the\n"
            "last 10 s. STATE is DRAIN, PAUSED or FROZEN by an operator, of which a line\n"
            "below the table tells more; `ramps` while clients are let in at the\n"
            "admission_ramp; `starved` while a listener waits for descriptors or memory,\n"
            "after which it goes on by itself; GONE for a route that a reload has not\n"
            "found in the file any more, until its last session is over.\n",
        .run = command_show_routes,
        .forward = FORWARD_ROUTES,
    },
    {
        .words = "show upstreams",
        .args = {{"route", ARG_ROUTE, false}, JSON_HERE},
        .help = "the upstreams: state and why, sessions, times",
        .details =
            "One row an upstream; when its name has several addresses, one more for each.\n"
            "With `route NAME` those of one route. `json` has everything of each address.\n"
            "\n"
            "STATE    UP (2/3: so many more failed checks of 3 take it down), DOWN (1/2: so\n"
            "         many of 2 passed), EJECTED after failures, FULL, DRAIN and DISABLED\n"
            "         (see `help drain upstream`), INIT and DOWN (resolution) of a name\n"
            "WHY      the last health check or what keeps it so; SINCE is for how long\n"
            "WEIGHT   its share; with a percentage while a slow start lasts\n"
            "OPEN     sessions now; PEAK and TOTAL so far, MAX allowed\n"
            "FAILED   connects that did not come about; P50 and P99 are the time that half\n"
            "         of all and 99 of 100 connects stayed below\n"
            "UP/S     rates over the last 10 s, as DOWN/S\n"
            "CHECKS   health checks so far, BAD are those that failed\n"
            "PORTS    local ports used of those there are, at the busiest source address;\n"
            "         ! from 80 % on\n",
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
            "the client, `up` for the upstream. STATE is `accept` while a PROXY header is\n"
            "awaited, `held` while no upstream can take the client, `paced` while a rate has\n"
            "no room for it, `frozen` while its route is. VIA is who sent the PROXY header,\n"
            "where there are any. Columns that do not fit are left out, the last line names\n"
            "them; `json` and `show session ID` have everything. Sessions of relays that this\n"
            "one has taken over from stand below, those of each process together.\n"
            "\n"
            "route NAME  only the sessions of this route\n"
            "sort KEY    rate (the default: busiest first), age (oldest first), idle\n"
            "            (longest first), bytes (most first), waiting (most first), id,\n"
            "            client, route, newest (the highest id first)\n"
            "limit N     at most N rows, 50 when not given\n",
        .run = command_show_sessions,
        .forward = FORWARD_SESSIONS,
    },
    {
        .words = "show session",
        .args = {{NULL, ARG_ID, true}, JSON_HERE},
        .help = "one session: addresses, flows, round trip times",
        .details =
            "All four addresses of the session, both directions (bytes, write operations,\n"
            "rate, bytes that wait and for how long), its phase, what it waits for, how it\n"
            "was connected, and what TCP knows of both connections, where the system tells.\n",
        .run = command_show_session,
        .forward = FORWARD_OTHERWISE,
    },
    {
        .words = "show stats",
        .args = {{"route", ARG_ROUTE, false}, JSON_HERE},
        .help = "counters, rates, percentiles, in all and by route",
        .details =
            "In all and for each route (or for one route): sessions open, peak, total,\n"
            "refused and ended by reason; connects, failures and retries; waits for room in\n"
            "a rate (rate_up, rate_down, ...), where there were any; bytes and write\n"
            "operations each way with their rates over the last 1, 10 and 60 s; how long\n"
            "connects and sessions took. `up` is client to upstream, `down` is upstream to\n"
            "client. A percentile is at most 6.25 % above the true value.\n",
        .run = command_show_stats,
    },
    {
        .words = "show config",
        .args = {JSON_HERE},
        .help = "the configuration that runs, with every key",
        .details = "The running configuration as a file that pairport would read, defaults\n"
                   "included. What was changed since on a console shows in `show info` and\n"
                   "`show upstreams`.\n",
        .run = command_show_config,
        .lines = LINES_KEEP,
    },
    {
        .words = "show bans",
        .args = {JSON_HERE},
        .help = "who is banned, by whom, why and until when",
        .details =
            "One row a ban. UNTIL is UTC, as in the log, LEFT how long that is from now.\n"
            "A REASON that has no room ends in …; `json` has it whole. HITS are\n"
            "clients that were turned away by it. The last line says whether bans are kept\n"
            "over a restart, and where (`state_file` of [relay]).\n",
        .run = command_show_bans,
    },
    {
        .words = "show clients",
        .args = {{"route", ARG_ROUTE, false}, {"limit", ARG_LIMIT, false}, JSON_HERE},
        .help = "clients that are remembered, most refused first",
        .details =
            "One row a client of a route: an address, or as many of its leading bits as\n"
            "client_prefix_ipv4 and client_prefix_ipv6 say. OPEN are its sessions now,\n"
            "ENTERED those admitted so far, REFUSED is how often it was turned away by its\n"
            "own limits, QUIET since when it did neither. Clients on guard_exempt are not\n"
            "remembered; whom a ban turns away is counted there, as the last line says.\n"
            "When the table (client_table) is full, new clients take the places of those\n"
            "that were quiet for longest.\n"
            "\n"
            "route NAME  only the clients of this route\n"
            "limit N     at most N rows, 50 when not given\n",
        .run = command_show_clients,
    },
    {
        .words = "ban",
        .args = {{NULL, ARG_NET, true},
                 {"for", ARG_DURATION, false},
                 {"keep", ARG_FLAG, false},
                 {"reason", ARG_REASON, false},
                 {"force", ARG_FLAG, false}},
        .whole = true,
        .help = "turns a network away, and ends its sessions",
        .details =
            "New clients of the address (192.0.2.7) or network (192.0.2.0/24, 2001:db8::/32)\n"
            "are turned away on all routes, as `refuse` of the route says, and sessions\n"
            "that are open end. A ban of the same network takes the place of the old one.\n"
            "\n"
            "for DURATION  how long, as 30m, 12h or 7d; for ever when not given\n"
            "keep          open sessions go on\n"
            "reason TEXT   is shown and logged; with blanks it goes in \"quotes\"\n"
            "force         also for a network shorter than /8 (IPv6: /16), which holds very\n"
            "              many clients, or that has the address from which you are connected\n"
            "              by SSH (not known behind sudo)\n"
            "\n"
            "Clients on guard_exempt of a route can't be banned there, and a route with\n"
            "`guard = dry_run` lets banned clients in. Bans survive a reload, and a restart\n"
            "if `state_file` is set.\n",
        .run = command_ban,
        .forward = FORWARD_ALL,
    },
    {
        .words = "unban",
        .args = {{NULL, ARG_NET, true}},
        .changes = true,
        .help = "ends a ban",
        .details = "Ends the ban of exactly this address or network, as `show bans` has it.\n",
        .run = command_unban,
        .forward = FORWARD_ALL,
    },
    {
        .words = "kill",
        .args = {{NULL, ARG_ID, true}},
        .whole = true,
        .help = "ends one session at once",
        .details = "Ends the session; client and upstream both see a reset. `show sessions`\n"
                   "lists the ids.\n",
        .run = command_kill,
        .forward = FORWARD_OTHERWISE,
    },
    {
        .words = "kill route",
        .args = {{NULL, ARG_ROUTE, true}},
        .whole = true,
        .help = "ends all sessions of a route that are open now",
        .details = "Ends the open sessions of the route; clients and upstreams see a reset.\n"
                   "The route goes on listening and takes new sessions.\n",
        .run = command_kill_route,
        .forward = FORWARD_ALL,
    },
    {
        .words = "kill client",
        .args = {{NULL, ARG_NET, true}, {"force", ARG_FLAG, false}},
        .whole = true,
        .help = "ends all sessions of an address or a network",
        .details = "Ends the open sessions of the client, an IP address or a network such as\n"
                   "192.0.2.0/24 or 2001:db8::/64, on all routes. It may come back at once. A\n"
                   "network shorter than /8 (IPv6: /16) holds very many: it wants `force`, as\n"
                   "does one that has the address from which you are connected by SSH.\n",
        .run = command_kill_client,
        .forward = FORWARD_ALL,
    },
    {
        .words = "kill upstream",
        .args = {{NULL, ARG_UPSTREAM, true}},
        .whole = true,
        .help = "ends all sessions at an upstream",
        .details =
            "Ends the sessions that the upstream has, those being connected included. It\n"
            "goes on taking new ones; `drain upstream ... kill` is without them.\n"
            "\n" UPSTREAM_HERE,
        .run = command_kill_upstream,
        .forward = FORWARD_ALL,
    },
    {
        .words = "kill older",
        .args = {{NULL, ARG_DURATION, true}},
        .whole = true,
        .help = "ends all sessions that have lasted for longer",
        .details = "Ends the sessions of all routes that began DURATION ago or earlier, as in\n"
                   "`kill older 12h`. AGE of `show sessions sort age` says how old they are.\n",
        .run = command_kill_older,
        .forward = FORWARD_ALL,
    },
    {
        .words = "pause",
        .args = {{NULL, ARG_ROUTES, true}, {"frozen", ARG_FLAG, false}},
        .changes = true,
        .help = "new clients of a route wait until it is resumed",
        .details =
            "For a short restart behind the relay: new clients are accepted and wait in the\n"
            "order in which they came, at most queue_max of them and each for at most\n"
            "pause_timeout, then they are let in by `resume`. What they send waits, too. Open\n"
            "sessions go on; with `frozen` nothing is read from them either, for a server\n"
            "that must stand still while it saves. `all` pauses every route. `show routes`\n"
            "says since when and how many wait.\n",
        .run = command_pause,
    },
    {
        .words = "resume",
        .args = {{NULL, ARG_ROUTES, true}},
        .changes = true,
        .help = "ends a pause or a drain of a route",
        .details =
            "Clients that wait get their turn in the order in which they came, and frozen\n"
            "sessions go on. With an admission_ramp clients are let in at that rate until\n"
            "nobody waits any more. Where no upstream is up, when_down decides. A route that\n"
            "was drained takes new clients again.\n",
        .run = command_resume,
    },
    {
        .words = "drain route",
        .args = {{NULL, ARG_ROUTE, true},
                 {"over", ARG_DURATION, false},
                 {"kill", ARG_FLAG, false}},
        .whole = true,
        .help = "a route turns new clients away, and empties",
        .details =
            "New clients are refused and clients that wait are sent away, until `resume`.\n"
            "Open sessions go on; `show routes` says how many are left.\n"
            "\n"
            "over DURATION  ends them evenly over that time, the oldest first\n"
            "kill           ends those that are left then; without `over`, all at once\n"
            "\n"
            "Said again it goes on by the new plan.\n",
        .run = command_drain_route,
    },
    {
        .words = "enable upstream",
        .args = {{NULL, ARG_UPSTREAM, true}},
        .changes = true,
        .help = "lets an upstream take new sessions again",
        .details = "Ends what `drain upstream`, `disable upstream` or `disabled` in the\n"
                   "configuration began, and the ejection of its addresses. A disabled one is\n"
                   "checked again and gets its share bit by bit when it has a slow_start.\n"
                   "\n" UPSTREAM_HERE,
        .run = command_enable_upstream,
    },
    {
        .words = "disable upstream",
        .args = {{NULL, ARG_UPSTREAM, true}},
        .changes = true,
        .help = "no new sessions, and no health checks either",
        .details = "For an upstream that is away for long: it gets no new sessions and is not\n"
                   "checked (HAProxy calls it maintenance). Its open sessions go on. Until\n"
                   "`enable upstream` or the next start.\n"
                   "\n" UPSTREAM_HERE,
        .run = command_disable_upstream,
    },
    {
        .words = "drain upstream",
        .args = {{NULL, ARG_UPSTREAM, true},
                 {"over", ARG_DURATION, false},
                 {"kill", ARG_FLAG, false}},
        .whole = true,
        .help = "no new sessions; open ones go on, as do checks",
        .details =
            "Before a restart: new players go to the other upstreams, or are held or\n"
            "refused as when_down says, while open sessions go on. WHY of `show upstreams`\n"
            "says how many are left, and its check when the upstream is back. Until\n"
            "`enable upstream` or the next start.\n"
            "\n"
            "over DURATION  ends them evenly over that time, the oldest first\n"
            "kill           ends those that are left then; without `over`, all at once\n"
            "\n" UPSTREAM_HERE,
        .run = command_drain_upstream,
    },
    {
        .words = "resolve",
        .args = {{NULL, ARG_UPSTREAM, true}},
        .changes = true,
        .help = "looks the name of an upstream up right now",
        .details =
            "Resolves the name of the upstream as soon as possible, without waiting for it.\n"
            "Addresses that are new get sessions, those that are gone get no more; when it\n"
            "does not resolve, the addresses stay.\n"
            "\n" UPSTREAM_HERE,
        .run = command_resolve,
    },
    {
        .words = "set weight",
        .args = {{NULL, ARG_UPSTREAM, true}, {NULL, ARG_WEIGHT, true}},
        .changes = true,
        .help = "an upstream's share of the new sessions",
        .details = "N is 0 to 256; the share is what it is beside the other upstreams of the\n"
                   "route. 0 takes no new sessions, as after `drain upstream`. The\n"
                   "configuration's own weight holds again after the next start, or when a\n"
                   "reload finds another one.\n"
                   "\n" UPSTREAM_HERE,
        .run = command_set_weight,
    },
    {
        .words = "set max_sessions",
        .args = {{NULL, ARG_UPSTREAM, true}, {NULL, ARG_SESSIONS, true}},
        .changes = true,
        .help = "how many sessions an upstream may have",
        .details = "N is 1 to 1000000, or 0 for no limit. An upstream that has more already\n"
                   "keeps them and takes no new ones until it has fewer. The configuration's\n"
                   "own max_sessions holds again after the next start, or when a reload finds\n"
                   "another one.\n"
                   "\n" UPSTREAM_HERE,
        .run = command_set_max_sessions,
    },
    {
        .words = "set log_level",
        .args = {{NULL, ARG_LEVEL, true}},
        .changes = true,
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
        .changes = true,
        .help = "opens the log file again, after it was moved away",
        .details = "For rotating the log: move the file away, then `reopen` (or SIGHUP on\n"
                   "Linux). If the new file cannot be opened, the old one stays in use.\n",
        .run = command_reopen,
        .forward = FORWARD_ALL,
    },
    {
        .words = "reload plan",
        .args = {JSON_HERE},
        .help = "what `reload` would change",
        .details =
            "Reads the configuration file again and compares it with what is in effect.\n"
            "Nothing is changed. A file with mistakes is answered with them.\n",
        .run = command_reload_plan,
    },
    {
        .words = "reload",
        .args = {JSON_HERE},
        .changes = true,
        .help = "goes on with the configuration file as it is now",
        .details =
            "A file with a mistake, or with a port that cannot be listened on, changes\n"
            "nothing. Otherwise everything changes at once: sessions go on, ports that stay\n"
            "are listened on all the time, counters go on counting. A route that is no\n"
            "longer in the file takes no clients; its sessions go on, or end where it had\n"
            "on_remove = kill. So do those of an upstream that is no longer there. What the\n"
            "console has set (drain, disable, weight, max_sessions) stays, unless the file\n"
            "has another value for it than before. Keys that need a restart say so, and\n"
            "stay as they are. `reload plan` shows all of that beforehand; SIGHUP does the\n"
            "same on Linux.\n",
        .run = command_reload,
    },
    {
        .words = "shutdown",
        .args = {{"now", ARG_FLAG, false}, {"drain", ARG_DURATION, false}},
        .whole = true,
        .help = "stops the relay; `now` does not wait for sessions",
        .details =
            "Stops listening at once and lets the open sessions finish for stop_timeout,\n"
            "then ends them; `shutdown now`, or a second `shutdown`, ends them at once.\n"
            "`shutdown drain 10m` ends them evenly over that time, the oldest first.\n"
            "`show info` and the log say how many are left.\n"
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

static_assert(sizeof all / sizeof all[0] <= COMMAND_LIMIT,
              "arrays of COMMAND_LIMIT hold one entry a command");

const struct command_table commands = {
    .all = all,
    .count = sizeof all / sizeof all[0],
    .forward = predecessors_forward,
    .serve_takeover = takeover_give,
};
