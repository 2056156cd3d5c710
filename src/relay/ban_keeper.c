#include "relay/ban_keeper.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "os/os.h"
#include "relay/ban_file.h"
#include "relay/guard.h"
#include "relay/relay.h"
#include "relay/sessions.h"
#include "relay/standstill.h"

#define PERIOD_MS 1000 /* between two looks, and between two writes */
#define WRITE_LOG_MS                                                                           \
    (10 * 60 * 1000u) /* between two lines about a file that can't be written */

struct ban_keeper {
    struct relay *relay;
    struct os_thread *thread;
    char path[CONF_PATH_MAX]; /* absolute; "": nothing is kept */

    struct os_mutex lock; /* guards what follows */
    struct os_cond changed;
    bool woken;
    bool stopping;
    bool sweep;

    struct os_mutex file_lock; /* held while the file is written; guards `err` */
    enum err err;
    _Atomic uint64_t saved_version; /* of the bans in the file */
    _Atomic bool handed_over;
    struct log_limit write_log;
};

static uint64_t wall_ms(void)
{
    return os_wall_us() / 1000;
}

/* ---- the file ---- */

static void note_written(struct ban_keeper *keeper, enum err err)
{
    if (err != ERR_OK)
        log_limited(&keeper->write_log, LOG_WARNING,
                    "state_file %s can't be written: %s; bans will be forgotten at the end",
                    keeper->path, err_text(err));
    else if (keeper->err != ERR_OK)
        log_notice("state_file %s can be written again", keeper->path);
    keeper->err = err;
}

/* With file_lock. */
static void write_file(struct ban_keeper *keeper)
{
    struct bans *bans = keeper->relay->guard.bans;
    struct ban *all;
    size_t count;
    uint64_t version = bans_version(bans); /* what comes meanwhile is written next time */
    enum err err = bans_list(bans, wall_ms(), &all, &count);
    if (err == ERR_OK) {
        err = ban_file_write(keeper->path, all, count);
        free(all);
    }
    if (err == ERR_OK)
        atomic_store(&keeper->saved_version, version);
    note_written(keeper, err);
}

static bool is_kept(const struct ban_keeper *keeper)
{
    return keeper->path[0] != '\0' && !atomic_load(&keeper->handed_over);
}

static bool is_dirty(struct ban_keeper *keeper)
{
    return is_kept(keeper) &&
           bans_version(keeper->relay->guard.bans) != atomic_load(&keeper->saved_version);
}

/* `always`: also when only hits have changed. */
static void save(struct ban_keeper *keeper, bool always)
{
    os_mutex_lock(&keeper->file_lock);
    if (is_dirty(keeper) || (always && is_kept(keeper)))
        write_file(keeper);
    os_mutex_unlock(&keeper->file_lock);
}

/* The file can't be read: it stays for whoever wants to look into it. Nothing is kept when it
 * can't be put aside, since keeping would be the end of it. */
static void put_aside(struct ban_keeper *keeper, enum err err, const char *why)
{
    struct str aside;
    str_init(&aside);
    str_addf(&aside, "%s.damaged", keeper->path);
    enum err moved = aside.failed ? ERR_NOMEM : os_file_replace(keeper->path, aside.data);
    const char *what = err == ERR_INVALID ? "is damaged" : "can't be read";
    if (moved == ERR_OK) {
        log_error("state_file %s %s: %s; it is kept as %s, and the relay starts without bans",
                  keeper->path, what, why, aside.data);
    } else {
        log_error("state_file %s %s: %s; it can't be put aside: %s; bans are not kept",
                  keeper->path, what, why, err_text(moved));
        keeper->path[0] = '\0';
    }
    str_free(&aside);
}

static void take_bans(struct ban_keeper *keeper, const struct ban *bans, size_t count)
{
    uint64_t now = wall_ms();
    size_t taken = 0;
    for (size_t i = 0; i < count; i++)
        if (bans[i].until_ms > now &&
            bans_add(keeper->relay->guard.bans, &bans[i], now, NULL) == ERR_OK)
            taken++;
    if (count > 0)
        log_notice("state_file %s: %zu ban%s taken over, %zu over or too many", keeper->path,
                   taken, taken == 1 ? "" : "s", count - taken);
}

static void read_file(struct ban_keeper *keeper)
{
    struct ban *bans;
    size_t count;
    struct str why;
    str_init(&why);
    enum err err = ban_file_read(keeper->path, &bans, &count, &why);
    if (err == ERR_OK) {
        take_bans(keeper, bans, count);
        free(bans);
    } else if (err != ERR_NOT_FOUND) {
        put_aside(keeper, err, why.data);
    }
    str_free(&why);
}

