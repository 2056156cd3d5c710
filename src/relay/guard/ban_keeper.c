#include "relay/guard/ban_keeper.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "os/file.h"
#include "os/os.h"
#include "relay/core/quiesce.h"
#include "relay/core/sessions.h"
#include "relay/guard/ban_store.h"
#include "relay/guard/guard.h"
#include "relay/relay.h"
#include "relay/server.h"

#define PERIOD_MS     1000 /* between two rounds */
#define START_WAIT_MS 5000 /* for the first reading */
#define ASK_WAIT_MS   2000 /* for what another thread wants of the file */
#define LOCK_WAIT_MS  1500 /* for the process that hands over to let go */
#define LOCK_AGAIN_MS 20

#define PAUSE_MIN_MS   1000 /* between two writes */
#define PAUSE_MAX_MS   60000
#define HURRY_MS       5000 /* likewise, for what an operator has done */
#define BYTES_PER_MS   256
#define DISK_PART      20   /* one part of so many of the time is the disk's */
#define CLOCK_MOVED_MS 2000 /* that much makes the times in the file wrong */
#define WRITE_LOG_MS                                                                           \
    (10 * 60 * 1000u) /* between two lines about a file that can't be written */

enum request { ASK_HAND_OVER, ASK_TAKE_OVER };

struct ban_keeper {
    struct relay *relay;
    struct os_thread *thread;

    struct os_mutex lock; /* guards what follows; held for moments only */
    struct os_cond changed;
    struct ban_store *store; /* set once, by the thread; NULL: nothing is kept */
    struct ban_keeper_info info;
    bool opened; /* the file was looked at */
    bool woken;
    bool hurry;
    bool sweep;
    bool stopping;
    enum request request;
    unsigned asked, done; /* requests; `request` is to be done while they differ */

    /* The thread's. */
    bool readable;          /* false: the file must not be written */
    uint64_t saved_version; /* of the bans in the file */
    int64_t saved_shift_ms; /* of the wall clock, when it was written */
    uint64_t written_ms;    /* monotonic, when the last write began */
    uint64_t pause_ms;      /* from then to the next */
    struct log_limit write_log;
};

uint64_t ban_keeper_pause_ms(uint64_t bytes, uint64_t took_ms)
{
    uint64_t pause_ms = bytes / BYTES_PER_MS;
    if (pause_ms < took_ms * DISK_PART)
        pause_ms = took_ms * DISK_PART;
    if (pause_ms < PAUSE_MIN_MS)
        pause_ms = PAUSE_MIN_MS;
    return pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS;
}

/* ---- the file, in the thread ---- */

static struct guard *guard_of(const struct ban_keeper *keeper)
{
    return &keeper->relay->guard;
}

static const char *path_of(const struct ban_keeper *keeper)
{
    return keeper->info.path; /* does not change after the start but to "" */
}

/* True when this process writes the file. */
static bool is_writer(const struct ban_keeper *keeper)
{
    return keeper->store != NULL && keeper->readable && !keeper->info.handed_over &&
           ban_store_is_locked(keeper->store);
}

static bool is_dirty(const struct ban_keeper *keeper)
{
    const struct guard *guard = guard_of(keeper);
    if (bans_version(guard->bans) != keeper->saved_version)
        return true;
    int64_t moved = ban_clock_shift(&guard->ban_clock) - keeper->saved_shift_ms;
    return bans_count(guard->bans) > 0 && (moved > CLOCK_MOVED_MS || moved < -CLOCK_MOVED_MS);
}

static void note_written(struct ban_keeper *keeper, enum err err)
{
    if (err != ERR_OK)
        log_limited(&keeper->write_log, LOG_WARNING,
                    "state_file %s can't be written: %s; bans will be forgotten at the end",
                    path_of(keeper), err_text(err));
    else if (keeper->info.err != ERR_OK)
        log_notice("state_file %s can be written again", path_of(keeper));
    os_mutex_lock(&keeper->lock);
    keeper->info.err = err;
    os_mutex_unlock(&keeper->lock);
}

static void save(struct ban_keeper *keeper)
{
    const struct guard *guard = guard_of(keeper);
    uint64_t bytes = 0, begun = os_mono_ms();
    uint64_t version =
        bans_version(guard->bans); /* what comes meanwhile is written next time */
    int64_t shift_ms = ban_clock_shift(&guard->ban_clock);
    enum err err = ban_store_write(keeper->store, &bytes);
    if (err == ERR_OK) {
        keeper->saved_version = version;
        keeper->saved_shift_ms = shift_ms;
    }
    keeper->written_ms = begun;
    keeper->pause_ms = ban_keeper_pause_ms(bytes, os_mono_ms() - begun);
    note_written(keeper, err);
}

