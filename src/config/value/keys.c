#include "config/value/keys.h"

#include <assert.h>
#include <string.h>

#include "config/conf.h"

#define KB       UINT64_C(1024)
#define MB       (1024 * KB)
#define SECONDS  UINT64_C(1000)
#define MINUTES  (60 * SECONDS)
#define HOURS    (60 * MINUTES)
#define DAYS     (24 * HOURS)
#define SESSIONS UINT64_C(1000000) /* more than one machine has ports and memory for */

/* What fits into a line as conf_write() writes it. */
#define LOG_FILE_MAX   (CONF_LINE_MAX - (sizeof "log_file = " - 1))
#define STATE_FILE_MAX (CONF_LINE_MAX - (sizeof "state_file = " - 1))

/* Offset, size and words of a field; only choices have words. */
#define CONF_CHOICE(field, words)                                                              \
    offsetof(struct conf, field), sizeof(((struct conf *)0)->field), words
#define ROUTE_CHOICE(field, words)                                                             \
    offsetof(struct conf_route, field), sizeof(((struct conf_route *)0)->field), words
#define OF_CONF(field)  CONF_CHOICE(field, NULL)
#define OF_ROUTE(field) ROUTE_CHOICE(field, NULL)

static const char *const console_words[] = {
    [CONF_CONSOLE_LOCAL] = "local", [CONF_CONSOLE_NONE] = "none", NULL};
static const char *const balance_words[] = {[CONF_ROUND_ROBIN] = "round_robin",
                                            [CONF_LEAST_SESSIONS] = "least_sessions",
                                            [CONF_SOURCE_HASH] = "source_hash",
                                            [CONF_RANDOM2] = "random2",
                                            [CONF_FIRST] = "first",
                                            NULL};
static const char *const on_down_words[] = {[CONF_KEEP] = "keep", [CONF_KILL] = "kill", NULL};
static const char *const guard_words[] = {
    [CONF_GUARD_ENFORCE] = "enforce", [CONF_GUARD_DRY_RUN] = "dry_run", NULL};
static const char *const proxy_out_words[] = {
    [CONF_PROXY_OUT_OFF] = "off", [CONF_PROXY_OUT_V1] = "v1", [CONF_PROXY_OUT_V2] = "v2", NULL};
static const char *const proxy_in_words[] = {[CONF_PROXY_IN_OFF] = "off",
                                             [CONF_PROXY_IN_OPTIONAL] = "optional",
                                             [CONF_PROXY_IN_REQUIRED] = "required",
                                             NULL};

/* Why these defaults:
 * - half_close_timeout counts from the last byte that moved or was acknowledged, so it does not
 *   limit what is still being sent to a peer that has finished. 30 s outlast four or five lost
 *   packets in a row (their retransmissions come 1, 2, 4 and 8 s apart) and a game server that
 *   saves a player after their FIN, and a peer that never finishes holds nothing for long.
 * - eject is for servers that fail for everybody: failures of five clients within ten seconds are
 *   no accident of one player, and a server that only restarted misses no more than 30 s.
 * - eject_max leaves half of the servers: when all seem to fail at once, the cause is likely
 *   somewhere else.
 * - queue_max bounds what a flood can hold while no server is up; a waiting client costs one
 *   connection, and a small buffer once it has sent something. One client may have a tenth of the
 *   places, so a flood from one address leaves room for others.
 * - The limits of a client are far above what a player does, and above what a handful of players
 *   behind one address do; a house full of players belongs on guard_exempt or wants more.
 * - connect_rate is what a relay takes without its sessions noticing; with the burst a whole
 *   server's players can come back at once.
 * - max_backlog_age ends a game that stands still, not a slow line: that still takes something.
 * - keepalive stays below the shortest time after which common NAT boxes forget an idle
 *   connection (some minutes), so an idle player keeps theirs. */
