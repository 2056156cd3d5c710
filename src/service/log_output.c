#include "service/log_output.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

#include "base/log.h"
#include "base/str.h"
#include "config/conf.h"
#include "os/crash.h"
#include "os/file.h"
#include "os/os.h"

#define QUEUE_BYTES    (512 * 1024)
#define RETRY_FIRST_MS 20   /* between tries to write what was not taken; it doubles */
#define RETRY_LAST_MS  1000 /* until it is this */
#define OPEN_WAIT_MS   5000 /* for the first opening of the file */
#define REOPEN_WAIT_MS 2000
#define GATHER_MS      10 /* from one write to the next, at least, while lines flow */

/* One for the process, whose log is one; base/log.c knows one output, too. */
static struct {
    struct os_mutex lock; /* guards all below, unless a comment says otherwise */
    struct os_cond changed;
    bool running; /* the thread takes the lines */
    bool stopping;
    char path[CONF_PATH_MAX]; /* "" : stderr */
    FILE *file;               /* the thread's while it runs; NULL: stderr */
    unsigned opens_asked;     /* how often `path` was to be opened */
    unsigned opens_done;      /* how often it was tried; less: the thread is to open it */
    enum err open_err;        /* of the last try */
    bool open_untold;         /* who asked does not wait any more: the thread tells */
    log_output_write *divert;
    void *divert_ctx;
    bool waiting;   /* the thread waits for a first line, and has to be woken for it */
    bool hurry;     /* what is there is to be written now, not GATHER_MS after the last write */
    bool writing;   /* the thread has lines that are not in `filling` any more */
    bool diverting; /* the thread is in `divert` */
    uint64_t lost;  /* lines lost since that was last logged */
    struct os_thread *thread;

    char *filling;  /* one of the buffers, for lines that come */
    char *draining; /* the other; the thread's */
    size_t filled;
    char buffers[2][QUEUE_BYTES];
} output = {.lock = OS_MUTEX_INIT(LOCK_LOG_OUTPUT)};

bool log_output_is_terminal(void)
{
#ifdef _WIN32
    return _isatty(_fileno(stderr)) != 0;
#else
    return isatty(STDERR_FILENO) != 0;
#endif
}

/* How many bytes were taken; fewer than `len` when the disk is full or nobody reads. */
static size_t write_bytes(FILE *file, const char *bytes, size_t len)
{
    size_t done = fwrite(bytes, 1, len, file == NULL ? stderr : file);
    if (done < len)
        clearerr(file == NULL ? stderr : file);
    return done;
}

/* ---- the thread ---- */

/* Opens the file and goes on there; one that can't be opened leaves the old one in use. With the
 * lock held, released while the system may take its time. */
static void open_again(void)
{
    char path[CONF_PATH_MAX];
    FILE *file = NULL, *old = NULL;
    unsigned asked = output.opens_asked;
    str_format(path, sizeof path, "%s", output.path);
    os_mutex_unlock(&output.lock);
    enum err err = path[0] == '\0' ? ERR_OK : os_log_open(&file, path);
    os_mutex_lock(&output.lock);
    if (err == ERR_OK) {
        old = output.file;
        output.file = file;
        crash_log_to(file);
    }
    output.open_err = err;
    output.opens_done = asked;
    bool tell = output.open_untold;
    output.open_untold = false;
    os_cond_wake_all(&output.changed);
    os_mutex_unlock(&output.lock);
    if (old != NULL)
        fclose(old);
    if (tell && err == ERR_OK)
        log_notice("log file opened again");
    else if (tell)
        log_error("log file could not be opened again: %s; the old one stays in use",
                  err_text(err));
    os_mutex_lock(&output.lock);
}

static bool is_open_wanted(void)
{
    return output.opens_done != output.opens_asked;
}

/* One write of `len` bytes; returns how many were taken. With the lock held, released while
 * writing. */
static size_t write_some(const char *at, size_t len)
{
    log_output_write *divert = output.file == NULL ? output.divert : NULL;
    void *ctx = output.divert_ctx;
    FILE *file = output.file;
    size_t done = len;
    output.diverting = divert != NULL;
    os_mutex_unlock(&output.lock);
    if (divert != NULL)
        divert(ctx, at, len);
    else
        done = write_bytes(file, at, len);
    os_mutex_lock(&output.lock);
    if (output.diverting) {
        output.diverting = false;
        os_cond_wake_all(&output.changed);
    }
    return done;
}