static void save_when_due(struct ban_keeper *keeper, bool hurry)
{
    if (!is_writer(keeper) || !is_dirty(keeper))
        return;
    uint64_t pause_ms = keeper->pause_ms;
    if (hurry && pause_ms > HURRY_MS)
        pause_ms = HURRY_MS;
    /* The rounds come once in PERIOD_MS, so one that comes a little early is not put off. */
    if (os_mono_ms() - keeper->written_ms + PERIOD_MS / 4 >= pause_ms)
        save(keeper);
}

/* Nobody may find out later that the file could not be written: it is tried at once. */
static void read_and_save(struct ban_keeper *keeper)
{
    enum err err;
    enum ban_reading reading = ban_store_read(keeper->store, &err);
    keeper->readable = reading == BAN_READ;
    os_mutex_lock(&keeper->lock);
    keeper->info.read_err = reading == BAN_READ_LATER ? err : ERR_OK;
    if (reading == BAN_READ_NEVER)
        keeper->info.path[0] = '\0';
    os_mutex_unlock(&keeper->lock);
    if (is_writer(keeper))
        save(keeper);
}

/* What was lacking may be there again. */
static void read_again(struct ban_keeper *keeper)
{
    if (keeper->info.read_err == ERR_OK)
        return;
    read_and_save(keeper);
    if (keeper->readable)
        log_notice("state_file %s can be read now", path_of(keeper));
}

static void note_holder(struct ban_keeper *keeper, bool locked_out, uint64_t holder)
{
    os_mutex_lock(&keeper->lock);
    keeper->info.locked_out = locked_out;
    keeper->info.holder = holder;
    os_mutex_unlock(&keeper->lock);
}

/* A relay that is about to take over knows that another one has the file. */
static void log_locked_out(const struct ban_keeper *keeper, uint64_t holder)
{
    const struct server_inherit *inherit = keeper->relay->inherit;
    if (inherit != NULL && inherit->ready != NULL)
        return;
    log_warning("state_file %s is written by another relay, pid %" PRIu64
                ": bans of this one are in its memory only, until that one ends; give it a "
                "state_file of its own",
                path_of(keeper), holder);
}

static void open_store(struct ban_keeper *keeper)
{
    const struct guard *guard = guard_of(keeper);
    char path[CONF_PATH_MAX];
    uint64_t holder = 0;
    struct ban_store *store = NULL;
    enum err err = os_file_settle(path_of(keeper), path, sizeof path);
    if (err == ERR_OK)
        err = ban_store_open(&store, path, guard->bans, &guard->ban_clock);
    if (err != ERR_OK)
        log_error("state_file %s can't be used: %s; bans are not kept", path_of(keeper),
                  err_text(err));
    os_mutex_lock(&keeper->lock);
    keeper->store = store;
    str_format(keeper->info.path, sizeof keeper->info.path, "%s", err == ERR_OK ? path : "");
    os_mutex_unlock(&keeper->lock);
    if (err != ERR_OK)
        return;
    if (!ban_store_lock(store, &holder)) {
        note_holder(keeper, true, holder);
        log_locked_out(keeper, holder);
    }
    read_and_save(keeper);
}

/* True when the lock came free. */
static bool try_lock(struct ban_keeper *keeper, uint32_t wait_ms)
{
    uint64_t holder = 0, deadline = os_mono_ms() + wait_ms;
    while (!ban_store_lock(keeper->store, &holder)) {
        if (os_mono_ms() >= deadline) {
            note_holder(keeper, true, holder);
            return false;
        }
        os_sleep_ms(LOCK_AGAIN_MS);
    }
    note_holder(keeper, false, 0);
    return true;
}

/* The relay that had the file may be gone. */
static void look_for_lock(struct ban_keeper *keeper)
{
    if (keeper->store == NULL || !keeper->readable || keeper->info.handed_over ||
        ban_store_is_locked(keeper->store) || !try_lock(keeper, 0))
        return;
    log_notice("state_file %s is written by this relay from now on", path_of(keeper));
    read_and_save(keeper);
}

static void hand_over(struct ban_keeper *keeper)
{
    if (is_writer(keeper))
        save(keeper);
    os_mutex_lock(&keeper->lock);
    keeper->info.handed_over = true;
    os_mutex_unlock(&keeper->lock);
    if (keeper->store != NULL)
        ban_store_unlock(keeper->store);
}