const struct key keys[] = {
    {KEY_RELAY, "workers", KEY_WORKERS, "auto", "auto", 1, 256, false, OF_CONF(workers),
     "Number of worker threads. auto: one per processor."},
    {KEY_RELAY, "max_sessions", KEY_COUNT, "10000", NULL, 1, SESSIONS, true,
     OF_CONF(max_sessions),
     "Limit on open sessions of all routes together. A client above it is refused and "
     "counted."},
    {KEY_RELAY, "stop_timeout", KEY_DURATION, "30s", NULL, 0, 24 * HOURS, true,
     OF_CONF(stop_timeout_ms),
     "After a stop signal, sessions may go on for this long; then they are ended. 0 ends them "
     "at once."},
    {KEY_RELAY, "log_level", KEY_LEVEL, "info", NULL, 0, 0, true, OF_CONF(log_level),
     "Which lines are logged: error, warning, notice, info (adds a line for each session's "
     "end) or debug. Each level includes those before it."},
    {KEY_RELAY, "log_file", KEY_TEXT, "", NULL, 0, LOG_FILE_MAX, false, OF_CONF(log_file),
     "Log lines are appended to this file. A relative path starts at the folder of this file. "
     "Empty: the standard error output."},
    {KEY_RELAY, "connect_rate", KEY_RATE, "10000/s burst 20000", NULL, 0, 0, true,
     OF_CONF(connect_rate),
     "Limit on new connections of all routes together: a steady rate, and the burst allowed "
     "above it. off: no limit."},
    {KEY_RELAY, "client_table", KEY_COUNT, "100000", NULL, 1000, 10000000, false,
     OF_CONF(client_table),
     "Size of the table of clients. When it is full, entries without open sessions are "
     "replaced, "
     "those idle for longest first."},
    {KEY_RELAY, "client_prefix_ipv4", KEY_COUNT, "32", NULL, 8, 32, false,
     OF_CONF(client_bits_ipv4),
     "IPv4 addresses with the same leading bits count as one client."},
    {KEY_RELAY, "client_prefix_ipv6", KEY_COUNT, "64", NULL, 16, 128, false,
     OF_CONF(client_bits_ipv6),
     "IPv6 addresses with the same leading bits count as one client."},
    {KEY_RELAY, "tarpit_max", KEY_COUNT, "1000", NULL, 0, 100000, false, OF_CONF(tarpit_max),
     "Limit on clients in the tarpit at the same time. A client above it is reset at once."},
    {KEY_RELAY, "state_file", KEY_TEXT, "", NULL, 0, STATE_FILE_MAX, false, OF_CONF(state_file),
     "Bans are kept in this file over a restart. A relative path starts at the folder of this "
     "file. Empty: bans are lost at a restart. Relays must not share one."},

    {KEY_CONSOLE, "listen", KEY_CHOICE, "local", NULL, 0, 0, false,
     CONF_CHOICE(console, console_words),
     "Whether 'pairport console' can reach this relay: local (through a Unix socket or named "
     "pipe, by the same user) or none."},
    {KEY_CONSOLE, "name", KEY_TEXT, "pairport", NULL, 1, CONF_HOST_MAX - 1, false,
     OF_CONF(console_name),
     "Name of the console's socket or pipe. Relays on the same machine need different names."},

    {KEY_ROUTE, "listen", KEY_LISTEN, NULL, NULL, 0, 0, true, OF_ROUTE(listens),
     "Address that players connect to: ADDRESS:PORT or ADDRESS:FIRST-LAST. * is every address,"
     " IPv4 and IPv6. Repeat the line for more."},
    {KEY_ROUTE, "upstream", KEY_UPSTREAM, NULL, NULL, 0, 0, true, OF_ROUTE(upstreams),
     "Address or name of a game server: HOST:PORT, or HOST:FIRST-LAST with as many ports as "
     "listen has. Options follow behind blanks: weight=N, max_sessions=N, slow_start=30s, "
     "backup, disabled. Repeat the line for more."},
    {KEY_ROUTE, "balance", KEY_CHOICE, "round_robin", NULL, 0, 0, true,
     ROUTE_CHOICE(balance, balance_words),
     "How an upstream is chosen: round_robin (in turn, by weight), least_sessions, source_hash"
     " (by the player's address), random2 (the less loaded of two random ones) or first (the "
     "first one that is not full)."},
    {KEY_ROUTE, "connect_timeout", KEY_DURATION, "5s", NULL, 10, 10 * MINUTES, true,
     OF_ROUTE(connect_timeout_ms), "Time limit for one attempt to connect to an upstream."},
    {KEY_ROUTE, "connect_retries", KEY_COUNT, "3", NULL, 0, 100, true,
     OF_ROUTE(connect_retries),
     "Number of further attempts after a failed connect, each at the next upstream if there "
     "are several."},
    {KEY_ROUTE, "when_down", KEY_WHEN_DOWN, "refuse", NULL, 0, 0, true, OF_ROUTE(when_down),
     "What happens to new players while no upstream can take them: refuse, or hold 30s to let "
     "them wait for up to that long (100ms to 1h)."},
    {KEY_ROUTE, "queue_max", KEY_COUNT, "1000", NULL, 0, SESSIONS, true, OF_ROUTE(queue_max),
     "Limit on players of one route that wait at the same time, with when_down = hold or while"
     " the route is paused."},
    {KEY_ROUTE, "queue_max_per_client", KEY_COUNT, "auto", "auto", 1, SESSIONS, true,
     OF_ROUTE(queue_max_per_client),
     "Limit on places in that queue for one client. auto: a tenth of queue_max. It does not "
     "apply to guard_exempt."},
    {KEY_ROUTE, "health", KEY_HEALTH, "off", NULL, 0, 0, true, OF_ROUTE(health),
     "Active checks of every upstream: off, or tcp with any of interval=2s, timeout=1s, "
     "rise=2, fall=3, fast=1s (the interval while the state changes), port=N, send=\"TEXT\", "
     "expect=\"TEXT\" and end=fin or reset (how a check with send or expect closes)."},
    {KEY_ROUTE, "eject", KEY_EJECT, "5 in 10s for 30s", NULL, 0, 0, true, OF_ROUTE(eject),
     "Passive health: a server that fails for so many clients within that time gets no new "
     "sessions for that time. off: never. A failure is a failed connect, or a reset before "
     "anything of the client was sent."},
    {KEY_ROUTE, "eject_max", KEY_PERCENT, "50%", NULL, 1, 100, true,
     OF_ROUTE(eject_max_percent),
     "Limit on ejected servers of a route at the same time, as a share, rounded down; of two "
     "or more servers one may always be ejected."},
    {KEY_ROUTE, "on_down", KEY_CHOICE, "keep", NULL, 0, 0, true,
     ROUTE_CHOICE(on_down, on_down_words),
     "What happens to the sessions of a server that a check finds down: keep or kill."},
    {KEY_ROUTE, "resolve_interval", KEY_DURATION, "30s", "off", 1 * SECONDS, 1 * DAYS, true,
     OF_ROUTE(resolve_interval_ms),
     "Longest time between two look-ups of an upstream's name; a shorter TTL counts instead. "
     "off: only at the start."},
    {KEY_ROUTE, "source", KEY_SOURCE, "", NULL, 0, 0, true, OF_ROUTE(sources),
     "Local addresses for connections to upstreams, a list with commas, used in turn. Empty: "
     "the system chooses."},
    {KEY_ROUTE, "proxy_protocol_out", KEY_CHOICE, "off", NULL, 0, 0, true,
     ROUTE_CHOICE(proxy_out, proxy_out_words),
     "Sends a PROXY protocol header to the upstream that tells the player's address: off, v1 "
     "or v2."},
    {KEY_ROUTE, "proxy_protocol_in", KEY_CHOICE, "off", NULL, 0, 0, true,
     ROUTE_CHOICE(proxy_in, proxy_in_words),
     "Whether connections from proxy_trust begin with a PROXY protocol header: off, optional "
     "or required."},
    {KEY_ROUTE, "proxy_trust", KEY_TRUST, "", NULL, 0, 0, true, OF_ROUTE(trusts),
     "Proxies whose PROXY headers are believed: addresses and networks such as 10.0.0.0/8, a "
     "list with commas."},
    {KEY_ROUTE, "proxy_timeout", KEY_DURATION, "5s", NULL, 100, 1 * MINUTES, true,
     OF_ROUTE(proxy_timeout_ms), "Time limit for a PROXY header to arrive."},
    {KEY_ROUTE, "guard", KEY_CHOICE, "enforce", NULL, 0, 0, true,
     ROUTE_CHOICE(guard, guard_words),
     "What the keys from here to ban_after do: enforce, or dry_run to only count and log the "
     "clients that they would refuse."},
    {KEY_ROUTE, "refuse", KEY_REFUSE, "reset", NULL, 0, 0, true, OF_ROUTE(refuse),
     "How a client is refused by them: reset, close, or tarpit 10s to keep its connection open"
     " for that long (100ms to 10m). Clients that arrive through a trusted proxy are reset."},
    {KEY_ROUTE, "allow", KEY_ACCESS, "", NULL, 0, 0, true, OF_ROUTE(access),
     "Clients that may connect: addresses and networks, a list with commas, all, or @FILE with"
     " one in each line. Repeat the line for more. Of the networks that match a client, the "
     "longest decides. A client that none matches may connect, unless there are only allow "
     "lines."},
    {KEY_ROUTE, "deny", KEY_ACCESS, "", NULL, 0, 0, true, OF_ROUTE(access),
     "Clients that may not connect, written the same way. A route with allow or deny lines of "
     "its own does not use those of [defaults]."},
    {KEY_ROUTE, "guard_exempt", KEY_EXEMPT, "127.0.0.0/8, ::1", NULL, 0, 0, true,
     OF_ROUTE(exempts),
     "Clients to which bans and the limits of a client do not apply: addresses and networks, a"
     " list with commas. May be empty."},
    {KEY_ROUTE, "max_sessions_per_client", KEY_COUNT, "200", "off", 1, SESSIONS, true,
     OF_ROUTE(max_sessions_per_client),
     "Limit on open sessions of one client on one route. off: no limit."},
    {KEY_ROUTE, "connect_rate_per_client", KEY_RATE, "20/s burst 100", NULL, 0, 0, true,
     OF_ROUTE(connect_rate_per_client),
     "Limit on new connections of one client: a steady rate (/s, /m or /h), and the burst "
     "allowed above it. off: no limit."},
    {KEY_ROUTE, "connect_rate", KEY_RATE, "off", NULL, 0, 0, true, OF_ROUTE(connect_rate),
     "Limit on new connections of one route, from all clients together. off: no limit."},
    {KEY_ROUTE, "ban_after", KEY_BAN_AFTER, "off", NULL, 0, 0, true, OF_ROUTE(ban_after),
     "Bans a client that was refused so often within that time, as in 20 refusals in 10s for "
     "10m. off: never."},
    {KEY_ROUTE, "first_byte_timeout", KEY_DURATION, "off", "off", 100, 1 * HOURS, true,
     OF_ROUTE(first_byte_timeout_ms),
     "Ends a session whose client sends nothing within this time after the connect; for games "
     "in which the client speaks first. off: never."},
    {KEY_ROUTE, "min_rate", KEY_MIN_RATE, "off", NULL, 0, 0, true, OF_ROUTE(min_rate),
     "Ends a session that moves less than this, both ways together, as in 100B/s over 30s. "
     "off: never."},
    {KEY_ROUTE, "max_backlog_age", KEY_DURATION, "5m", "off", 1 * SECONDS, 30 * DAYS, true,
     OF_ROUTE(max_backlog_age_ms),
     "Ends a session in which bytes wait and their reader has taken none for this long. off: "
     "never."},
    {KEY_ROUTE, "max_session_time", KEY_DURATION, "off", "off", 1 * SECONDS, 365 * DAYS, true,
     OF_ROUTE(max_session_time_ms), "Ends every session after this time. off: never."},
    {KEY_ROUTE, "rate_up", KEY_PACE, "off", NULL, 0, 0, true, OF_ROUTE(rate_up),
     "Limit on the bytes that one session sends to the upstream, as in 1MB/s burst 256KB. off:"
     " no limit."},
    {KEY_ROUTE, "rate_down", KEY_PACE, "off", NULL, 0, 0, true, OF_ROUTE(rate_down),
     "Limit on the bytes that one session sends to the client. off: no limit."},
    {KEY_ROUTE, "rate_up_per_client", KEY_PACE, "off", NULL, 0, 0, true,
     OF_ROUTE(rate_up_per_client),
     "The same for all sessions of one client together, to the upstream."},
    {KEY_ROUTE, "rate_down_per_client", KEY_PACE, "off", NULL, 0, 0, true,
     OF_ROUTE(rate_down_per_client),
     "The same for all sessions of one client together, to the client."},
    {KEY_ROUTE, "rate_up_per_route", KEY_PACE, "off", NULL, 0, 0, true,
     OF_ROUTE(rate_up_per_route),
     "The same for all sessions of the route together, to the upstream."},
    {KEY_ROUTE, "rate_down_per_route", KEY_PACE, "off", NULL, 0, 0, true,
     OF_ROUTE(rate_down_per_route),
     "The same for all sessions of the route together, to the client."},
    {KEY_ROUTE, "on_remove", KEY_CHOICE, "keep", NULL, 0, 0, true,
     ROUTE_CHOICE(on_remove, on_down_words),
     "What happens to the sessions of a route that a reload removes: keep or kill."},
    {KEY_ROUTE, "admission_ramp", KEY_RATE, "off", NULL, 0, 0, true, OF_ROUTE(admission_ramp),
     "Limit on the rate at which waiting clients are let in after a pause, or when upstreams "
     "come up, as in 50/s. off: all at once."},
    {KEY_ROUTE, "pause_timeout", KEY_DURATION, "5m", NULL, 1 * SECONDS, 24 * HOURS, true,
     OF_ROUTE(pause_timeout_ms),
     "Time limit for a client to wait while its route is paused. queue_max limits how many "
     "wait."},
    {KEY_ROUTE, "idle_timeout", KEY_DURATION, "10m", "off", 10, 30 * DAYS, true,
     OF_ROUTE(idle_timeout_ms),
     "Ends a session in which no byte moved, either way, for this long. off: never."},
    {KEY_ROUTE, "half_close_timeout", KEY_DURATION, "30s", NULL, 10, 1 * DAYS, true,
     OF_ROUTE(half_close_timeout_ms),
     "The same once one side has finished sending; idle_timeout does not count any more then."},
    {KEY_ROUTE, "max_sessions", KEY_COUNT, "auto", "auto", 1, SESSIONS, true,
     OF_ROUTE(max_sessions),
     "Limit on open sessions of one route. A client above it is refused and counted. auto: as "
     "[relay] max_sessions, or nine tenths of it if there are several routes."},
    {KEY_ROUTE, "keepalive", KEY_DURATION, "60s", "off", 1 * SECONDS, 9 * HOURS, true,
     OF_ROUTE(keepalive_idle_ms),
     "TCP keepalive: after this long without a byte the system asks the peer whether it is "
     "still there, and ends the connection if it is not. off: never."},
    {KEY_ROUTE, "keepalive_interval", KEY_DURATION, "10s", NULL, 1 * SECONDS, 9 * HOURS, true,
     OF_ROUTE(keepalive_interval_ms),
     "Time between two such questions while the peer does not answer."},
    {KEY_ROUTE, "nodelay", KEY_BOOL, "yes", NULL, 0, 0, true, OF_ROUTE(nodelay),
     "Sends small packets at once (TCP_NODELAY), as games need it: yes or no."},
    {KEY_ROUTE, "buffer_size", KEY_SIZE, "512KB", NULL, 4 * KB, 1 * MB, true,
     OF_ROUTE(buffer_bytes),
     "Largest buffer of the relay for one direction of a session whose reader is slow."},
    {KEY_ROUTE, "backlog", KEY_COUNT, "auto", "auto", 1, 65535, false, OF_ROUTE(backlog),
     "Connections that the system may hold until the relay accepts them. auto: as many as the "
     "system allows (net.core.somaxconn on Linux)."},
};