/* ---- the thread ---- */

static void drop_expired(struct ban_keeper *keeper)
{
    size_t count = bans_expire(keeper->relay->guard.bans, wall_ms());
    if (count > 0)
        log_notice("%zu ban%s over", count, count == 1 ? " is" : "s are");
}

static void end_sessions(struct ban_keeper *keeper)
{
    const struct session_filter banned = {.banned = true};
    size_t ended = 0;
    standstill_enter(keeper->relay); /* what is exempt stands in the configuration */
    enum err err = sessions_end(keeper->relay, &banned, REASON_BAN, &ended);
    standstill_leave(keeper->relay);
    if (err != ERR_OK) {
        ban_keeper_wake(keeper, true); /* once more */
        return;
    }
    if (ended > 0)
        log_notice("%zu session%s of banned clients ended", ended, ended == 1 ? "" : "s");
}

/* Waits until there is something to do, and until the last time is a second ago. False: the end
 * has come. *sweep: sessions are to be looked at. */
static bool wait_for_work(struct ban_keeper *keeper, uint64_t last_ms, bool *sweep)
{
    os_mutex_lock(&keeper->lock);
    for (;;) {
        uint64_t passed = os_mono_ms() - last_ms;
        bool due =
            keeper->woken || is_dirty(keeper) || bans_count(keeper->relay->guard.bans) > 0;
        if (keeper->stopping || (due && passed >= PERIOD_MS))
            break;
        os_cond_wait(&keeper->changed, &keeper->lock,
                     due ? (uint32_t)(PERIOD_MS - passed) : UINT32_MAX);
    }
    *sweep = keeper->sweep;
    keeper->woken = false;
    keeper->sweep = false;
    bool goes_on = !keeper->stopping;
    os_mutex_unlock(&keeper->lock);
    return goes_on;
}

static void run(void *arg)
{
    struct ban_keeper *keeper = arg;
    uint64_t last_ms = 0;
    bool sweep;
    while (wait_for_work(keeper, last_ms, &sweep)) {
        last_ms = os_mono_ms();
        drop_expired(keeper);
        if (sweep)
            end_sessions(keeper);
        save(keeper, false);
    }
}

enum err ban_keeper_start(struct ban_keeper **out, struct relay *relay)
{
    struct ban_keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper == NULL)
        return ERR_NOMEM;
    keeper->relay = relay;
    keeper->write_log.window_ms = WRITE_LOG_MS;
    if (relay->conf->state_file[0] != '\0') {
        os_full_path(relay->conf->state_file, keeper->path, sizeof keeper->path);
        read_file(keeper);
        save(keeper, true); /* whether it can be written shows now, not when it is needed */
    }
    enum err err = os_thread_start(&keeper->thread, "bans", run, keeper);
    if (err != ERR_OK) {
        free(keeper);
        return err;
    }
    *out = keeper;
    return ERR_OK;
}

void ban_keeper_stop(struct ban_keeper *keeper)
{
    if (keeper == NULL)
        return;
    os_mutex_lock(&keeper->lock);
    keeper->stopping = true;
    os_cond_wake_all(&keeper->changed);
    os_mutex_unlock(&keeper->lock);
    os_thread_join(keeper->thread);
    save(keeper, true);
    free(keeper);
}

void ban_keeper_wake(struct ban_keeper *keeper, bool sweep)
{
    if (keeper == NULL)
        return;
    os_mutex_lock(&keeper->lock);
    keeper->woken = true;
    keeper->sweep = keeper->sweep || sweep;
    os_cond_wake_all(&keeper->changed);
    os_mutex_unlock(&keeper->lock);
}

void ban_keeper_hand_over(struct ban_keeper *keeper)
{
    save(keeper, true);
    os_mutex_lock(&keeper->file_lock);
    atomic_store(&keeper->handed_over, true);
    os_mutex_unlock(&keeper->file_lock);
}

void ban_keeper_take_over(struct ban_keeper *keeper)
{
    os_mutex_lock(&keeper->file_lock);
    if (is_kept(keeper))
        read_file(keeper);
    os_mutex_unlock(&keeper->file_lock);
}

void ban_keeper_get_info(struct ban_keeper *keeper, struct ban_keeper_info *out)
{
    memset(out, 0, sizeof *out);
    if (keeper == NULL)
        return;
    str_format(out->path, sizeof out->path, "%s", keeper->path);
    os_mutex_lock(&keeper->file_lock);
    out->err = keeper->err;
    out->handed_over = atomic_load(&keeper->handed_over);
    os_mutex_unlock(&keeper->file_lock);
}