static void take_over(struct ban_keeper *keeper)
{
    os_mutex_lock(&keeper->lock);
    keeper->info.handed_over = false;
    os_mutex_unlock(&keeper->lock);
    if (keeper->store == NULL || !keeper->readable)
        return;
    if (try_lock(keeper, LOCK_WAIT_MS))
        read_and_save(keeper);
    else
        log_warning("state_file %s is still written by pid %" PRIu64 ": bans are in memory "
                    "only until that one ends",
                    path_of(keeper), keeper->info.holder);
}

static void answer_request(struct ban_keeper *keeper)
{
    os_mutex_lock(&keeper->lock);
    unsigned asked = keeper->asked;
    bool any = keeper->done != asked;
    enum request request = keeper->request;
    os_mutex_unlock(&keeper->lock);
    if (!any)
        return;
    switch (request) {
    case ASK_HAND_OVER: hand_over(keeper); break;
    case ASK_TAKE_OVER: take_over(keeper); break;
    }
    os_mutex_lock(&keeper->lock);
    keeper->done = asked;
    os_cond_wake_all(&keeper->changed);
    os_mutex_unlock(&keeper->lock);
}

/* ---- the thread ---- */

static void drop_expired(struct ban_keeper *keeper)
{
    const struct guard *guard = guard_of(keeper);
    size_t count = bans_expire(guard->bans, ban_clock_now(&guard->ban_clock));
    if (count > 0)
        log_notice("%zu ban%s over", count, count == 1 ? " is" : "s are");
    if (keeper->store != NULL)
        ban_store_refill(keeper->store);
}

static void end_sessions(struct ban_keeper *keeper)
{
    const struct session_filter banned = {.wanted = guard_has_banned};
    size_t ended = 0;
    quiesce_enter(keeper->relay); /* what is exempt stands in the configuration */
    enum err err = sessions_end(keeper->relay, &banned, REASON_BAN, &ended);
    quiesce_leave(keeper->relay);
    if (err != ERR_OK) {
        ban_keeper_wake(keeper, true); /* once more */
        return;
    }
    if (ended > 0)
        log_notice("%zu session%s of banned clients ended", ended, ended == 1 ? "" : "s");
}

/* True when there is something to do each second. */
static bool is_busy(struct ban_keeper *keeper)
{
    if (keeper->woken || bans_count(guard_of(keeper)->bans) > 0 ||
        keeper->info.read_err != ERR_OK)
        return true;
    if (keeper->store != NULL && ban_store_count_aside(keeper->store) > 0)
        return true; /* they found no memory */
    if (keeper->store == NULL || !keeper->readable || keeper->info.handed_over)
        return false;
    return keeper->info.locked_out || is_dirty(keeper);
}

/* Waits until there is something to do, and until the last time is a second ago; requests are
 * answered at once. False: the end has come. *sweep: sessions are to be looked at. */
static bool wait_for_work(struct ban_keeper *keeper, uint64_t last_ms, bool *sweep)
{
    os_mutex_lock(&keeper->lock);
    while (!keeper->stopping && keeper->asked == keeper->done) {
        uint64_t passed = os_mono_ms() - last_ms;
        bool busy = is_busy(keeper);
        if (busy && passed >= PERIOD_MS)
            break;
        os_cond_wait(&keeper->changed, &keeper->lock,
                     busy ? (uint32_t)(PERIOD_MS - passed) : UINT32_MAX);
    }
    *sweep = keeper->sweep;
    keeper->woken = false;
    keeper->sweep = false;
    bool goes_on = !keeper->stopping;
    os_mutex_unlock(&keeper->lock);
    return goes_on;
}

/* What an operator has done is soon in the file; the wish stays until it is. */
static bool is_in_a_hurry(struct ban_keeper *keeper)
{
    os_mutex_lock(&keeper->lock);
    if (!is_dirty(keeper))
        keeper->hurry = false;
    bool hurry = keeper->hurry;
    os_mutex_unlock(&keeper->lock);
    return hurry;
}