const size_t key_count = sizeof keys / sizeof keys[0];

static_assert(sizeof keys / sizeof keys[0] <= KEYS_MAX, "KEYS_MAX has room for every key");
static_assert(LOG_FILE_MAX < CONF_PATH_MAX && STATE_FILE_MAX < CONF_PATH_MAX,
              "the fields have room for the name");

bool key_reaches_open(const struct key *key)
{
    static const char *const names[] = {
        "on_down",
        "on_remove",
        "first_byte_timeout",
        "min_rate",
        "max_backlog_age",
        "max_session_time",
        "rate_up",
        "rate_down",
        "rate_up_per_client",
        "rate_down_per_client",
        "rate_up_per_route",
        "rate_down_per_route",
        "idle_timeout",
        "half_close_timeout",
        "keepalive",
        "keepalive_interval",
        "nodelay",
        "buffer_size",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(key->name, names[i]) == 0)
            return key->section == KEY_ROUTE;
    return false;
}

const char *key_section_word(enum key_section section)
{
    switch (section) {
    case KEY_RELAY: return "[relay]";
    case KEY_CONSOLE: return "[console]";
    case KEY_ROUTE: return "[route NAME]";
    }
    return "";
}

const struct key *key_find(enum key_section section, const char *name)
{
    for (size_t i = 0; i < key_count; ++i)
        if (keys[i].section == section && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}
