/* The memory of a pair, and the references that keep it; see pair.h. */
#include <string.h>

#include "relay/pair.h"
#include "relay/relay.h"

struct pair *pair_take(struct relay *relay)
{
    os_mutex_lock(&relay->pairs_lock);
    struct pair *pair = slab_take(&relay->pairs);
    os_mutex_unlock(&relay->pairs_lock);
    if (pair == NULL)
        return NULL;
    memset(pair, 0, sizeof *pair);
    atomic_init(&pair->refs, 1);
    pair->relay = relay;
    return pair;
}

void pair_ref(struct pair *pair)
{
    atomic_fetch_add_explicit(&pair->refs, 1, memory_order_relaxed);
}

void pair_unref(struct pair *pair)
{
    if (atomic_fetch_sub_explicit(&pair->refs, 1, memory_order_acq_rel) > 1)
        return;
    struct relay *relay = pair->relay;
    os_mutex_lock(&relay->pairs_lock);
    slab_give(&relay->pairs, pair);
    os_mutex_unlock(&relay->pairs_lock);
}
