#include "options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "os/os.h"

#define CONNECTIONS_MAX 1000000
#define MESSAGE_MAX     (1u << 30)
#define THREADS_MAX     256
#define TIME_MAX_MS     1000000000u

static const char help_text[] =
    "pairload - echo server and load generator for TCP relays, checks every echoed byte\n"
    "\n"
    "usage: pairload echo LISTEN             serve: send back what comes\n"
    "       pairload sink LISTEN             serve: throw away what comes\n"
    "       pairload pingpong TARGET [...]   a message, its echo, the next message\n"
    "       pairload paced TARGET [...]      messages at a fixed rate\n"
    "       pairload connect TARGET [...]    connect, one message and its echo, close, again\n"
    "       pairload flood TARGET [...]      the same, to be turned away instead\n"
    "       pairload idle TARGET [...]       hold connections; a message at start and end\n"
    "       pairload bulk TARGET [...]       as many bytes as go through, both ways\n"
    "LISTEN and TARGET are ADDRESS:PORT; port 0 listens on a free one and prints it.\n"
    "\n"
    "  --connections N   connections at once; connect, flood: in progress at once (default 1)\n"
    "  --size BYTES      bytes of a message, as 100, 16KB, 1MB (default 128, bulk 64KB)\n"
    "  --rate N          paced: messages a second, all connections together (default 1000)\n"
    "  --duration S      seconds, or 500ms, 5s, 2m (default 10s unless there is a --count);\n"
    "                    idle: from when all are connected\n"
    "  --warm-up S       connect all first, measure the duration from S after that,\n"
    "                    and say 'measuring' and 'measured' on the standard error output\n"
    "  --count N         end after so many messages (connect, flood: connections) in all\n"
    "  --threads N       threads that share the connections (default 1)\n"
    "  --seed N          of the bytes that are sent (default: a random one)\n"
    "  --source IP       local address of the connections\n"
    "  --timeout S       give a connection up when a due byte does not come (default 60s)\n"
    "  --spin            paced: meet due times exactly, at the price of a processor\n"
    "  --json            print the result as one JSON object\n"
    "\n"
    "Latency is the time from sending a message to the last byte of its echo; for paced from\n"
    "the time when the message was due, so a stall counts for all messages it held up; for\n"
    "flood from connecting to being turned away (by a reset or FIN before the echo).\n"
    "Exit codes: 0 everything came back right, 1 a wrong byte or an error, 2 usage.\n";

static const struct {
    enum mode mode;
    const char *word;
} modes[] = {
    {MODE_ECHO, "echo"},       {MODE_SINK, "sink"},   {MODE_PINGPONG, "pingpong"},
    {MODE_PACED, "paced"},     {MODE_IDLE, "idle"},   {MODE_BULK, "bulk"},
    {MODE_CONNECT, "connect"}, {MODE_FLOOD, "flood"},
};

#define MODES (sizeof modes / sizeof modes[0])

const char *mode_word(enum mode mode)
{
    for (size_t i = 0; i < MODES; i++)
        if (modes[i].mode == mode)
            return modes[i].word;
    return "?";
}

static bool find_mode(const char *word, enum mode *mode)
{
    for (size_t i = 0; i < MODES; i++)
        if (strcmp(modes[i].word, word) == 0) {
            *mode = modes[i].mode;
            return true;
        }
    return false;
}

/* A number from 1 to max. */
static bool parse_u32(const char *text, uint32_t max, uint32_t *out)
{
    uint64_t number;
    if (str_parse_u64(text, &number) != ERR_OK || number < 1 || number > max)
        return false;
    *out = (uint32_t)number;
    return true;
}

/* Seconds, or a duration with its unit. */
static bool parse_time(const char *text, uint64_t *ms)
{
    uint64_t number;
    if (str_parse_u64(text, &number) == ERR_OK && number <= TIME_MAX_MS)
        number *= 1000;
    else if (str_parse_duration(text, &number) != ERR_OK)
        return false;
    if (number < 1 || number > TIME_MAX_MS)
        return false;
    *ms = number;
    return true;
}

static bool take_connections(struct options *out, const char *value)
{
    return parse_u32(value, CONNECTIONS_MAX, &out->connections);
}

static bool take_size(struct options *out, const char *value)
{
    uint64_t number;
    if (str_parse_u64(value, &number) != ERR_OK && str_parse_size(value, &number) != ERR_OK)
        return false;
    if (number < 1 || number > MESSAGE_MAX)
        return false;
    out->message_bytes = (uint32_t)number;
    return true;
}

static bool take_rate(struct options *out, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    if (end == value || *end != '\0' || !(number > 0 && number <= 1e6))
        return false;
    out->rate = number;
    return true;
}

static bool take_duration(struct options *out, const char *value)
{
    return parse_time(value, &out->duration_ms);
}

static bool take_warm_up(struct options *out, const char *value)
{
    return parse_time(value, &out->warm_up_ms);
}

static bool take_count(struct options *out, const char *value)
{
    return str_parse_u64(value, &out->count) == ERR_OK && out->count > 0;
}