/* Writes `len` bytes of the drained buffer; with the lock held, released while writing. Gives
 * up only when the output is stopping and takes nothing. */
static void drain(size_t len)
{
    const char *at = output.draining;
    uint32_t retry_ms = RETRY_FIRST_MS;
    while (len > 0) {
        size_t done = write_some(at, len);
        at += done;
        len -= done;
        if (len == 0)
            return;
        if (output.stopping && done == 0)
            break;
        if (done == 0) {
            os_cond_wait(&output.changed, &output.lock, retry_ms);
            retry_ms = retry_ms * 2 < RETRY_LAST_MS ? retry_ms * 2 : RETRY_LAST_MS;
        } else {
            retry_ms = RETRY_FIRST_MS;
        }
        if (is_open_wanted()) { /* free of the old one's trouble */
            FILE *old = output.file;
            open_again();
            for (; output.file != old && at > output.draining && at[-1] != '\n'; at--)
                len++; /* a line that was torn is whole in the new file */
        }
    }
    for (size_t i = 0; i < len; i++) {
        if (at[i] == '\n')
            log_note_lost();
    }
}

/* Lets lines gather, so that many that come together are one write, and cost one wake of the
 * thread. With the lock held. */
static void gather(uint64_t last_write_ms)
{
    while (!output.hurry && !output.stopping && !is_open_wanted()) {
        uint64_t passed = os_mono_ms() - last_write_ms;
        if (passed >= GATHER_MS)
            return;
        os_cond_wait(&output.changed, &output.lock, (uint32_t)(GATHER_MS - passed));
    }
}

/* Writes what is there; new lines go into the other buffer meanwhile. With the lock held. */
static void write_lines(void)
{
    char *drained = output.filling;
    size_t len = output.filled;
    output.filling = output.draining;
    output.draining = drained;
    output.filled = 0;
    output.hurry = false;
    output.writing = true;
    drain(len);
    output.writing = false;
    os_cond_wake_all(&output.changed);
}

/* With the lock held, released while it logs. */
static void tell_lost(void)
{
    uint64_t lost = output.lost;
    output.lost = 0;
    if (lost == 0)
        return;
    os_mutex_unlock(&output.lock);
    log_warning(
        "log: %" PRIu64 " lines were lost before this one, the output did not take them", lost);
    os_mutex_lock(&output.lock);
}

static void run(void *arg)
{
    (void)arg;
    uint64_t last_write_ms = 0;
    os_mutex_lock(&output.lock);
    for (;;) {
        if (output.filled == 0 && is_open_wanted()) {
            open_again();
            continue; /* the lock was released: it may have been asked for once more */
        }
        if (output.filled == 0 && output.stopping)
            break;
        if (output.filled == 0) {
            output.waiting = true;
            os_cond_wait(&output.changed, &output.lock, UINT32_MAX);
            output.waiting = false;
            continue;
        }
        gather(last_write_ms);
        write_lines();
        last_write_ms = os_mono_ms();
        tell_lost();
    }
    output.running = false;
    os_cond_wake_all(&output.changed);
    os_mutex_unlock(&output.lock);
}

/* ---- lines come ---- */

/* Has the thread write now. With the lock held. */
static void hurry(void)
{
    output.hurry = true;
    os_cond_wake_all(&output.changed);
}

static void put_line(void *ctx, enum log_level level, const char *line, size_t len)
{
    (void)ctx;
    os_mutex_lock(&output.lock);
    if (!output.running) {
        if (write_bytes(output.file, line, len) < len)
            log_note_lost();
    } else if (len > QUEUE_BYTES - output.filled) {
        output.lost++;
        log_note_lost();
    } else {
        memcpy(output.filling + output.filled, line, len);
        output.filled += len;
        if (level <= LOG_WARNING || output.filled > QUEUE_BYTES / 2)
            hurry();
        else if (output.waiting)
            os_cond_wake_all(&output.changed);
    }
    os_mutex_unlock(&output.lock);
}

