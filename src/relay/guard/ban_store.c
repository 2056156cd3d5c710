#include "relay/guard/ban_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "os/file.h"
#include "os/os.h"
#include "relay/guard/ban_file.h"

#define READ_LOG_MS (10 * 60 * 1000u) /* between two lines about a file that can't be read */

struct ban_store {
    char *path; /* owned */
    struct bans *bans;
    const struct ban_clock *clock;
    struct os_file_lock *file_lock; /* NULL: not held, or there are none */
    bool locked;
    struct log_limit read_log;

    struct addr_net *known; /* owned: the networks of the last reading, in order */
    size_t known_count;

    struct os_mutex lock; /* guards what follows; memory only */
    struct ban *aside;    /* owned; by the clock of bans */
    size_t aside_count;
};

enum err ban_store_open(struct ban_store **out, const char *path, struct bans *bans,
                        const struct ban_clock *clock)
{
    struct ban_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return ERR_NOMEM;
    os_mutex_init(&store->lock, LOCK_BAN_STORE);
    store->path = malloc(strlen(path) + 1);
    if (store->path == NULL) {
        free(store);
        return ERR_NOMEM;
    }
    memcpy(store->path, path, strlen(path) + 1);
    store->read_log.window_ms = READ_LOG_MS;
    store->bans = bans;
    store->clock = clock;
    *out = store;
    return ERR_OK;
}

void ban_store_close(struct ban_store *store)
{
    if (store == NULL)
        return;
    ban_store_unlock(store);
    free(store->known);
    free(store->aside);
    free(store->path);
    free(store);
}

/* ---- the lock ---- */

bool ban_store_lock(struct ban_store *store, uint64_t *holder)
{
    if (store->locked)
        return true;
    enum err err = os_file_lock(&store->file_lock, store->path, holder);
    if (err == ERR_IN_USE)
        return false;
    store->locked = true;
    os_file_clean_up(store->path);
    return true;
}

void ban_store_unlock(struct ban_store *store)
{
    os_file_unlock(store->file_lock);
    store->file_lock = NULL;
    store->locked = false;
}

bool ban_store_is_locked(const struct ban_store *store)
{
    return store->locked;
}

/* ---- reading ---- */

static int compare_nets(const void *a, const void *b)
{
    const struct addr_net *x = a, *y = b;
    if (x->addr.family != y->addr.family)
        return x->addr.family < y->addr.family ? -1 : 1;
    int order = memcmp(x->addr.ip, y->addr.ip, sizeof x->addr.ip);
    return order != 0 ? order : (x->bits > y->bits) - (x->bits < y->bits);
}

/* Remembers which networks the file has; removes the bans of those that it had before. */
static void note_known(struct ban_store *store, const struct ban *bans, size_t count)
{
    struct addr_net *known = calloc(count + 1, sizeof *known);
    if (known == NULL)
        return; /* then some may be banned that are not any more */
    for (size_t i = 0; i < count; i++)
        known[i] = bans[i].net;
    qsort(known, count, sizeof *known, compare_nets);
    for (size_t i = 0; i < store->known_count; i++)
        if (bsearch(&store->known[i], known, count, sizeof *known, compare_nets) == NULL)
            bans_remove(store->bans, &store->known[i]);
    free(store->known);
    store->known = known;
    store->known_count = count;
}

/* Those of `bans` that are not over and find a place go into the table, the others of them become
 * the first of `bans`, *count of them. Returns how many are in the table. */
static size_t add_all(struct ban_store *store, struct ban *bans, size_t *count)
{
    uint64_t now = ban_clock_now(store->clock);
    size_t added = 0, left = 0;
    for (size_t i = 0; i < *count; i++) {
        if (bans[i].until_ms <= now)
            continue;
        if (bans_add(store->bans, &bans[i], now, NULL) == ERR_OK)
            added++;
        else
            bans[left++] = bans[i];
    }
    *count = left;
    return added;
}

static void set_aside(struct ban_store *store, struct ban *bans, size_t count)
{
    os_mutex_lock(&store->lock);
    struct ban *old = store->aside;
    store->aside = bans;
    store->aside_count = count;
    os_mutex_unlock(&store->lock);
    free(old);
}

static void take(struct ban_store *store, struct ban *bans, size_t count)
{
    size_t fresh = 0;
    note_known(store, bans, count);
    for (size_t i = 0; i < count; i++) {
        struct ban ban = bans[i];
        if (ban_clock_from_wall(store->clock, &ban))
            bans[fresh++] = ban;
    }
    size_t left = fresh;
    size_t added = add_all(store, bans, &left);
    set_aside(store, bans, left);
    if (left > 0 && bans_count(store->bans) >= BANS_MAX)
        log_warning("state_file %s: %zu bans are more than fit (%d): they stay in the file and "
                    "have no effect until others are over",
                    store->path, left, BANS_MAX);
    else if (left > 0)
        log_error("state_file %s: %zu bans have no effect yet: %s; trying again", store->path,
                  left, err_text(ERR_NOMEM));
    if (count > 0)
        log_notice("state_file %s: %zu ban%s read, %zu expired", store->path, added,
                   added == 1 ? "" : "s", count - fresh);
}

