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
#include "base/addr_net.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

#define CONF_NAME_MAX 32   /* route names: letters, digits, '_', '-', '.', with the zero byte */
#define CONF_HOST_MAX 256  /* host names, with the zero byte (RFC 1035: 253 characters) */
#define CONF_PATH_MAX 1024 /* file names, UTF-8, with the zero byte */
#define CONF_LINE_MAX 1024 /* bytes of a line of the file; a longer one is an error */

#define CONF_BYTES_MAX 256 /* bytes that a health check sends or expects */

#define CONF_ACCESS_MAX 1000000 /* networks that the allow and deny lines of a section name */

#define CONF_LISTEN_MAX 64 /* with its zero byte */
struct conf_listen {
    struct addr addr;    /* port 1..65535; a listen without host ("*:7777", ":7777") is [::] */
    uint16_t port_count; /* consecutive ports from addr.port on, none above 65535; 1 or more */
    bool dual_stack;     /* IPv6 wildcard that takes IPv4 too: "*:PORT", ":PORT", "[::]:PORT" */
    unsigned line;       /* where it stands, for messages */
    char written[CONF_LISTEN_MAX]; /* as it stands there, likewise; "": it is too long */
};

/* One `upstream` line. Every address its name resolves to is a server of its own with the
 * line's weight; limits, the state set by an operator and the statistics are the line's. */
struct conf_upstream {
    char host[CONF_HOST_MAX]; /* address or name, without brackets */
    uint16_t port;
    /* 1: all ports of the listeners lead to `port`. Else as many as each listener of the route
     * has: port i of a listener leads to port + i. */
    uint16_t port_count;
    char name[CONF_HOST_MAX + 14]; /* "HOST:PORT" or "HOST:FIRST-LAST"; unique in the route */
    uint32_t weight;               /* 0..256: its share; 0 takes no new sessions */
    uint32_t max_sessions;         /* 0: no limit of its own */
    uint32_t slow_start_ms; /* its share grows over this time after it came back; 0: at once */
    bool backup;            /* is used only while no other upstream of the route is up */
    bool disabled;          /* takes no sessions until it is enabled on the console */
    bool removed; /* a reload has taken it out; its last sessions go on, see slots.h */
    unsigned line;
};

enum conf_balance {
    CONF_ROUND_ROBIN,    /* smooth, weighted */
    CONF_LEAST_SESSIONS, /* fewest open sessions for its weight */
    CONF_SOURCE_HASH,    /* the client's IP address decides, rendezvous hashing */
    CONF_RANDOM2,        /* the less loaded of two chosen at random by weight */
    CONF_FIRST           /* the first in file order that is not full */
};

enum conf_when_down { CONF_REFUSE, CONF_HOLD };
enum conf_on_down { CONF_KEEP, CONF_KILL };
enum conf_proxy_out { CONF_PROXY_OUT_OFF, CONF_PROXY_OUT_V1, CONF_PROXY_OUT_V2 };
enum conf_proxy_in { CONF_PROXY_IN_OFF, CONF_PROXY_IN_OPTIONAL, CONF_PROXY_IN_REQUIRED };

struct conf_bytes {
    uint16_t len;
    uint8_t bytes[CONF_BYTES_MAX];
};

/* How a check that says or expects something ends. One that does neither is always reset. */
enum conf_check_end { CONF_CHECK_FIN, CONF_CHECK_RESET };

/* `health = tcp interval=2s timeout=1s rise=2 fall=3 fast=1s port=N send="..." expect="..."
 * end=reset` */
struct conf_health {
    bool on;       /* false: `off`, the rest is zero */
    uint16_t port; /* 0: the upstream's first */
    uint32_t interval_ms;
    uint32_t timeout_ms;      /* of one check in all; at most interval_ms */
    uint32_t rise;            /* checks in a row that must pass before it is up; 1 or more */
    uint32_t fall;            /* that must fail before it is down; 1 or more */
    uint32_t fast_ms;         /* between checks while it is changing; at most interval_ms */
    struct conf_bytes send;   /* len 0: none */
    struct conf_bytes expect; /* what the answer must begin with; len 0: connecting is enough */
    enum conf_check_end end;
};

