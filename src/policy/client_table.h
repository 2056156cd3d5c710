/* client_table.h - the memory behind clients.h: entries, and which of them has to go.
 *
 * One array of entries, chained by their hash. An entry is named by its index, of which 0 means
 * none, so that zeroed memory is an empty table and pages that were never used cost nothing.
 * Entries are handed out from the front of the array, to whichever shard asks, and stay in that
 * shard. A shard keeps its entries without sessions in two lists by age, those whose last try was
 * refused apart.
 *
 * Threads: any; with the lock of the shard held where it says so.
 */
#ifndef PAIRPORT_POLICY_CLIENT_TABLE_H
#define PAIRPORT_POLICY_CLIENT_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "policy/bucket.h"
#include "policy/clients.h"
#include "policy/lock.h"

#define CLIENT_SHARDS_MAX 64
#define CLIENT_LOOKS      8 /* entries of a list that are looked at for one to give up */

/* Who a client is; comes in one entry at most. */
struct client_key {
    uint8_t ip[16]; /* masked, normalised */
    uint32_t route;
    uint8_t family;
    uint8_t bits;
};

struct client {
    uint8_t ip[16]; /* masked */
    uint32_t route;
    uint8_t family;
    uint8_t bits;
    bool was_refused; /* its last try; tells its list */
    uint32_t chain;   /* stays while it has sessions, so it may be read then without the lock */
    uint32_t next;    /* in its chain */
    uint32_t older;   /* in its list, while it has no session */
    uint32_t newer;
    uint32_t sessions;
    uint32_t waiting;  /* of these, in the queue of the route; guarded by its owner */
    uint32_t refusals; /* before refusals_end_ms, of those that ask for a ban */
    uint64_t refusals_end_ms;
    uint64_t last_ms; /* when it came, was refused or left */
    uint64_t refused_total;
    uint64_t entered_total;
    struct bucket connects;
    struct bucket up;
    struct bucket down;
};

struct ages {
    uint32_t oldest;
    uint32_t newest;
};

struct shard {
    struct lock lock;    /* guards all entries and chains of the shard */
    struct ages ages[2]; /* by was_refused */
    /* Keeps what is written to of one shard out of the cache lines of the next. */
    unsigned char gap[128 - sizeof(struct lock) - 2 * sizeof(struct ages)];
};

struct clients {
    struct shard shards[CLIENT_SHARDS_MAX];
    uint64_t seed;
    uint32_t capacity;
    uint32_t chain_count;      /* a power of two */
    uint32_t chains_per_shard; /* a power of two */
    struct client *entries;    /* owned; [0] is not used */
    uint32_t *chains;          /* owned; the first entry of each */
    _Atomic uint32_t used;
    _Atomic uint64_t evicted_total;
    _Atomic uint64_t unremembered_total;
};

/* Masks the address. */
struct client_key client_table_key(uint32_t route, const struct addr *addr, uint8_t bits);
uint32_t client_table_chain(const struct clients *clients, const struct client_key *key);
struct shard *client_table_shard(struct clients *clients, uint32_t chain);

/* With the lock of the shard. NULL: it has no entry. */
struct client *client_table_find(struct clients *clients, uint32_t chain,
                                 const struct client_key *key);

/* Makes an entry of a client that has none, and puts it into the list of its age; takes it from
 * another client if it must. NULL: there is no place. With the lock of the shard. */
struct client *client_table_add(struct clients *clients, uint32_t chain,
                                const struct client_key *key, uint64_t now_ms);

/* Into the list that was_refused tells, as the newest, and out of it. With the lock of the
 * shard. */
void client_table_age_in(struct clients *clients, struct client *client);
void client_table_age_out(struct clients *clients, struct client *client);

#endif
