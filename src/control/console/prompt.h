/* prompt.h - a prompt on the terminal: line editor, history, completion, and log lines above.
 *
 * prompt_run() reads keys and hands finished lines to its host. What else wants to write to the
 * terminal meanwhile, such as the log, goes through prompt_print_above(): the row being typed
 * is taken away, the text written, the row drawn again, all under one lock, so nothing garbles
 * what is being typed.
 *
 * Threads: prompt_run() in one thread; prompt_print_above() and prompt_stop() from any between
 * prompt_open() and prompt_close(). A terminal that stands still (a selection in a Windows
 * console, a stalled ssh) blocks whoever writes to it, and nobody else.
 */
#ifndef PAIRPORT_CONTROL_CONSOLE_PROMPT_H
#define PAIRPORT_CONTROL_CONSOLE_PROMPT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "control/command/command.h"

struct prompt; /* opaque */

/* A further Ctrl-C within this time counts as one in a row. */
#define PROMPT_AGAIN_MS 10000

/* What stands behind a prompt. The functions run in the thread of prompt_run(). */
struct prompt_host {
    void *ctx;
    /* Runs a line; `columns` is the width of the terminal now. */
    void (*run)(void *ctx, const char *line, size_t len, unsigned columns,
                struct command_result *result);
    void (*complete)(void *ctx, const char *line, size_t cursor, struct completion *completion);
    /* Ctrl-C on an empty line, the `times`-th in a row; answers like a command. */
    void (*interrupt)(void *ctx, unsigned times, struct command_result *result);
    /* Ctrl-D on an empty line. */
    void (*leave)(void *ctx, struct command_result *result);
};

/* Switches the terminal to raw mode. The mode comes back with prompt_close(). `text` is what
 * stands before the line, "pairport> ". */
enum err prompt_open(struct prompt **out, const struct prompt_host *host, const char *text);

enum prompt_end {
    PROMPT_QUIT,    /* the host's answer said so */
    PROMPT_STOPPED, /* by prompt_stop() */
    PROMPT_GONE     /* the terminal is closed */
};
enum prompt_end prompt_run(struct prompt *prompt);

void prompt_stop(struct prompt *prompt);

/* Writes whole lines of text (each ends in a newline) above the row being typed. */
void prompt_print_above(struct prompt *prompt, const char *text, size_t len);

void prompt_close(struct prompt *prompt);

#endif