/* `eject = 5 in 10s for 30s`, `ban_after = 20 refusals in 10s for 10m` */
struct conf_eject {
    uint32_t count; /* failures or refusals; 0: `off`, the rest is zero */
    uint32_t within_ms;
    uint64_t for_ms; /* a ban may last longer than 32 bits of milliseconds */
};

/* `10/s burst 20`: so many at once, then as many as that in the long run. */
struct conf_rate {
    uint32_t count; /* in `per_ms`; 0: `off`, the rest is zero */
    uint32_t per_ms;
    uint32_t burst; /* 1 or more */
};

/* `1MB/s burst 256KB` */
struct conf_pace {
    uint64_t bytes_per_s; /* 0: `off`, the rest is zero */
    uint32_t burst_bytes; /* 1 or more */
};

/* `100B/s over 30s` */
struct conf_min_rate {
    uint64_t bytes_per_s; /* both ways together; 0: `off`, the rest is zero */
    uint32_t over_ms;
};

/* One network of an `allow` or `deny` line or of a file that such a line names. */
struct conf_access {
    struct addr_net net;
    bool allow;
    bool from_file; /* it stands in files only, so the route's own lines do not name it */
};

/* `allow = @PATH`: its networks are among those of the route. */
struct conf_access_file {
    char path[CONF_PATH_MAX]; /* as given: relative to the folder of the configuration */
    bool allow;
};

enum conf_guard { CONF_GUARD_ENFORCE, CONF_GUARD_DRY_RUN };
enum conf_refuse { CONF_REFUSE_RESET, CONF_REFUSE_CLOSE, CONF_REFUSE_TARPIT };

struct conf_route {
    char name[CONF_NAME_MAX];
    unsigned line; /* of its section */

    struct conf_listen *listens; /* owned, at least 1 */
    size_t listen_count;
    struct conf_upstream *upstreams; /* owned, at least 1; after a reload not in file order */
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
    uint32_t backlog;      /* 0: as large as the system allows */

    enum conf_balance balance;
    enum conf_when_down when_down; /* no upstream can take the client */
    uint32_t hold_ms;              /* of CONF_HOLD: how long a client waits at most; else 0 */
    uint32_t queue_max; /* clients of the route that wait at most; not 0 with CONF_HOLD */
    uint32_t queue_max_per_client; /* of these, from one address; 0: no limit; from a file only
                                      where queue_max is 0 */
    struct conf_health health;
    struct conf_eject eject;
    uint32_t eject_max_percent; /* of the route's servers, ejected at a time: 1..100 */
    enum conf_on_down on_down;  /* what becomes of the sessions of an upstream that goes down */
    uint32_t resolve_interval_ms; /* how often names are resolved again; 0: only at start */

    struct addr *sources; /* owned: local addresses (port 0) of upstream connections, in turn */
    size_t source_count;  /* 0: the system chooses, as it does for a family without one here */

    enum conf_proxy_out proxy_out;
    enum conf_proxy_in proxy_in;
    struct addr_net *trusts;   /* owned: whose PROXY headers are believed */
    size_t trust_count;        /* 0 with CONF_PROXY_IN_OFF, and only then */
    uint32_t proxy_timeout_ms; /* until a header is whole */

    enum conf_guard guard;   /* DRY_RUN: nobody is refused by what follows, up to ban_after */
    enum conf_refuse refuse; /* how a client is turned away */
    uint32_t tarpit_ms;      /* of CONF_REFUSE_TARPIT: how long it is kept; else 0 */
    struct conf_access *access; /* each network once, in order of family, address and bits. The
                                   longest that has the client decides; without one it may
                                   pass, unless all allow */
    size_t access_count;
    struct conf_access_file *access_files; /* in order of their lines */
    size_t access_file_count;
    bool access_shared; /* both lists are those of [defaults], which another route of the same
                           configuration owns; else they are owned */
    struct addr_net *exempts; /* owned: who the limits of a client and bans do not apply to */
    size_t exempt_count;
    uint32_t max_sessions_per_client;         /* 0: no limit */
    struct conf_rate connect_rate_per_client; /* new connections */
    struct conf_rate connect_rate;            /* of all clients of the route together */
    struct conf_eject ban_after;              /* so many refusals of a client; 0: never */

