#include "control/console/relay_prompt.h"

#include <stdlib.h>

#include "control/command/names.h"
#include "control/console/prompt.h"
#include "os/os.h"
#include "os/tty.h"
#include "relay/server.h"
#include "relay/server_info.h"

struct relay_prompt {
    struct prompt *prompt;
    struct command_session session;
    unsigned columns; /* of the terminal, when the last line was run */
    struct os_thread *thread;
    void (*on_gone)(void *ctx);
    void *ctx;

    struct os_mutex lock;
    struct os_cond ended_cond;
    bool ended; /* the thread has left prompt_run() */
};

static void run(void *ctx, const char *line, size_t len, unsigned columns,
                struct command_result *result)
{
    struct relay_prompt *prompt = ctx;
    if (columns != prompt->columns) /* else `set columns` may have chosen another width */
        prompt->session.columns = columns;
    prompt->columns = columns;
    command_run(&prompt->session, line, len, result);
    str_escape(&result->text); /* names and texts come from files, too */
}

/* As if it had been typed here. */
static void get_ids(void *ctx, struct name_list *ids)
{
    const struct relay_prompt *prompt = ctx;
    struct command_session session = prompt->session;
    struct command_result result;
    command_result_init(&result);
    command_run(&session, NAMES_IDS_COMMAND, sizeof NAMES_IDS_COMMAND - 1, &result);
    names_add_ids(ids, &result.text);
    command_result_free(&result);
}

static void complete(void *ctx, const char *line, size_t cursor, struct completion *completion)
{
    const struct relay_prompt *prompt = ctx;
    struct server *server = prompt->session.console->server;
    struct names names = {.get_ids = get_ids, .ctx = ctx};
    server_hold(server);
    enum err err = names_add_conf(&names, server_conf(server)); /* a reload may change them */
    server_release(server);
    if (err == ERR_OK)
        command_complete(prompt->session.console->commands, line, cursor, &names, completion);
    names_free(&names);
}

static void interrupt(void *ctx, unsigned times, struct command_result *result)
{
    struct relay_prompt *prompt = ctx;
    static const char line[] = "shutdown"; /* now, when the relay is stopping already */
    struct server_info info;
    server_get_info(prompt->session.console->server, &info);
    if (times > 1)
        command_run(&prompt->session, line, sizeof line - 1, result);
    else if (info.state == SERVER_RUNNING)
        str_add(&result->text, "Ctrl-C once more stops the relay; `help` lists the commands\n");
    else
        str_add(&result->text, "stopping; Ctrl-C once more ends the sessions at once\n");
}

/* Ctrl-D leaves a program as a rule. Here that would end every player's session, so it takes a
 * word that nobody types by accident. */
static void leave(void *ctx, struct command_result *result)
{
    (void)ctx;
    str_add(&result->text, "`shutdown`, or Ctrl-C twice, stops the relay\n");
}

static void run_thread(void *arg)
{
    struct relay_prompt *prompt = arg;
    enum prompt_end end = prompt_run(prompt->prompt);
    os_mutex_lock(&prompt->lock);
    prompt->ended = true;
    os_cond_wake_all(&prompt->ended_cond);
    os_mutex_unlock(&prompt->lock);
    if (end == PROMPT_GONE)
        prompt->on_gone(prompt->ctx);
}

enum err relay_prompt_start(struct relay_prompt **out, const struct console *console,
                            void (*on_gone)(void *ctx), void *ctx)
{
    struct relay_prompt *prompt = calloc(1, sizeof *prompt);
    if (prompt == NULL)
        return ERR_NOMEM;
    prompt->session = (struct command_session){.console = console, .at_relay = true};
    (void)tty_remote(&prompt->session.caller);
    prompt->on_gone = on_gone;
    prompt->ctx = ctx;
    const struct prompt_host host = {.ctx = prompt,
                                     .run = run,
                                     .complete = complete,
                                     .interrupt = interrupt,
                                     .leave = leave};
    enum err err = prompt_open(&prompt->prompt, &host, "pairport> ");
    if (err != ERR_OK)
        goto free_prompt;
    err = os_thread_start(&prompt->thread, "prompt", run_thread, prompt);
    if (err != ERR_OK)
        goto close_prompt;
    *out = prompt;
    return ERR_OK;

close_prompt:
    prompt_close(prompt->prompt);
free_prompt:
    free(prompt);
    return err;
}

void relay_prompt_log(struct relay_prompt *prompt, const char *line, size_t len)
{
    prompt_print_above(prompt->prompt, line, len);
}

static bool wait_ended(struct relay_prompt *prompt, uint32_t timeout_ms)
{
    uint64_t deadline = os_mono_ms() + timeout_ms;
    os_mutex_lock(&prompt->lock);
    while (!prompt->ended) {
        uint64_t now = os_mono_ms();
        if (now >= deadline)
            break;
        os_cond_wait(&prompt->ended_cond, &prompt->lock, (uint32_t)(deadline - now));
    }
    bool ended = prompt->ended;
    os_mutex_unlock(&prompt->lock);
    return ended;
}

bool relay_prompt_stop(struct relay_prompt *prompt, uint32_t timeout_ms)
{
    prompt_stop(prompt->prompt);
    if (!wait_ended(prompt, timeout_ms)) {
        tty_leave_raw();
        return false;
    }
    os_thread_join(prompt->thread);
    prompt_close(prompt->prompt);
    free(prompt);
    return true;
}
