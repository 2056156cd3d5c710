/* command_table.h - what a command is, and the table of all of them.
 *
 * A command is its words, its arguments, its help and the function that runs it. The table
 * itself is made in control/commands.c, above all rooms that it names, and is passed down.
 *
 * Threads: any; a table is constant.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_COMMAND_TABLE_H
#define PAIRPORT_CONTROL_COMMAND_COMMAND_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr_net.h"
#include "base/log.h"
#include "control/command/command.h"
#include "control/command/parse_line.h"

struct local_conn;
struct wire_input;

enum arg_kind {
    ARG_FLAG,     /* a keyword without a value */
    ARG_ROUTE,    /* the name of a route */
    ARG_ROUTES,   /* the name of a route, or `all` */
    ARG_UPSTREAM, /* ROUTE/NAME */
    ARG_ID,       /* of a session */
    ARG_LIMIT,    /* how many rows */
    ARG_SORT,     /* a key of `show sessions` */
    ARG_LEVEL,    /* of the log */
    ARG_COLUMNS,  /* width of tables */
    ARG_WEIGHT,   /* of an upstream */
    ARG_SESSIONS, /* how many an upstream may have */
    ARG_NET,      /* an IP address, or a network as ADDRESS/BITS */
    ARG_DURATION, /* with its unit */
    ARG_REASON,   /* of a ban: a text */
    ARG_TOPIC     /* the rest of the line: words of a command */
};

struct command_arg {
    const char *keyword; /* that comes before the value; NULL: the value stands alone */
    enum arg_kind kind;
    bool required;
};

#define COMMAND_ROWS_DEFAULT 50
#define COMMAND_ROWS_MAX     1000000
#define COMMAND_COLUMNS_MIN  40
#define COMMAND_COLUMNS_MAX  1000
#define COMMAND_WEIGHT_MAX   256                                 /* as in the configuration */
#define COMMAND_SESSIONS_MAX 1000000                             /* as in the configuration */
#define COMMAND_DURATION_MAX (UINT64_C(3650) * 24 * 3600 * 1000) /* milliseconds: 3650d */

enum session_sort {
    SORT_RATE = 0,
    SORT_AGE,
    SORT_IDLE,
    SORT_BYTES,
    SORT_WAITING,
    SORT_ID,
    SORT_CLIENT,
    SORT_ROUTE,
    SORT_NEWEST,
    SORT_COUNT
};
extern const char *const session_sort_words[SORT_COUNT + 1]; /* NULL at the end */

/* The arguments of a command that runs, with the defaults of those not given. */
struct command_args {
    bool json;
    bool now;
    bool keep;
    bool frozen;
    bool kill;
    bool force;
    size_t route;    /* index in the configuration; SIZE_MAX: all */
    size_t upstream; /* index in the route; SIZE_MAX: all */
    uint64_t id;
    uint64_t limit;
    uint64_t number; /* a weight, or sessions */
    enum session_sort sort;
    enum log_level level;
    unsigned columns;
    struct addr_net net;
    uint64_t duration_ms; /* 0: none was given */
    const char *reason;   /* "" : none was given */
    const char *const *topic;
    size_t topic_words;
};

typedef void command_function(struct command_session *session, const struct command_args *args,
                              struct command_result *result);

/* How an answer keeps to the width of a console. JSON is left as it is anyway. */
enum command_lines {
    LINES_WRAP = 0, /* each of its lines for itself, see text_wrap() */
    LINES_FLOW,     /* as paragraphs */
    LINES_KEEP      /* not at all: programs read it, too */
};

/* How a command that has run here is forwarded to predecessors. */
enum command_forward {
    FORWARD_NOT = 0,   /* not at all: it is about this process */
    FORWARD_SESSIONS,  /* the list gets their sessions as well */
    FORWARD_INFO,      /* the answer names them and says what they wait for */
    FORWARD_ROUTES,    /* the answer says how many sessions they have on each route */
    FORWARD_OTHERWISE, /* about one session: forwarded if it is not found here */
    FORWARD_ALL        /* all of them run it */
};

#define COMMAND_ARGS_MAX 6
struct command {
    const char *words;                         /* "show sessions" */
    struct command_arg args[COMMAND_ARGS_MAX]; /* ends with the first that is all zero */
    bool whole;                                /* its words are never shortened */
    bool changes; /* its words may be shortened only to a beginning that no other command has */
    const char *help;    /* one line, without a dot at its end */
    const char *details; /* for `help COMMAND`; lines of up to 80 bytes */
    command_function *run;
    enum command_lines lines;
    enum command_forward forward;
};

#define COMMAND_LIMIT 64 /* the table is not longer */
struct command_table {
    const struct command *all;
    size_t count;
    /* Called after a command has run, outside of server_hold(): has the predecessors do what its
     * `forward` says, with the same line, and adds what they say to the result. */
    void (*forward)(const struct command_session *session, const char *line, size_t len,
                    struct command_result *result);
    /* Called for a line of the endpoint that begins a takeover (wire.h): answers it and what
     * follows, to the end of the takeover; the connection is to be closed then. */
    void (*serve_takeover)(struct local_conn *conn, struct wire_input *input,
                           const struct console *console, const char *line);
};

/* Ends `result` as failed with a formatted text; a newline is added. */
void command_fail(struct command_result *result, const char *format, ...) STR_PRINTF(2, 3);

/* Who acts, for the log and for what is shown: "console", or "prompt" for the relay's own. */
const char *command_by(const struct command_session *session);

command_function command_help;

#endif
