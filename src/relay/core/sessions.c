#include "relay/core/sessions.h"

#include <stdlib.h>

#include "os/os.h"
#include "relay/relay.h"
#include "relay/session/pair.h"

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
        pair_unhold(pairs[i]);
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
