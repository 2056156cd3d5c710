/* conf.h - a checked configuration: immutable, in plain C types.
 *
 * conf_load() reads an INI file with inih, collects every mistake, and gives either a complete
 * configuration or the list of mistakes, never half of one. Keys, types, units, ranges,
 * defaults and help texts live in one table (keys.h).
 *
 * Threads: loading from any one thread; a loaded configuration is read-only and shared.
 */
#ifndef PAIRPORT_CONFIG_CONF_H
#define PAIRPORT_CONFIG_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

#define CONF_NAME_MAX 32   /* route names: letters, digits, '_', '-', '.', with the zero byte */
#define CONF_HOST_MAX 256  /* host names, with the zero byte (RFC 1035: 253 characters) */
#define CONF_PATH_MAX 1024 /* file names, UTF-8, with the zero byte */
#define CONF_LINE_MAX 1024 /* bytes of a line of the file; a longer one is an error */

struct conf_listen {
    struct addr addr; /* port 1..65535; a listen without host ("*:7777", ":7777") is [::] */
    bool dual_stack;  /* IPv6 wildcard that takes IPv4 too: "*:PORT", ":PORT", "[::]:PORT" */
    unsigned line;    /* where it stands, for messages */
};

struct conf_upstream {
    char host[CONF_HOST_MAX]; /* address or name, without brackets */
    uint16_t port;
    char name[CONF_HOST_MAX + 8]; /* "HOST:PORT" as shown; unique within the route */
    unsigned line;
};

struct conf_route {
    char name[CONF_NAME_MAX];
    unsigned line; /* of its section */

    struct conf_listen *listens; /* owned, at least 1 */
    size_t listen_count;
    struct conf_upstream *upstreams; /* owned, at least 1 */
    size_t upstream_count;

    uint32_t connect_timeout_ms;
    uint32_t idle_timeout_ms; /* 0: none */
    uint32_t half_close_timeout_ms;
    uint32_t connect_retries;   /* further tries after the first */
    uint32_t max_sessions;      /* of this route */
    uint32_t keepalive_idle_ms; /* 0: off */
    uint32_t keepalive_interval_ms;
    bool nodelay;
    uint32_t buffer_bytes; /* room of one READ */
    uint32_t backlog;
};

enum conf_console { CONF_CONSOLE_LOCAL, CONF_CONSOLE_NONE };

struct conf {
    char path[CONF_PATH_MAX]; /* the file as given, "" for the demo's */

    unsigned workers; /* 0: auto, one a processor */
    uint32_t max_sessions;
    uint32_t stop_timeout_ms;
    enum log_level log_level;
    char log_file[CONF_PATH_MAX]; /* "" : stderr */

    enum conf_console console;
    char console_name[CONF_HOST_MAX]; /* names the local endpoint; see os/local.h */

    struct conf_route *routes; /* owned, at least 1, in file order */
    size_t route_count;
};

/* Reads and checks `path`. On success *out owns the result and `messages` may hold warnings.
 * On an error *out is untouched and `messages` holds one line a mistake,
 * "FILE:LINE: what is wrong; what would be right\n", in order of line (a mistake of the whole
 * file has no line: "FILE: ..."). ERR_INVALID: mistakes in it; ERR_NOT_FOUND, ERR_ACCESS,
 * ERR_IO: the file could not be read (one message says so); ERR_NOMEM. */
enum err conf_load(const char *path, struct conf **out, struct str *messages);

/* The same from memory; `name` stands for the file in messages. `text` may hold any bytes. */
enum err conf_load_text(const char *name, const char *text, size_t len, struct conf **out,
                        struct str *messages);

void conf_free(struct conf *conf); /* NULL is fine */

const struct conf_route *conf_find_route(const struct conf *conf, const char *name);

/* Writes the configuration as INI, every key with its value, so that conf_load_text() of the
 * result gives an equal one. */
void conf_write(const struct conf *conf, struct str *out);

#endif
