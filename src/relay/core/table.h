/* table.h - all open pairs: finds a pair by its id, and walks over all.
 *
 * The table has shards, each with a lock. A session is added once and removed once. A pair that
 * is found here comes with a reference, which keeps its memory but not its connections.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_RELAY_CORE_TABLE_H
#define PAIRPORT_RELAY_CORE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "os/os.h"

#define TABLE_SHARDS 64

struct pair;
struct relay_route;
struct timers;

struct table {
    struct table_shard {
        _Alignas(64) struct os_mutex lock; /* guards `pairs` and `count` */
        struct list pairs;
        size_t count;
    } shards[TABLE_SHARDS];
};

void table_init(struct table *table);
void table_add(struct table *table, struct pair *pair);
void table_remove(struct table *table, struct pair *pair);

/* NULL when there is none; otherwise with a reference for the caller (pair_unref). */
struct pair *table_find(struct table *table, uint64_t id);

/* Calls for each pair, with its shard locked. */
void table_each(struct table *table, void (*act)(void *ctx, struct pair *pair), void *ctx);

/* Has the timer of every pair of the route fire as soon as possible. */
void table_wake(struct table *table, struct timers *timers, const struct relay_route *route);

/* All pairs, each with a reference for the caller; *out is the caller's to free(). */
enum err table_all(struct table *table, struct pair ***out, size_t *count);

#endif