static bool take_threads(struct options *out, const char *value)
{
    return parse_u32(value, THREADS_MAX, &out->threads);
}

static bool take_seed(struct options *out, const char *value)
{
    return str_parse_u64(value, &out->seed) == ERR_OK && out->seed <= INT64_MAX;
}

static bool take_source(struct options *out, const char *value)
{
    return addr_parse_ip(value, &out->source) == ERR_OK;
}

static bool take_timeout(struct options *out, const char *value)
{
    return parse_time(value, &out->stall_ms);
}

static const struct option {
    const char *name;
    bool (*take)(struct options *out, const char *value);
    const char *wants;
} valued[] = {
    {"--connections", take_connections, "a number from 1 to 1000000"},
    {"--size", take_size, "bytes, 1 to 1GB, as 100, 16KB or 1MB"},
    {"--rate", take_rate, "messages a second, up to 1000000"},
    {"--duration", take_duration, "seconds or a time with unit, as 10, 500ms or 2m"},
    {"--warm-up", take_warm_up, "seconds or a time with unit, as 1, 500ms or 2m"},
    {"--count", take_count, "a number from 1"},
    {"--threads", take_threads, "a number from 1 to 256"},
    {"--seed", take_seed, "a number below 2^63"},
    {"--source", take_source, "an IP address, as 127.0.0.2"},
    {"--timeout", take_timeout, "seconds or a time with unit, as 10, 500ms or 2m"},
};

#define VALUED (sizeof valued / sizeof valued[0])

static STR_PRINTF(2, 3) bool refuse(int *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("pairload: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\ntry 'pairload --help'\n", stderr);
    va_end(args);
    *code = 2;
    return false;
}

static bool is_word(const char *argument, const char *word)
{
    return strcmp(argument, word) == 0;
}

static bool parse_options(int argc, char **argv, struct options *out, int *code)
{
    for (int i = 0; i < argc; i++) {
        if (is_word(argv[i], "--json")) {
            out->json = true;
            continue;
        }
        if (is_word(argv[i], "--spin")) {
            out->spin = true;
            continue;
        }
        const struct option *option = NULL;
        for (size_t known = 0; known < VALUED && option == NULL; known++)
            if (is_word(argv[i], valued[known].name))
                option = &valued[known];
        if (option == NULL)
            return refuse(code, "unknown option '%s'", argv[i]);
        if (i + 1 == argc)
            return refuse(code, "%s wants %s", option->name, option->wants);
        if (!option->take(out, argv[++i]))
            return refuse(code, "%s wants %s, not '%s'", option->name, option->wants, argv[i]);
    }
    return true;
}

static bool parse_addr(const char *text, bool zero_ok, struct addr *out)
{
    char host[ADDR_TEXT_MAX];
    uint16_t port;
    if (addr_split(text, zero_ok, host, sizeof host, &port) != ERR_OK ||
        addr_parse_ip(host, out) != ERR_OK)
        return false;
    out->port = port;
    return true;
}

static void set_defaults(struct options *out)
{
    if (out->message_bytes == 0)
        out->message_bytes = out->mode == MODE_BULK ? 64 * 1024 : 128;
    if (out->duration_ms == 0 && out->count == 0)
        out->duration_ms = 10000;
    if (out->threads > out->connections)
        out->threads = out->connections;
}

bool options_parse(int argc, char **argv, struct options *out, int *code)
{
    if (argc == 2 && (is_word(argv[1], "--help") || is_word(argv[1], "help"))) {
        fputs(help_text, stdout);
        *code = 0;
        return false;
    }
    *out = (struct options){.connections = 1,
                            .rate = 1000,
                            .threads = 1,
                            .stall_ms = 60000,
                            .seed = os_random() >> 1};
    if (argc < 2)
        return refuse(code, "what to do is missing");
    if (!find_mode(argv[1], &out->mode))
        return refuse(code, "unknown command '%s'", argv[1]);
    if (argc < 3)
        return refuse(code, "'%s' wants an address", argv[1]);
    bool serves = out->mode == MODE_ECHO || out->mode == MODE_SINK;
    if (!parse_addr(argv[2], serves, &out->addr))
        return refuse(code,
                      "'%s' is not an address with a port, as 127.0.0.1:7777 or [::1]:7777",
                      argv[2]);
    if (serves && argc > 3)
        return refuse(code, "'%s' takes no options", argv[1]);
    if (!parse_options(argc - 3, argv + 3, out, code))
        return false;
    if (out->source.family != ADDR_NONE && out->source.family != out->addr.family)
        return refuse(code, "--source and the target are not of one family, IPv4 or IPv6");
    if (out->mode == MODE_IDLE && out->count > 0)
        return refuse(code, "idle takes no --count, only a --duration");
    bool comes_again = out->mode == MODE_CONNECT || out->mode == MODE_FLOOD;
    if (out->warm_up_ms > 0 && (comes_again || out->count > 0))
        return refuse(code, "--warm-up goes with a --duration, and not with connect or flood");
    set_defaults(out);
    return true;
}