static void run(void *arg)
{
    struct ban_keeper *keeper = arg;
    uint64_t last_ms = 0;
    bool sweep;
    if (path_of(keeper)[0] != '\0')
        open_store(keeper);
    os_mutex_lock(&keeper->lock);
    keeper->opened = true;
    os_cond_wake_all(&keeper->changed);
    os_mutex_unlock(&keeper->lock);
    while (wait_for_work(keeper, last_ms, &sweep)) {
        last_ms = os_mono_ms();
        answer_request(keeper);
        drop_expired(keeper);
        if (sweep)
            end_sessions(keeper);
        read_again(keeper);
        look_for_lock(keeper);
        save_when_due(keeper, is_in_a_hurry(keeper));
    }
    answer_request(keeper);
    if (is_writer(keeper))
        save(keeper); /* with the hits */
}

/* ---- from other threads ---- */

/* Waits, with the lock held, for something to change. False: the time is over. */
static bool wait_change(struct ban_keeper *keeper, uint64_t deadline)
{
    uint64_t now = os_mono_ms();
    if (now >= deadline)
        return false;
    os_cond_wait(&keeper->changed, &keeper->lock, (uint32_t)(deadline - now));
    return true;
}

enum err ban_keeper_start(struct ban_keeper **out, struct relay *relay)
{
    struct ban_keeper *keeper = calloc(1, sizeof *keeper);
    if (keeper == NULL)
        return ERR_NOMEM;
    os_mutex_init(&keeper->lock, LOCK_BAN_KEEPER);
    keeper->relay = relay;
    keeper->write_log.window_ms = WRITE_LOG_MS;
    conf_place(relay->conf, relay->conf->state_file, keeper->info.path);
    enum err err = os_thread_start(&keeper->thread, "bans", run, keeper);
    if (err != ERR_OK) {
        free(keeper);
        return err;
    }
    uint64_t deadline = os_mono_ms() + START_WAIT_MS;
    os_mutex_lock(&keeper->lock);
    while (!keeper->opened && wait_change(keeper, deadline))
        continue;
    bool opened = keeper->opened;
    os_mutex_unlock(&keeper->lock);
    if (!opened)
        log_error("state_file %s: its disk does not answer; the relay starts without its bans, "
                  "which hold as soon as it does",
                  relay->conf->state_file);
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
    ban_store_close(keeper->store);
    free(keeper);
}

static void wake(struct ban_keeper *keeper, bool sweep, bool hurry)
{
    if (keeper == NULL)
        return;
    os_mutex_lock(&keeper->lock);
    keeper->woken = true;
    keeper->sweep = keeper->sweep || sweep;
    keeper->hurry = keeper->hurry || hurry;
    os_cond_wake_all(&keeper->changed);
    os_mutex_unlock(&keeper->lock);
}

void ban_keeper_wake(struct ban_keeper *keeper, bool sweep)
{
    wake(keeper, sweep, false);
}

void ban_keeper_hurry(struct ban_keeper *keeper)
{
    wake(keeper, false, true);
}

/* Has the thread do something, and waits for it. */
static void ask(struct ban_keeper *keeper, enum request request)
{
    if (keeper == NULL)
        return;
    uint64_t deadline = os_mono_ms() + ASK_WAIT_MS;
    os_mutex_lock(&keeper->lock);
    keeper->request = request;
    unsigned mine = ++keeper->asked;
    os_cond_wake_all(&keeper->changed);
    while ((int)(keeper->done - mine) < 0 && wait_change(keeper, deadline))
        continue;
    bool done = (int)(keeper->done - mine) >= 0;
    os_mutex_unlock(&keeper->lock);
    if (!done)
        log_warning("state_file: its disk does not answer; going on without waiting for it");
}

void ban_keeper_hand_over(struct ban_keeper *keeper)
{
    ask(keeper, ASK_HAND_OVER);
}

void ban_keeper_take_over(struct ban_keeper *keeper)
{
    ask(keeper, ASK_TAKE_OVER);
}

static struct ban_store *store_of(struct ban_keeper *keeper)
{
    os_mutex_lock(&keeper->lock);
    struct ban_store *store = keeper->store;
    os_mutex_unlock(&keeper->lock);
    return store;
}

bool ban_keeper_remove_aside(struct ban_keeper *keeper, const struct addr_net *net)
{
    struct ban_store *store = keeper == NULL ? NULL : store_of(keeper);
    return store != NULL && ban_store_remove_aside(store, net);
}

void ban_keeper_get_info(struct ban_keeper *keeper, struct ban_keeper_info *out)
{
    memset(out, 0, sizeof *out);
    if (keeper == NULL)
        return;
    struct ban_store *store = store_of(keeper);
    os_mutex_lock(&keeper->lock);
    *out = keeper->info;
    os_mutex_unlock(&keeper->lock);
    if (store != NULL)
        out->aside = ban_store_count_aside(store);
}
