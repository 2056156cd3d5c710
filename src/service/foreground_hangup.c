/* What SIGHUP has the program in the foreground do: it opens its log again and reloads. */
#include "base/log.h"
#include "base/str.h"
#include "control/act/reload.h"
#include "os/os.h"
#include "service/foreground_private.h"
#include "service/log_output.h"

enum err foreground_reopen(void *ctx)
{
    (void)ctx;
    enum err err = log_output_reopen();
    if (err == ERR_UNSUPPORTED)
        log_notice("the log goes to stderr: there is no file to open again");
    else if (err == ERR_OK)
        log_notice("log file opened again");
    else if (err == ERR_TIMEDOUT)
        log_warning("log file is not open again yet: the disk or who reads the old one does "
                    "not answer; it will be as soon as that ends");
    else
        log_error("log file could not be opened again: %s; the old one stays in use",
                  err_text(err));
    return err == ERR_TIMEDOUT ? ERR_OK : err;
}

/* Before the relay runs there is nothing to reload. */
static bool begin_reload(struct foreground *fg)
{
    os_mutex_lock(&fg->lock);
    fg->reloading = fg->server != NULL;
    bool runs = fg->reloading;
    os_mutex_unlock(&fg->lock);
    return runs;
}

static void reload_by_signal(struct foreground *fg)
{
    if (!begin_reload(fg))
        return;
    if (fg->console->config_path[0] != '\0') {
        struct str said; /* the log has it, too */
        str_init(&said);
        reload_now(fg->console, false, &said);
        str_free(&said);
    }
    os_mutex_lock(&fg->lock);
    fg->reloading = false;
    os_cond_wake_all(&fg->changed);
    os_mutex_unlock(&fg->lock);
}

/* In a thread of its own: opening the log and reading the configuration may take as long as a disk
 * does, and the thread that takes signals must be there for the next one. */
static void run_hangups(void *arg)
{
    struct foreground *fg = arg;
    os_mutex_lock(&fg->lock);
    while (fg->hangups > 0) {
        fg->hangups = 0; /* one reload is enough for all that came before it */
        os_mutex_unlock(&fg->lock);
        foreground_reopen(NULL);
        reload_by_signal(fg);
        os_mutex_lock(&fg->lock);
    }
    fg->hanging_up = false;
    os_cond_wake_all(&fg->changed);
    os_mutex_unlock(&fg->lock);
}

/* When no signal comes any more. A thread that a disk holds is left to the end of the process. */
void foreground_end_hangups(struct foreground *fg)
{
    uint64_t deadline = os_mono_ms() + FOREGROUND_STUCK_MS, now;
    os_mutex_lock(&fg->lock);
    while (fg->hanging_up && (now = os_mono_ms()) < deadline)
        os_cond_wait(&fg->changed, &fg->lock, (uint32_t)(deadline - now));
    struct os_thread *ended = fg->hanging_up ? NULL : fg->hangup_thread;
    fg->hangup_thread = NULL;
    os_mutex_unlock(&fg->lock);
    if (ended != NULL)
        os_thread_join(ended);
}

void foreground_hang_up(struct foreground *fg)
{
    enum err err = ERR_OK;
    os_mutex_lock(&fg->lock);
    fg->hangups++;
    if (!fg->hanging_up) {
        if (fg->hangup_thread != NULL)
            os_thread_join(fg->hangup_thread);
        fg->hangup_thread = NULL;
        err = os_thread_start(&fg->hangup_thread, "hangup", run_hangups, fg);
        fg->hanging_up = err == ERR_OK;
    }
    os_mutex_unlock(&fg->lock);
    if (err != ERR_OK)
        log_error("reload: no thread for it: %s; nothing was changed", err_text(err));
}
