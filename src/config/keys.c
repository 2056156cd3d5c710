#include "config/keys.h"

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
#define LOG_FILE_MAX (CONF_LINE_MAX - (sizeof "log_file = " - 1))

#define OF_CONF(field) offsetof(struct conf, field), sizeof(((struct conf *)0)->field)
#define OF_ROUTE(field)                                                                        \
    offsetof(struct conf_route, field), sizeof(((struct conf_route *)0)->field)

/* Why these defaults:
 * half_close_timeout counts from the last byte, so it does not limit what is still being sent
 * to a peer that has finished. 30 s outlast four or five lost packets in a row (their
 * retransmissions come 1, 2, 4 and 8 s apart) and a game server that saves a player after his
 * FIN, and are short enough that a peer who will never finish holds nothing for long.
 * keepalive stays below the shortest idle time after which common NAT boxes forget a
 * connection with nothing moving (some minutes), so an idle player keeps his. */
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
     "The file that log lines are appended to; empty for the standard error output."},

    {KEY_CONSOLE, "listen", KEY_CONSOLE_MODE, "local", NULL, 0, 0, false, OF_CONF(console),
     "Whether 'pairport console' can reach this relay: local (a Unix socket or named pipe for "
     "its own user) or none."},
    {KEY_CONSOLE, "name", KEY_TEXT, "pairport", NULL, 1, CONF_HOST_MAX - 1, false,
     OF_CONF(console_name),
     "Names the console's endpoint; relays on the same machine need different names."},

    {KEY_ROUTE, "listen", KEY_LISTEN, NULL, NULL, 0, 0, true, OF_ROUTE(listens),
     "Where players connect: ADDRESS:PORT, or *:PORT for all addresses, IPv4 and IPv6; repeat "
     "the line for more."},
    {KEY_ROUTE, "upstream", KEY_UPSTREAM, NULL, NULL, 0, 0, true, OF_ROUTE(upstreams),
     "The game server, an address or a name: HOST:PORT; repeat the line for more, sessions go "
     "to them in turn."},
    {KEY_ROUTE, "connect_timeout", KEY_DURATION, "5s", NULL, 10, 10 * MINUTES, true,
     OF_ROUTE(connect_timeout_ms), "How long one attempt to connect to an upstream may take."},
    {KEY_ROUTE, "connect_retries", KEY_COUNT, "3", NULL, 0, 100, true,
     OF_ROUTE(connect_retries),
     "Further attempts after the first one failed, at the next upstream if there are several."},
    {KEY_ROUTE, "idle_timeout", KEY_DURATION, "10m", "off", 10, 30 * DAYS, true,
     OF_ROUTE(idle_timeout_ms),
     "Ends a session when no byte moved either way for this long; or off."},
    {KEY_ROUTE, "half_close_timeout", KEY_DURATION, "30s", NULL, 10, 1 * DAYS, true,
     OF_ROUTE(half_close_timeout_ms),
     "Takes the place of idle_timeout as soon as one side has finished sending."},
    {KEY_ROUTE, "max_sessions", KEY_COUNT, "10000", NULL, 1, SESSIONS, true,
     OF_ROUTE(max_sessions),
     "Sessions of one route; a client above it is refused at once and counted."},
    {KEY_ROUTE, "keepalive", KEY_DURATION, "60s", "off", 1 * SECONDS, 9 * HOURS, true,
     OF_ROUTE(keepalive_idle_ms),
     "Asks a silent peer for a sign of life after this long, so that dead ones are found; "
     "or off."},
    {KEY_ROUTE, "keepalive_interval", KEY_DURATION, "10s", NULL, 1 * SECONDS, 9 * HOURS, true,
     OF_ROUTE(keepalive_interval_ms),
     "Time between such questions while the peer does not answer."},
    {KEY_ROUTE, "nodelay", KEY_BOOL, "yes", NULL, 0, 0, true, OF_ROUTE(nodelay),
     "Sends small packets at once (TCP_NODELAY), as games need it: yes or no."},
    {KEY_ROUTE, "buffer_size", KEY_SIZE, "256KB", NULL, 4 * KB, 1 * MB, true,
     OF_ROUTE(buffer_bytes),
     "Most bytes of one direction that the relay holds for a slow reader."},
    {KEY_ROUTE, "backlog", KEY_COUNT, "1024", NULL, 1, 65535, false, OF_ROUTE(backlog),
     "Connections the system may hold until the relay accepts them."},
};

const size_t key_count = sizeof keys / sizeof keys[0];

static_assert(sizeof keys / sizeof keys[0] <= KEYS_MAX, "KEYS_MAX has room for every key");
static_assert(LOG_FILE_MAX < CONF_PATH_MAX, "the field has room for the name");

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
