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
     "Worker threads, or auto for one a processor."},
    {KEY_RELAY, "max_sessions", KEY_COUNT, "10000", NULL, 1, SESSIONS, true,
     OF_CONF(max_sessions),
     "Sessions of all routes together; a client above it is refused at once and counted."},
    {KEY_RELAY, "stop_timeout", KEY_DURATION, "30s", NULL, 0, 24 * HOURS, true,
     OF_CONF(stop_timeout_ms),
     "How long running sessions may go on after a stop signal; 0 ends them at once."},
    {KEY_RELAY, "log_level", KEY_LEVEL, "info", NULL, 0, 0, true, OF_CONF(log_level),
     "What is logged: error, warning, notice, info (each session's end too) or debug."},
    {KEY_RELAY, "log_file", KEY_TEXT, "", NULL, 0, LOG_FILE_MAX, false, OF_CONF(log_file),
     "The file that log lines are appended to, relative to the folder of this one; empty for "
     "the standard error output."},
    {KEY_RELAY, "connect_rate", KEY_RATE, "10000/s burst 20000", NULL, 0, 0, true,
     OF_CONF(connect_rate),
     "New connections of all routes together: so many at once (burst), then as many as that; "
     "or off."},
    {KEY_RELAY, "client_table", KEY_COUNT, "100000", NULL, 1000, 10000000, false,
     OF_CONF(client_table),
     "Clients that are remembered at a time; above it the least useful are forgotten."},
    {KEY_RELAY, "client_prefix_ipv4", KEY_COUNT, "32", NULL, 8, 32, false,
     OF_CONF(client_bits_ipv4), "Leading bits of an IPv4 address that make one client."},
    {KEY_RELAY, "client_prefix_ipv6", KEY_COUNT, "64", NULL, 16, 128, false,
     OF_CONF(client_bits_ipv6), "Leading bits of an IPv6 address that make one client."},
    {KEY_RELAY, "tarpit_max", KEY_COUNT, "1000", NULL, 0, 100000, false, OF_CONF(tarpit_max),
     "Clients kept in the tarpit at a time; one above it is reset at once."},
    {KEY_RELAY, "state_file", KEY_TEXT, "", NULL, 0, STATE_FILE_MAX, false, OF_CONF(state_file),
     "The file that keeps bans over a restart, relative to the folder of this one; empty to "
     "forget them. Each relay needs one of its own."},

    {KEY_CONSOLE, "listen", KEY_CHOICE, "local", NULL, 0, 0, false,
     CONF_CHOICE(console, console_words),
     "Whether 'pairport console' can reach this relay: local (a Unix socket or named pipe for "
     "its own user) or none."},
    {KEY_CONSOLE, "name", KEY_TEXT, "pairport", NULL, 1, CONF_HOST_MAX - 1, false,
     OF_CONF(console_name),
     "Names the console's endpoint; relays on the same machine need different names."},

    {KEY_ROUTE, "listen", KEY_LISTEN, NULL, NULL, 0, 0, true, OF_ROUTE(listens),
     "Where players connect: ADDRESS:PORT or ADDRESS:FIRST-LAST, with * for all addresses, "
     "IPv4 "
     "and IPv6; repeat the line for more."},
    {KEY_ROUTE, "upstream", KEY_UPSTREAM, NULL, NULL, 0, 0, true, OF_ROUTE(upstreams),
     "The game server, an address or a name: HOST:PORT, or HOST:FIRST-LAST with as many ports "
     "as listen has; behind it may stand weight=N, max_sessions=N, slow_start=30s, backup and "
     "disabled; repeat the line for more."},
    {KEY_ROUTE, "balance", KEY_CHOICE, "round_robin", NULL, 0, 0, true,
     ROUTE_CHOICE(balance, balance_words),
     "Which upstream a session goes to: round_robin (in turn, by weight), least_sessions, "
     "source_hash (the player's address decides), random2 (the less loaded of two) or first "
     "(the first that is not full)."},
    {KEY_ROUTE, "connect_timeout", KEY_DURATION, "5s", NULL, 10, 10 * MINUTES, true,
     OF_ROUTE(connect_timeout_ms), "How long one attempt to connect to an upstream may take."},
    {KEY_ROUTE, "connect_retries", KEY_COUNT, "3", NULL, 0, 100, true,
     OF_ROUTE(connect_retries),
     "Further attempts after the first one failed, at the next upstream if there are several."},
    {KEY_ROUTE, "when_down", KEY_WHEN_DOWN, "refuse", NULL, 0, 0, true, OF_ROUTE(when_down),
     "What a new player meets while no upstream can take them: refuse, or hold 30s to let them "
     "wait that long for one, 100ms to 1h."},
    {KEY_ROUTE, "queue_max", KEY_COUNT, "1000", NULL, 0, SESSIONS, true, OF_ROUTE(queue_max),
     "Players of one route that may wait at the same time, with when_down = hold or while it "
     "is "
     "paused."},
    {KEY_ROUTE, "queue_max_per_client", KEY_COUNT, "auto", "auto", 1, SESSIONS, true,
     OF_ROUTE(queue_max_per_client),
     "How many of these places one client may have; auto: a tenth of queue_max. It does not "
     "apply to guard_exempt."},
    {KEY_ROUTE, "health", KEY_HEALTH, "off", NULL, 0, 0, true, OF_ROUTE(health),
     "Checks every upstream: off, or tcp with any of interval=2s, timeout=1s, rise=2, fall=3, "
     "fast=1s (the interval while the state changes), port=N, send=\"TEXT\", "
     "expect=\"TEXT\" and end=fin or reset (how a check with one of these two ends)."},
    {KEY_ROUTE, "eject", KEY_EJECT, "5 in 10s for 30s", NULL, 0, 0, true, OF_ROUTE(eject),
     "Leaves out a server that failed for so many clients within that time, for that time; or "
     "off. Failures are connects that failed and resets before anything of the client was "
     "sent."},
    {KEY_ROUTE, "eject_max", KEY_PERCENT, "50%", NULL, 1, 100, true,
     OF_ROUTE(eject_max_percent),
     "At most this share of a route's servers is ejected at a time: rounded down, but one of "
     "two or more."},
    {KEY_ROUTE, "on_down", KEY_CHOICE, "keep", NULL, 0, 0, true,
     ROUTE_CHOICE(on_down, on_down_words),
     "What becomes of the sessions of an upstream that a check finds down: keep or kill."},
    {KEY_ROUTE, "resolve_interval", KEY_DURATION, "30s", "off", 1 * SECONDS, 1 * DAYS, true,
     OF_ROUTE(resolve_interval_ms),
     "Longest time between look-ups of a name, or its TTL if shorter. off: only at start."},
    {KEY_ROUTE, "source", KEY_SOURCE, "", NULL, 0, 0, true, OF_ROUTE(sources),
     "Local addresses for connections to upstreams, taken in turn, a list with commas; empty "
     "leaves it to the system."},
    {KEY_ROUTE, "proxy_protocol_out", KEY_CHOICE, "off", NULL, 0, 0, true,
     ROUTE_CHOICE(proxy_out, proxy_out_words),
     "Tells the upstream who the player is, by a PROXY protocol header: off, v1 or v2."},
    {KEY_ROUTE, "proxy_protocol_in", KEY_CHOICE, "off", NULL, 0, 0, true,
     ROUTE_CHOICE(proxy_in, proxy_in_words),
     "Whether connections from proxy_trust begin with a PROXY protocol header: off, optional "
     "or required."},
    {KEY_ROUTE, "proxy_trust", KEY_TRUST, "", NULL, 0, 0, true, OF_ROUTE(trusts),
     "Whose PROXY headers are believed: addresses and networks such as 10.0.0.0/8, a list with "
     "commas."},
    {KEY_ROUTE, "proxy_timeout", KEY_DURATION, "5s", NULL, 100, 1 * MINUTES, true,
     OF_ROUTE(proxy_timeout_ms), "How long a PROXY header may take to come."},
    {KEY_ROUTE, "guard", KEY_CHOICE, "enforce", NULL, 0, 0, true,
     ROUTE_CHOICE(guard, guard_words),
     "What the keys from here to ban_after do: enforce, or dry_run to only count and log whom "
     "they would refuse."},
    {KEY_ROUTE, "refuse", KEY_REFUSE, "reset", NULL, 0, 0, true, OF_ROUTE(refuse),
     "How they turn a client away: reset, close, or tarpit 10s to let it wait that long, "
     "100ms "
     "to 10m. Who comes by a proxy of proxy_trust is reset instead."},
    {KEY_ROUTE, "allow", KEY_ACCESS, "", NULL, 0, 0, true, OF_ROUTE(access),
     "Who may connect: addresses and networks, a list with commas, all, or @FILE with one in "
     "each line; repeat the line for more. The longest network that has a client decides; one "
     "that has none may pass unless there are only allow lines."},
    {KEY_ROUTE, "deny", KEY_ACCESS, "", NULL, 0, 0, true, OF_ROUTE(access),
     "Who may not, written the same way. A route with allow or deny lines of its own does not "
     "use those of [defaults]."},
    {KEY_ROUTE, "guard_exempt", KEY_EXEMPT, "127.0.0.0/8, ::1", NULL, 0, 0, true,
     OF_ROUTE(exempts),
     "Whom bans and the limits of a client do not apply to: addresses and networks, a list "
     "with commas; may be empty."},
    {KEY_ROUTE, "max_sessions_per_client", KEY_COUNT, "200", "off", 1, SESSIONS, true,
     OF_ROUTE(max_sessions_per_client), "Sessions of one client on one route; or off."},
    {KEY_ROUTE, "connect_rate_per_client", KEY_RATE, "20/s burst 100", NULL, 0, 0, true,
     OF_ROUTE(connect_rate_per_client),
     "New connections of one client: so many at once (burst), then as many as that, with /s, "
     "/m or /h; or off."},
    {KEY_ROUTE, "connect_rate", KEY_RATE, "off", NULL, 0, 0, true, OF_ROUTE(connect_rate),
     "New connections of one route from all clients; or off."},
    {KEY_ROUTE, "ban_after", KEY_BAN_AFTER, "off", NULL, 0, 0, true, OF_ROUTE(ban_after),
     "Bans a client that was refused so often, as in 20 refusals in 10s for 10m; or off."},
    {KEY_ROUTE, "first_byte_timeout", KEY_DURATION, "off", "off", 100, 1 * HOURS, true,
     OF_ROUTE(first_byte_timeout_ms),
     "How long a client may say nothing at first, for games in which it speaks first; or off."},
    {KEY_ROUTE, "min_rate", KEY_MIN_RATE, "off", NULL, 0, 0, true, OF_ROUTE(min_rate),
     "Ends a session that moves less than this, both ways together, as in 100B/s over 30s; or "
     "off."},
    {KEY_ROUTE, "max_backlog_age", KEY_DURATION, "5m", "off", 1 * SECONDS, 30 * DAYS, true,
     OF_ROUTE(max_backlog_age_ms),
     "Ends a session in which bytes wait and their reader took none for this long; or off."},
    {KEY_ROUTE, "max_session_time", KEY_DURATION, "off", "off", 1 * SECONDS, 365 * DAYS, true,
     OF_ROUTE(max_session_time_ms), "Ends every session after this long; or off."},
    {KEY_ROUTE, "rate_up", KEY_PACE, "off", NULL, 0, 0, true, OF_ROUTE(rate_up),
     "How fast one session moves bytes to the upstream, as in 1MB/s burst 256KB; or off."},
    {KEY_ROUTE, "rate_down", KEY_PACE, "off", NULL, 0, 0, true, OF_ROUTE(rate_down),
     "How fast one session moves bytes to the client; or off."},
    {KEY_ROUTE, "rate_up_per_client", KEY_PACE, "off", NULL, 0, 0, true,
     OF_ROUTE(rate_up_per_client), "The same for all sessions of a client, to the upstream."},
    {KEY_ROUTE, "rate_down_per_client", KEY_PACE, "off", NULL, 0, 0, true,
     OF_ROUTE(rate_down_per_client), "The same for all sessions of a client, to the client."},
    {KEY_ROUTE, "rate_up_per_route", KEY_PACE, "off", NULL, 0, 0, true,
     OF_ROUTE(rate_up_per_route), "The same for all sessions of a route, to the upstream."},
    {KEY_ROUTE, "rate_down_per_route", KEY_PACE, "off", NULL, 0, 0, true,
     OF_ROUTE(rate_down_per_route), "The same for all sessions of a route, to the client."},
    {KEY_ROUTE, "on_remove", KEY_CHOICE, "keep", NULL, 0, 0, true,
     ROUTE_CHOICE(on_remove, on_down_words),
     "What becomes of the sessions of a route that a reload removes: keep or kill."},
    {KEY_ROUTE, "admission_ramp", KEY_RATE, "off", NULL, 0, 0, true, OF_ROUTE(admission_ramp),
     "How fast clients are let in after a resume or a start, as in 50/s; or off."},
    {KEY_ROUTE, "pause_timeout", KEY_DURATION, "5m", NULL, 1 * SECONDS, 24 * HOURS, true,
     OF_ROUTE(pause_timeout_ms),
     "How long a client waits at most while its route is paused; queue_max bounds how many."},
    {KEY_ROUTE, "idle_timeout", KEY_DURATION, "10m", "off", 10, 30 * DAYS, true,
     OF_ROUTE(idle_timeout_ms),
     "Ends a session when no byte moved either way for this long; or off."},
    {KEY_ROUTE, "half_close_timeout", KEY_DURATION, "30s", NULL, 10, 1 * DAYS, true,
     OF_ROUTE(half_close_timeout_ms),
     "Takes the place of idle_timeout as soon as one side has finished sending."},
    {KEY_ROUTE, "max_sessions", KEY_COUNT, "auto", "auto", 1, SESSIONS, true,
     OF_ROUTE(max_sessions),
     "Sessions of one route; a client above it is refused at once and counted. auto: as many "
     "as "
     "[relay] max_sessions, or nine tenths of that if there are several routes."},
    {KEY_ROUTE, "keepalive", KEY_DURATION, "60s", "off", 1 * SECONDS, 9 * HOURS, true,
     OF_ROUTE(keepalive_idle_ms),
     "Asks a silent peer for a sign of life after this long, so that dead ones are found; "
     "or off."},
    {KEY_ROUTE, "keepalive_interval", KEY_DURATION, "10s", NULL, 1 * SECONDS, 9 * HOURS, true,
     OF_ROUTE(keepalive_interval_ms),
     "Time between such questions while the peer does not answer."},
    {KEY_ROUTE, "nodelay", KEY_BOOL, "yes", NULL, 0, 0, true, OF_ROUTE(nodelay),
     "Sends small packets at once (TCP_NODELAY), as games need it: yes or no."},
    {KEY_ROUTE, "buffer_size", KEY_SIZE, "512KB", NULL, 4 * KB, 1 * MB, true,
     OF_ROUTE(buffer_bytes),
     "Most bytes of one direction that the relay holds for a slow reader."},
    {KEY_ROUTE, "backlog", KEY_COUNT, "1024", NULL, 1, 65535, false, OF_ROUTE(backlog),
     "Connections the system may hold until the relay accepts them."},
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
