/* command.h - what an operator can say to the relay.
 *
 * One table (control/commands.h) names every command with its arguments and its help. Dispatch,
 * `help`, tab completion and suggestions are made from it, and the relay's own prompt, the
 * local endpoint and the tests all run a line through command_run(): one line in, one text out.
 *
 * Words may be shortened as long as they fit one command (`sh sess`). For a command that
 * changes something a shortened word must begin no other command at all, whatever follows it;
 * commands that end sessions must be written in full. Answers are plain text or, for `show`,
 * JSON.
 *
 * Threads: any number at once, each with its own struct command_session; nothing here stops a
 * worker of the relay.
 */
#ifndef PAIRPORT_CONTROL_COMMAND_COMMAND_H
#define PAIRPORT_CONTROL_COMMAND_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "control/command/names.h"

struct server;

struct command;
struct command_table;
struct os_mutex;
struct predecessors;

/* How the relay is taken over. Until the last step it accepts clients as before. */
enum hand_over {
    HAND_OVER_BEGIN, /* the new relay may accept now; ERR_IN_USE: another relay takes over */
    HAND_OVER_BACK,  /* the new relay has given up */
    HAND_OVER_DONE,  /* the new relay accepts: closes the listeners and begins the end;
                       ERR_RANGE: it took too long and begins anew, as after HAND_OVER_BACK */
};

/* What all consoles of a program share. Not changed after the first console is open. */
struct console {
    const struct command_table *commands; /* control/commands.h */
    struct server *server;                /* not owned; outlives the consoles */
    const char *version;                  /* "0.1.0" */
    const char *backend;                  /* "epoll" */
    const char *config_path;              /* absolute; "" when there is no file */
    const char *log_path;                 /* absolute; "" for stderr */
    void *ctx;                            /* for the functions below */
    /* Begins the end and returns; `over_ms` not 0: sessions are ended evenly over that time. */
    void (*shutdown)(void *ctx, bool now, uint64_t over_ms);
    enum err (*reopen)(void *ctx); /* opens the log file again */
    /* Process `pid`, which has copies of the listening sockets, takes over; NULL: cannot be. DONE
     * adds to `list` this relay's predecessors and itself, see predecessors_write(). */
    enum err (*hand_over)(void *ctx, enum hand_over step, uint64_t pid, struct str *list);
    struct os_mutex *reload_lock;      /* not owned; held while one reloads */
    struct predecessors *predecessors; /* not owned; NULL: none are asked */
};

/* One console: a prompt or a connection of the local endpoint. */
struct command_session {
    const struct console *console;
    bool at_relay;             /* the relay's own prompt, which `quit` cannot leave */
    unsigned columns;          /* width that tables should keep to; 0: as wide as they are */
    struct addr caller;        /* where the operator is, beyond SSH; ADDR_NONE: not known */
    const struct command *ran; /* by the line run last; NULL: it was none */
};

struct command_result {
    struct str text; /* the answer; empty or ends in a newline */
    bool failed;     /* `text` says why */
    bool quit;       /* the operator wants to leave */
};

void command_result_init(struct command_result *result);
void command_result_free(struct command_result *result);

/* Runs one line and sets *result (which was initialised, its old text is dropped). An empty
 * line or a comment gives an empty answer. */
void command_run(struct command_session *session, const char *line, size_t len,
                 struct command_result *result);

/* True when a line may begin with the word, written in full; also one of alias.h. */
bool command_is_first_word(const struct command_table *table, const char *word);

/* What Tab makes of the line up to the cursor. */
struct completion {
    struct str insert;     /* to be inserted at the cursor; may be empty */
    struct str candidates; /* one a line, when there are several; else empty */
};

void completion_init(struct completion *completion);
void completion_free(struct completion *completion);

/* `names` are offered where a route or an upstream is wanted. */
void command_complete(const struct command_table *table, const char *line, size_t cursor,
                      const struct names *names, struct completion *completion);

#endif
