#include "relay/core/sessions.h"

#include <stdlib.h>

#include "os/os.h"
#include "relay/core/elapsed.h"
#include "relay/pair.h"
#include "relay/relay.h"

/* ---- one of them ---- */

void pair_note_reason(struct pair *pair, enum reason reason)
{
    if (pair->reason != REASON_NONE && pair->reason != REASON_CLIENT_FIN &&
        pair->reason != REASON_UPSTREAM_FIN)
        return;
    if (pair->reason != REASON_NONE &&
        (reason == REASON_CLIENT_FIN || reason == REASON_UPSTREAM_FIN))
        return;
    pair->reason = reason;
    pair->reason_phase = pair->phase;
}

/* With the lock held. */
static bool ask_for_end(struct pair *pair, enum reason reason)
{
    if (pair->life != PAIR_OPEN)
        return false;
    pair_note_reason(pair, reason);
    pair->life = PAIR_END_WANTED;
    timers_arm(&pair->relay->timers, &pair->timer, 0);
    return true;
}

bool pair_end(struct pair *pair, enum reason reason)
{
    os_mutex_lock(&pair->lock);
    bool asked = ask_for_end(pair, reason);
    os_mutex_unlock(&pair->lock);
    return asked;
}

static bool is_at(const struct pair *pair, const struct session_filter *filter)
{
    if (!pair->attempt.has_place || pair->attempt.upstream_index != filter->upstream)
        return false;
    return !filter->at_server ||
           (pair->phase >= PHASE_DATA && pair->attempt.server_index == filter->server);
}

/* With the lock held. */
static bool matches(const struct pair *pair, const struct session_filter *filter,
                    uint64_t now_ms)
{
    if (pair->life == PAIR_RELEASED || (filter->route != NULL && pair->route != filter->route))
        return false;
    if (filter->at_upstream && !is_at(pair, filter))
        return false;
    if (filter->net != NULL && !addr_net_has(filter->net, &pair->client.peer))
        return false;
    if (filter->wanted != NULL && !filter->wanted(pair->route, &pair->client.peer))
        return false;
    return elapsed_ms(now_ms, pair->started_ms) >= filter->older_ms;
}

bool pair_end_if(struct pair *pair, const struct session_filter *filter, uint64_t now_ms,
                 enum reason reason)
{
    os_mutex_lock(&pair->lock);
    bool asked = matches(pair, filter, now_ms) && ask_for_end(pair, reason);
    os_mutex_unlock(&pair->lock);
    return asked;
}

bool pair_matches(struct pair *pair, const struct session_filter *filter, uint64_t now_ms)
{
    os_mutex_lock(&pair->lock);
    bool is_one = pair->life == PAIR_OPEN && matches(pair, filter, now_ms);
    os_mutex_unlock(&pair->lock);
    return is_one;
}

/* ---- all of them ---- */

/* Oldest first: ids grow. */
static int by_id(const void *a, const void *b)
{
    uint64_t first = (*(struct pair *const *)a)->id;
    uint64_t second = (*(struct pair *const *)b)->id;
    return first < second ? -1 : first > second;
}

enum err sessions_end_oldest(struct relay *relay, const struct session_filter *filter,
                             size_t most, enum reason reason, size_t *ended, size_t *left)
{
    struct pair **pairs;
    size_t count, done = 0, others = 0;
    enum err err = table_all(&relay->table, &pairs, &count);
    if (err != ERR_OK)
        return err;
    if (most < count && most > 0)
        qsort(pairs, count, sizeof(struct pair *), by_id);
    uint64_t now_ms = os_mono_ms();
    for (size_t i = 0; i < count; i++) {
        if (done < most)
            done += pair_end_if(pairs[i], filter, now_ms, reason);
        else if (left != NULL)
            others += pair_matches(pairs[i], filter, now_ms);
        pair_unref(pairs[i]);
    }
    free(pairs);
    if (ended != NULL)
        *ended = done;
    if (left != NULL)
        *left = others;
    return ERR_OK;
}

enum err sessions_end(struct relay *relay, const struct session_filter *filter,
                      enum reason reason, size_t *ended)
{
    return sessions_end_oldest(relay, filter, SIZE_MAX, reason, ended, NULL);
}

enum err sessions_count(struct relay *relay, const struct session_filter *filter, size_t *count)
{
    return sessions_end_oldest(relay, filter, 0, REASON_NONE, NULL, count);
}
