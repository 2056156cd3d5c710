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
#include "os/os.h"

#define QUEUE_BYTES    (512 * 1024)
#define RETRY_MS       1000 /* between tries to write what was not taken */
#define REOPEN_WAIT_MS 2000

static struct {
    struct os_mutex lock; /* guards all below, unless a comment says otherwise */
    struct os_cond changed;
    bool running; /* the thread takes the lines */
    bool stopping;
    char path[CONF_PATH_MAX]; /* "" : stderr */
    FILE *file;               /* the thread's while it runs; NULL: stderr */
    FILE *next_file;          /* to be used instead of `file` from now on; NULL: none */
    log_output_write *divert;
    void *divert_ctx;
    bool writing;   /* the thread has lines that are not in `filling` any more */
    bool diverting; /* the thread is in `divert` */
    uint64_t lost;  /* lines lost since that was last logged */
    struct os_thread *thread;

    char *filling;  /* one of the buffers, for lines that come */
    char *draining; /* the other; the thread's */
    size_t filled;
    char buffers[2][QUEUE_BYTES];
} output;

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

static void take_next_file(void)
{
    if (output.next_file == NULL)
        return;
    if (output.file != NULL)
        fclose(output.file);
    output.file = output.next_file;
    output.next_file = NULL;
    os_cond_wake_all(&output.changed);
}

/* Writes `len` bytes of the drained buffer; with the lock held, released while writing. Gives
 * up only when the output is stopping and takes nothing. */
static void drain(size_t len)
{
    const char *at = output.draining;
    while (len > 0) {
        log_output_write *divert = output.file == NULL ? output.divert : NULL;
        void *ctx = output.divert_ctx;
        FILE *file = output.file;
        output.diverting = divert != NULL;
        os_mutex_unlock(&output.lock);
        size_t done = len;
        if (divert != NULL)
            divert(ctx, at, len);
        else
            done = write_bytes(file, at, len);
        os_mutex_lock(&output.lock);
        if (output.diverting) {
            output.diverting = false;
            os_cond_wake_all(&output.changed);
        }
        at += done;
        len -= done;
        if (len == 0)
            return;
        if (output.stopping && done == 0)
            break;
        if (done == 0)
            os_cond_wait(&output.changed, &output.lock, RETRY_MS);
        if (output.next_file != NULL) { /* free of the old one's trouble */
            take_next_file();
            for (; at > output.draining && at[-1] != '\n'; at--)
                len++; /* a line that was torn is whole in the new file */
        }
    }
    for (size_t i = 0; i < len; i++) {
        if (at[i] == '\n')
            log_note_lost();
    }
}

static void run(void *arg)
{
    (void)arg;
    os_mutex_lock(&output.lock);
    for (;;) {
        if (output.filled == 0)
            take_next_file();
        if (output.filled == 0 && output.stopping)
            break;
        if (output.filled == 0) {
            os_cond_wait(&output.changed, &output.lock, UINT32_MAX);
            continue;
        }
        char *drained = output.filling;
        size_t len = output.filled;
        output.filling = output.draining;
        output.draining = drained;
        output.filled = 0;
        output.writing = true;
        drain(len);
        output.writing = false;
        os_cond_wake_all(&output.changed);
        uint64_t lost = output.lost;
        output.lost = 0;
        if (lost > 0) {
            os_mutex_unlock(&output.lock);
            log_warning("log: %" PRIu64 " lines were lost before this one, the output did not "
                        "take them",
                        lost);
            os_mutex_lock(&output.lock);
        }
    }
    output.running = false;
    os_cond_wake_all(&output.changed);
    os_mutex_unlock(&output.lock);
}

/* ---- lines come ---- */

static void put_line(void *ctx, enum log_level level, const char *line, size_t len)
{
    (void)ctx;
    (void)level;
    os_mutex_lock(&output.lock);
    if (!output.running) {
        if (write_bytes(output.file, line, len) < len)
            log_note_lost();
    } else if (len > QUEUE_BYTES - output.filled) {
        output.lost++;
        log_note_lost();
    } else {
        memcpy(output.filling + output.filled, line, len);
        if (output.filled == 0)
            os_cond_wake_all(&output.changed);
        output.filled += len;
    }
    os_mutex_unlock(&output.lock);
}

/* ---- start, stop ---- */

static enum err open_file(const char *path, FILE **out)
{
    FILE *file;
    enum err err = os_file_open(&file, path, "ab");
    if (err != ERR_OK)
        return err;
    setvbuf(file, NULL, _IONBF, 0); /* what was written is in the file */
    *out = file;
    return ERR_OK;
}

enum err log_output_start(const char *path)
{
    FILE *file = NULL;
    if (*path != '\0') {
        enum err err = open_file(path, &file);
        if (err != ERR_OK)
            return err;
    }
    /* Not every C library leaves stderr unbuffered when it is no terminal: Wine's does not. */
    setvbuf(stderr, NULL, _IONBF, 0);
    /* A signal may already ask for the file to be opened again. */
    os_mutex_lock(&output.lock);
    if (output.file != NULL)
        fclose(output.file); /* of an earlier run, for lines that came late */
    str_format(output.path, sizeof output.path, "%s", path);
    output.file = file;
    output.stopping = false;
    output.filling = output.buffers[0];
    output.draining = output.buffers[1];
    output.running = true;
    enum err err = os_thread_start(&output.thread, "log", run, NULL);
    if (err != ERR_OK) {
        output.running = false;
        output.file = NULL;
        if (file != NULL)
            fclose(file);
    }
    os_mutex_unlock(&output.lock);
    if (err != ERR_OK)
        return err;
    log_set_output(
        &(struct log_output){.now_us = os_wall_us, .mono_ms = os_mono_ms, .write = put_line});
    return ERR_OK;
}

/* Waits, with the lock held, for something to change. False: the time is over. */
static bool wait_change(uint64_t deadline)
{
    uint64_t now = os_mono_ms();
    if (now >= deadline)
        return false;
    os_cond_wait(&output.changed, &output.lock, (uint32_t)(deadline - now));
    return true;
}

enum err log_output_reopen(void)
{
    char path[CONF_PATH_MAX];
    os_mutex_lock(&output.lock);
    str_format(path, sizeof path, "%s", output.path);
    os_mutex_unlock(&output.lock);
    if (path[0] == '\0')
        return ERR_UNSUPPORTED;
    FILE *file;
    enum err err = open_file(path, &file);
    if (err != ERR_OK)
        return err;
    uint64_t deadline = os_mono_ms() + REOPEN_WAIT_MS;
    os_mutex_lock(&output.lock);
    if (output.next_file != NULL)
        fclose(output.next_file);
    output.next_file = file;
    if (!output.running)
        take_next_file();
    os_cond_wake_all(&output.changed);
    while (output.next_file == file && wait_change(deadline))
        continue;
    err = output.next_file == file ? ERR_TIMEDOUT : ERR_OK;
    os_mutex_unlock(&output.lock);
    return err;
}

bool log_output_flush(uint32_t timeout_ms)
{
    uint64_t deadline = os_mono_ms() + timeout_ms;
    os_mutex_lock(&output.lock);
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