/* The file is damaged: it stays for whoever wants to look into it. Nothing is kept when it can't
 * be put aside, since keeping would be the end of it. */
static enum ban_reading put_aside(struct ban_store *store, const char *why)
{
    struct str aside;
    str_init(&aside);
    str_addf(&aside, "%s.damaged", store->path);
    enum err moved = aside.failed ? ERR_NOMEM : os_file_replace(store->path, aside.data);
    if (moved == ERR_OK)
        log_error("state_file %s is damaged: %s; it is kept as %s, and the relay starts "
                  "without bans",
                  store->path, why, aside.data);
    else
        log_error("state_file %s is damaged: %s; it can't be put aside: %s; bans are not kept",
                  store->path, why, err_text(moved));
    str_free(&aside);
    return moved == ERR_OK ? BAN_READ : BAN_READ_NEVER;
}

static enum ban_reading not_read(struct ban_store *store, enum err err, const char *why)
{
    switch (err) {
    case ERR_NOT_FOUND: return BAN_READ;
    case ERR_INVALID:
        if (store->locked)
            return put_aside(store, why);
        log_error("state_file %s can't be read: %s", store->path, why);
        return BAN_READ;
    case ERR_UNSUPPORTED:
        log_error("state_file %s can't be read: %s; bans are not kept", store->path, why);
        return BAN_READ_NEVER;
    default: /* nothing is wrong with what is there: it stays */
        log_limited(&store->read_log, LOG_ERROR,
                    "state_file %s can't be read: %s; its bans have no effect, and others are "
                    "not kept, until it can; trying again",
                    store->path, why);
        return BAN_READ_LATER;
    }
}

enum ban_reading ban_store_read(struct ban_store *store, enum err *err)
{
    struct ban *bans;
    size_t count;
    struct str why;
    enum ban_reading reading = BAN_READ;
    str_init(&why);
    *err = ban_file_read(store->path, &bans, &count, &why);
    if (*err == ERR_OK)
        take(store, bans, count);
    else
        reading = not_read(store, *err, why.len == 0 ? err_text(*err) : why.data);
    str_free(&why);
    return reading;
}

/* ---- writing ---- */

/* All bans that are not over, by network; for free(). */
static enum err list_all(struct ban_store *store, struct ban **out, size_t *count)
{
    uint64_t now = ban_clock_now(store->clock);
    size_t listed;
    struct ban *all;
    enum err err = bans_list(store->bans, now, &all, &listed);
    if (err != ERR_OK)
        return err;
    os_mutex_lock(&store->lock);
    struct ban *grown = realloc(all, (listed + store->aside_count + 1) * sizeof *all);
    if (grown != NULL) {
        all = grown;
        for (size_t i = 0; i < store->aside_count; i++)
            if (store->aside[i].until_ms > now)
                all[listed++] = store->aside[i];
    }
    os_mutex_unlock(&store->lock);
    if (grown == NULL) {
        free(all);
        return ERR_NOMEM;
    }
    *out = all;
    *count = listed;
    return ERR_OK;
}

enum err ban_store_write(struct ban_store *store, uint64_t *bytes)
{
    struct ban *all;
    size_t count;
    enum err err = list_all(store, &all, &count);
    if (err != ERR_OK)
        return err;
    int64_t shift_ms = ban_clock_shift(store->clock);
    for (size_t i = 0; i < count; i++)
        ban_clock_to_wall(&all[i], shift_ms);
    err = ban_file_write(store->path, all, count, bytes);
    free(all);
    return err;
}

/* ---- aside ---- */

void ban_store_refill(struct ban_store *store)
{
    os_mutex_lock(&store->lock);
    if (store->aside_count > 0 && bans_count(store->bans) < BANS_MAX)
        add_all(store, store->aside, &store->aside_count);
    os_mutex_unlock(&store->lock);
}

size_t ban_store_count_aside(struct ban_store *store)
{
    os_mutex_lock(&store->lock);
    size_t count = store->aside_count;
    os_mutex_unlock(&store->lock);
    return count;
}

bool ban_store_remove_aside(struct ban_store *store, const struct addr_net *net)
{
    size_t i = 0;
    os_mutex_lock(&store->lock);
    while (i < store->aside_count && compare_nets(&store->aside[i].net, net) != 0)
        i++;
    bool found = i < store->aside_count;
    if (found)
        store->aside[i] = store->aside[--store->aside_count];
    os_mutex_unlock(&store->lock);
    return found;
}