/* ---- start, stop ---- */

/* Waits, with the lock held, for something to change. False: the time is over. */
static bool wait_change(uint64_t deadline)
{
    uint64_t now = os_mono_ms();
    if (now >= deadline)
        return false;
    os_cond_wait(&output.changed, &output.lock, (uint32_t)(deadline - now));
    return true;
}

/* Has the thread open `path`, and waits for it. With the lock held. */
static enum err ask_to_open(uint32_t timeout_ms)
{
    uint64_t deadline = os_mono_ms() + timeout_ms;
    unsigned mine = ++output.opens_asked;
    os_cond_wake_all(&output.changed);
    while ((int)(output.opens_done - mine) < 0 && wait_change(deadline))
        continue;
    return (int)(output.opens_done - mine) < 0 ? ERR_TIMEDOUT : output.open_err;
}

/* With the lock held. The thread is left alone when it does not come back. */
static void give_up_start(bool returns)
{
    output.stopping = true;
    os_cond_wake_all(&output.changed);
    struct os_thread *thread = output.thread;
    output.thread = NULL;
    if (!returns)
        return;
    os_mutex_unlock(&output.lock);
    os_thread_join(thread);
    os_mutex_lock(&output.lock);
}

enum err log_output_start(const char *path)
{
    /* Not every C library leaves stderr unbuffered when it is no terminal: Wine's does not. */
    setvbuf(stderr, NULL, _IONBF, 0);
    /* A signal may already ask for the file to be opened again. */
    os_mutex_lock(&output.lock);
    str_format(output.path, sizeof output.path, "%s", path);
    output.stopping = false;
    output.filling = output.buffers[0];
    output.draining = output.buffers[1];
    output.filled = 0;
    output.running = true;
    enum err err = os_thread_start(&output.thread, "log", run, NULL);
    if (err != ERR_OK) {
        output.running = false;
    } else {
        /* By the thread: a file system that does not answer holds nobody else. */
        err = ask_to_open(OPEN_WAIT_MS);
        if (err != ERR_OK)
            give_up_start(err != ERR_TIMEDOUT);
    }
    os_mutex_unlock(&output.lock);
    if (err != ERR_OK)
        return err;
    log_set_output(
        &(struct log_output){.now_us = os_wall_us, .mono_ms = os_mono_ms, .write = put_line});
    return ERR_OK;
}

enum err log_output_reopen(void)
{
    os_mutex_lock(&output.lock);
    enum err err = ERR_CLOSED;
    if (output.path[0] == '\0')
        err = ERR_UNSUPPORTED;
    else if (output.running)
        err = ask_to_open(REOPEN_WAIT_MS);
    if (err == ERR_TIMEDOUT)
        output.open_untold = true;
    os_mutex_unlock(&output.lock);
    return err;
}

bool log_output_flush(uint32_t timeout_ms)
{
    uint64_t deadline = os_mono_ms() + timeout_ms;
    os_mutex_lock(&output.lock);
    hurry();
    while (output.running && (output.filled > 0 || output.writing) && wait_change(deadline))
        continue;
    bool flushed = output.filled == 0 && !output.writing;
    os_mutex_unlock(&output.lock);
    return flushed;
}

bool log_output_divert(log_output_write *write, void *ctx, uint32_t timeout_ms)
{
    uint64_t deadline = os_mono_ms() + timeout_ms;
    os_mutex_lock(&output.lock);
    output.divert = write;
    output.divert_ctx = ctx;
    while (output.diverting && wait_change(deadline))
        continue;
    bool idle = !output.diverting;
    os_mutex_unlock(&output.lock);
    return idle;
}

bool log_output_stop(uint32_t timeout_ms)
{
    uint64_t deadline = os_mono_ms() + timeout_ms;
    os_mutex_lock(&output.lock);
    output.stopping = true;
    os_cond_wake_all(&output.changed);
    while (output.running && wait_change(deadline))
        continue;
    bool ended = !output.running;
    struct os_thread *thread = ended ? output.thread : NULL;
    if (ended)
        output.thread = NULL;
    os_mutex_unlock(&output.lock);
    if (thread != NULL)
        os_thread_join(thread);
    return ended;
}
