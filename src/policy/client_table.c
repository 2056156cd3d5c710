/* client_table.c - the memory behind clients.h. */
#include "policy/client_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr_net.h"
#include "policy/hash.h"

#define SHARD_ENTRIES 1024 /* no more shards than would have as many each */

/* There are less than twice as many chains as entries. */
static_assert(sizeof(struct client) + 2 * sizeof(uint32_t) <= CLIENT_BYTES,
              "as clients.h says");

/* ---- the table ---- */

static uint32_t shard_count(uint32_t capacity)
{
    uint32_t count = 1;
    while (count < CLIENT_SHARDS_MAX && capacity / (2 * count) >= SHARD_ENTRIES)
        count *= 2;
    return count;
}

static uint32_t chain_count(uint32_t capacity)
{
    uint32_t count = 1;
    while (count < capacity && count < UINT32_C(1) << 31)
        count *= 2;
    return count;
}

enum err clients_open(struct clients **out, uint32_t capacity, uint64_t seed)
{
    struct clients *clients = calloc(1, sizeof *clients);
    if (clients == NULL)
        return ERR_NOMEM;
    clients->seed = seed;
    clients->capacity = capacity;
    clients->chain_count = chain_count(capacity);
    clients->chains_per_shard = clients->chain_count / shard_count(capacity);
    clients->entries = calloc((size_t)capacity + 1, sizeof *clients->entries);
    if (clients->entries == NULL)
        goto free_clients;
    clients->chains = calloc(clients->chain_count, sizeof *clients->chains);
    if (clients->chains == NULL)
        goto free_entries;
    *out = clients;
    return ERR_OK;

free_entries:
    free(clients->entries);
free_clients:
    free(clients);
    return ERR_NOMEM;
}

void clients_close(struct clients *clients)
{
    if (clients == NULL)
        return;
    free(clients->chains);
    free(clients->entries);
    free(clients);
}

struct shard *client_table_shard(struct clients *clients, uint32_t chain)
{
    return &clients->shards[chain / clients->chains_per_shard];
}

static uint32_t index_of(const struct clients *clients, const struct client *client)
{
    return (uint32_t)(client - clients->entries);
}

/* ---- chains; call with the lock of the shard ---- */

struct client_key client_table_key(uint32_t route, const struct addr *addr, uint8_t bits)
{
    struct addr masked = *addr;
    addr_normalise(&masked);
    addr_net_mask(&masked, bits);
    struct client_key key = {.route = route, .family = masked.family, .bits = bits};
    memcpy(key.ip, masked.ip, sizeof key.ip);
    return key;
}

uint32_t client_table_chain(const struct clients *clients, const struct client_key *key)
{
    uint64_t words[2];
    memcpy(words, key->ip, sizeof words);
    uint64_t rest = (uint64_t)key->route << 16 | (uint64_t)key->family << 8 | key->bits;
    uint64_t hash = hash_words(clients->seed, words[0], words[1], rest);
    return (uint32_t)hash & (clients->chain_count - 1);
}

static bool is_of(const struct client *client, const struct client_key *key)
{
    return client->route == key->route && client->family == key->family &&
           client->bits == key->bits && memcmp(client->ip, key->ip, sizeof key->ip) == 0;
}

struct client *client_table_find(struct clients *clients, uint32_t chain,
                                 const struct client_key *key)
{
    uint32_t index = clients->chains[chain];
    while (index != 0) {
        struct client *client = &clients->entries[index];
        if (is_of(client, key))
            return client;
        index = client->next;
    }
    return NULL;
}

static void chain_in(struct clients *clients, struct client *client)
{
    client->next = clients->chains[client->chain];
    clients->chains[client->chain] = index_of(clients, client);
}

static void chain_out(struct clients *clients, struct client *client)
{
    uint32_t index = index_of(clients, client);
    uint32_t *link = &clients->chains[client->chain];
    while (*link != index)
        link = &clients->entries[*link].next;
    *link = client->next;
}

/* ---- ages; call with the lock of the shard ---- */

static struct ages *ages_of(struct clients *clients, const struct client *client)
{
    return &client_table_shard(clients, client->chain)->ages[client->was_refused];
}

void client_table_age_in(struct clients *clients, struct client *client)
{
    struct ages *ages = ages_of(clients, client);
    uint32_t index = index_of(clients, client);
    client->newer = 0;
    client->older = ages->newest;
    if (ages->newest != 0)
        clients->entries[ages->newest].newer = index;
    else
        ages->oldest = index;
    ages->newest = index;
}

void client_table_age_out(struct clients *clients, struct client *client)
{
    struct ages *ages = ages_of(clients, client);
    if (client->newer != 0)
        clients->entries[client->newer].older = client->older;
    else
        ages->newest = client->older;
    if (client->older != 0)
        clients->entries[client->older].newer = client->newer;
    else
        ages->oldest = client->newer;
}

/* ---- entries; call with the lock of the shard ---- */

/* Nothing is lost with an entry without sessions. */
static bool is_forgettable(const struct client *client, uint64_t now_ms)
{
    return client->refusals_end_ms <= now_ms && bucket_is_full(&client->connects, now_ms) &&
           bucket_is_full(&client->up, now_ms) && bucket_is_full(&client->down, now_ms);
}

static struct client *oldest_forgettable(struct clients *clients, const struct ages *ages,
                                         uint64_t now_ms)
{
    uint32_t index = ages->oldest;
    for (unsigned i = 0; i < CLIENT_LOOKS && index != 0; i++) {
        struct client *client = &clients->entries[index];
        if (is_forgettable(client, now_ms))
            return client;
        index = client->newer;
    }
    return NULL;
}

/* Takes the least useful entry out of its shard; NULL: nobody can go. */
static struct client *evict(struct clients *clients, struct shard *shard, uint64_t now_ms)
{
    struct client *client = oldest_forgettable(clients, &shard->ages[false], now_ms);
    if (client == NULL)
        client = oldest_forgettable(clients, &shard->ages[true], now_ms);
    if (client == NULL) {
        bool was_refused = shard->ages[false].oldest == 0;
        uint32_t index = shard->ages[was_refused].oldest;
        if (index == 0)
            return NULL;
        client = &clients->entries[index];
        atomic_fetch_add_explicit(&clients->evicted_total, 1, memory_order_relaxed);
    }
    client_table_age_out(clients, client);
    chain_out(clients, client);
    return client;
}

/* An entry that was never used; NULL: all were. */
static struct client *take_unused(struct clients *clients)
{
    uint32_t used = atomic_load_explicit(&clients->used, memory_order_relaxed);
    do {
        if (used == clients->capacity)
            return NULL;
    } while (!atomic_compare_exchange_weak_explicit(
        &clients->used, &used, used + 1, memory_order_relaxed, memory_order_relaxed));
    return &clients->entries[used + 1];
}

struct client *client_table_add(struct clients *clients, uint32_t chain,
                                const struct client_key *key, uint64_t now_ms)
{
    struct client *client = take_unused(clients);
    if (client == NULL)
        client = evict(clients, client_table_shard(clients, chain), now_ms);
    if (client == NULL)
        return NULL;
    memset(client, 0, sizeof *client);
    memcpy(client->ip, key->ip, sizeof client->ip);
    client->route = key->route;
    client->family = key->family;
    client->bits = key->bits;
    client->chain = chain;
    chain_in(clients, client);
    client_table_age_in(clients, client);
    return client;
}