    uint32_t first_byte_timeout_ms; /* from connected on; 0: none */
    struct conf_min_rate min_rate;
    uint32_t max_backlog_age_ms;  /* a reader has taken nothing for so long; 0: no limit */
    uint64_t max_session_time_ms; /* 0: no limit */

    struct conf_pace rate_up, rate_down; /* of each session */
    struct conf_pace rate_up_per_client, rate_down_per_client;
    struct conf_pace rate_up_per_route, rate_down_per_route;

    enum conf_on_down on_remove; /* what becomes of the sessions when the route is removed */
    struct conf_rate admission_ramp; /* how fast clients that wait are let in */
    uint32_t pause_timeout_ms;       /* how long a client waits at most while it is paused */
};

enum conf_console { CONF_CONSOLE_LOCAL, CONF_CONSOLE_NONE };

struct conf {
    char path[CONF_PATH_MAX]; /* the file as given, "" for the demo's */

    unsigned workers; /* 0: auto, one a processor */
    uint32_t max_sessions;
    uint32_t stop_timeout_ms;
    enum log_level log_level;
    bool log_level_given;         /* the file has that key */
    char log_file[CONF_PATH_MAX]; /* "" : stderr */

    struct conf_rate connect_rate;  /* of all clients of all routes together */
    uint32_t client_table;          /* clients remembered at a time */
    uint32_t client_bits_ipv4;      /* leading bits of an address that make one client: 8..32 */
    uint32_t client_bits_ipv6;      /* 16..128 */
    uint32_t tarpit_max;            /* clients kept in the tarpit at a time */
    char state_file[CONF_PATH_MAX]; /* keeps bans over a restart; "": they are forgotten */

    enum conf_console console;
    char console_name[CONF_HOST_MAX]; /* names the local endpoint; see os/local.h */

    struct conf_route *routes; /* owned, at least 1, in file order */
    size_t route_count;
};

/* True when the address (its port does not count) is one of this machine's own. */
typedef bool conf_is_own_addr(const struct addr *addr);

/* Reads and checks `path`. `is_own` finds upstreams that lead back to a listener; NULL: only
 * loopback is the machine's own. On success *out owns the result and `messages` may hold warnings.
 * On an error *out is untouched and `messages` holds one line a mistake,
 * "FILE:LINE: what is wrong; what would be right\n", in order of line (a mistake of the whole
 * file has no line: "FILE: ..."). ERR_INVALID: mistakes in it; ERR_NOT_FOUND, ERR_ACCESS,
 * ERR_IO: the file could not be read (one message says so); ERR_NOMEM: `messages` is empty. */
enum err conf_load(const char *path, conf_is_own_addr *is_own, struct conf **out,
                   struct str *messages);

/* The same from memory; `name` stands for the file in messages, and files that the text names
 * relative to the configuration are looked for in its folder; whether those that it writes can be
 * there (log_file, state_file) is not looked at. `text` may hold any bytes. */
enum err conf_load_text(const char *name, const char *text, size_t len, struct conf **out,
                        struct str *messages);

/* Where a file is that the configuration names (log_file, state_file): `name` itself if that is
 * absolute, else in the folder of the configuration's own file. "" stays "". */
void conf_place(const struct conf *conf, const char *name, char out[CONF_PATH_MAX]);

/* Reads what a console has to know, also from a file with mistakes: [console] name and listen, or
 * their defaults where they can't be read, and whether anything is wrong with the file's lines.
 * Errors as conf_load() for a file that can't be read; all three are then the defaults. */
struct conf_console_place {
    enum conf_console listen;
    char name[CONF_HOST_MAX];
    bool mistaken;
};
enum err conf_read_console(const char *path, struct conf_console_place *out);

void conf_free(struct conf *conf); /* NULL is fine */

const struct conf_route *conf_find_route(const struct conf *conf, const char *name);

/* Writes the configuration as INI, every key with its value, so that conf_load_text() of the
 * result gives an equal one. */
void conf_write(const struct conf *conf, struct str *out);

#endif
