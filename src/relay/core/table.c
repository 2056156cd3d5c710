#include "relay/core/table.h"

#include <stdlib.h>

#include "relay/core/timers.h"
#include "relay/pair.h"

void table_init(struct table *table)
{
    for (size_t i = 0; i < TABLE_SHARDS; i++) {
        os_mutex_init(&table->shards[i].lock, LOCK_SHARD);
        list_init(&table->shards[i].pairs);
        table->shards[i].count = 0;
    }
}

static struct table_shard *shard_of(struct table *table, uint64_t id)
{
    return &table->shards[id % TABLE_SHARDS];
}

void table_add(struct table *table, struct pair *pair)
{
    struct table_shard *shard = shard_of(table, pair->id);
    os_mutex_lock(&shard->lock);
    list_push(&shard->pairs, &pair->in_table);
    shard->count++;
    os_mutex_unlock(&shard->lock);
}

void table_remove(struct table *table, struct pair *pair)
{
    struct table_shard *shard = shard_of(table, pair->id);
    os_mutex_lock(&shard->lock);
    list_remove(&pair->in_table);
    shard->count--;
    os_mutex_unlock(&shard->lock);
}

struct pair *table_find(struct table *table, uint64_t id)
{
    struct table_shard *shard = shard_of(table, id);
    struct pair *found = NULL;
    os_mutex_lock(&shard->lock);
    for (struct list *l = shard->pairs.next; l != &shard->pairs && found == NULL; l = l->next) {
        struct pair *pair = list_owner(l, struct pair, in_table);
        if (pair->id == id) {
            pair_ref(pair);
            found = pair;
        }
    }
    os_mutex_unlock(&shard->lock);
    return found;
}

void table_each(struct table *table, void (*act)(void *ctx, struct pair *pair), void *ctx)
{
    for (size_t i = 0; i < TABLE_SHARDS; i++) {
        struct table_shard *shard = &table->shards[i];
        os_mutex_lock(&shard->lock);
        for (struct list *l = shard->pairs.next; l != &shard->pairs; l = l->next)
            act(ctx, list_owner(l, struct pair, in_table));
        os_mutex_unlock(&shard->lock);
    }
}

struct wake {
    struct timers *timers;
    const struct relay_route *route;
};

static void wake_pair(void *ctx, struct pair *pair)
{
    const struct wake *wake = ctx;
    if (pair->route == wake->route)
        timers_arm(wake->timers, &pair->timer, 0);
}

/* A pair leaves the table before its timer is disarmed for good, so with the shard locked it may
 * be armed without a reference. */
void table_wake(struct table *table, struct timers *timers, const struct relay_route *route)
{
    struct wake wake = {timers, route};
    table_each(table, wake_pair, &wake);
}

enum err table_all(struct table *table, struct pair ***out, size_t *count)
{
    struct pair **pairs = NULL;
    size_t used = 0, room = 0;
    for (size_t i = 0; i < TABLE_SHARDS; i++) {
        struct table_shard *shard = &table->shards[i];
        os_mutex_lock(&shard->lock);
        /* Allocate without the lock: workers come here for every session. The shard may have
         * grown meanwhile, hence the loop. */
        while (room - used < shard->count) {
            size_t wanted = used + shard->count + 64;
            os_mutex_unlock(&shard->lock);
            struct pair **larger = realloc(pairs, wanted * sizeof(struct pair *));
            if (larger == NULL)
                goto undo;
            pairs = larger;
            room = wanted;
            os_mutex_lock(&shard->lock);
        }
        for (struct list *l = shard->pairs.next; l != &shard->pairs; l = l->next) {
            pairs[used] = list_owner(l, struct pair, in_table);
            pair_ref(pairs[used++]);
        }
        os_mutex_unlock(&shard->lock);
    }
    *out = pairs;
    *count = used;
    return ERR_OK;

undo:
    while (used > 0)
        pair_unref(pairs[--used]);
    free(pairs);
    return ERR_NOMEM;
}
