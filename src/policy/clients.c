/* clients.c - what is remembered of each client: who may come in, and what is shown of it. */
#include "policy/clients.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "policy/client_table.h"

#define CHAINS_AT_A_TIME 64 /* that a lock is held for by who looks at the whole table */

/* ---- coming and leaving ---- */

static enum client_answer judge(struct client *client, const struct client_limits *limits,
                                uint64_t now_ms)
{
    if (limits->max_sessions != 0 && client->sessions >= limits->max_sessions)
        return CLIENT_TOO_MANY;
    if (!bucket_take(&client->connects, &limits->connect_rate, now_ms))
        return CLIENT_TOO_OFTEN;
    return CLIENT_ADMITTED;
}

/* Counts a refusal; true when there were so many that a ban is due. */
static bool count_refusal(struct client *client, const struct conf_eject *ban_after,
                          uint64_t now_ms)
{
    client->refused_total++;
    if (ban_after->count == 0)
        return false;
    if (client->refusals_end_ms <= now_ms) {
        client->refusals = 0;
        client->refusals_end_ms = now_ms + ban_after->within_ms;
    }
    if (++client->refusals < ban_after->count)
        return false;
    client->refusals_end_ms = 0;
    return true;
}

/* Counts what came of a try and puts the entry where it belongs now. */
static bool settle(struct clients *clients, struct client *client, enum client_answer answer,
                   const struct client_limits *limits, uint64_t now_ms)
{
    bool ban = false;
    if (client->sessions == 0)
        client_table_age_out(clients, client);
    client->was_refused = answer != CLIENT_ADMITTED;
    client->last_ms = now_ms;
    if (answer == CLIENT_ADMITTED) {
        client->entered_total++;
        client->sessions++;
    } else {
        ban = count_refusal(client, &limits->ban_after, now_ms);
    }
    if (client->sessions == 0)
        client_table_age_in(clients, client);
    return ban;
}

enum client_answer clients_enter(struct clients *clients, uint32_t route,
                                 const struct addr *addr, uint8_t bits,
                                 const struct client_limits *limits, uint64_t now_ms,
                                 struct client **out, bool *ban)
{
    struct client_key key = client_table_key(route, addr, bits);
    uint32_t chain = client_table_chain(clients, &key);
    struct shard *shard = client_table_shard(clients, chain);
    enum client_answer answer = CLIENT_ADMITTED;
    *ban = false;

    lock_take(&shard->lock);
    struct client *client = client_table_find(clients, chain, &key);
    if (client == NULL)
        client = client_table_add(clients, chain, &key, now_ms);
    if (client != NULL) {
        answer = judge(client, limits, now_ms);
        *ban = settle(clients, client, answer, limits, now_ms);
    }
    lock_give(&shard->lock);

    if (client == NULL)
        atomic_fetch_add_explicit(&clients->unremembered_total, 1, memory_order_relaxed);
    if (answer == CLIENT_ADMITTED)
        *out = client;
    return answer;
}

void clients_leave(struct clients *clients, struct client *client, uint64_t now_ms)
{
    if (client == NULL)
        return;
    struct shard *shard =
        client_table_shard(clients, client->chain); /* it stays while a session does */
    lock_take(&shard->lock);
    assert(client->sessions > 0);
    client->last_ms = now_ms;
    if (--client->sessions == 0)
        client_table_age_in(clients, client);
    lock_give(&shard->lock);
}

bool client_wait(struct client *client, uint32_t most)
{
    if (client != NULL && most > 0 && client->waiting >= most)
        return false;
    client_wait_again(client);
    return true;
}

void client_wait_again(struct client *client)
{
    if (client != NULL)
        client->waiting++;
}

void client_wait_over(struct client *client)
{
    if (client == NULL)
        return;
    assert(client->waiting > 0);
    client->waiting--;
}

struct bucket *client_bucket_up(struct client *client)
{
    return &client->up;
}

struct bucket *client_bucket_down(struct client *client)
{
    return &client->down;
}

/* ---- the whole table ---- */

/* The next few chains, all of one shard, are those from `chain` on and before the result. */
static uint32_t end_of_part(const struct clients *clients, uint32_t chain)
{
    uint32_t shard = clients->chains_per_shard;
    return chain + (shard < CHAINS_AT_A_TIME ? shard : CHAINS_AT_A_TIME);
}

void clients_fill(struct clients *clients, uint32_t route)
{
    uint32_t chain = 0;
    while (chain < clients->chain_count) {
        struct shard *shard = client_table_shard(clients, chain);
        uint32_t end = end_of_part(clients, chain);
        lock_take(&shard->lock);
        for (; chain < end; chain++) {
            for (uint32_t i = clients->chains[chain]; i != 0; i = clients->entries[i].next) {
                if (clients->entries[i].route != route)
                    continue;
                bucket_fill(&clients->entries[i].up);
                bucket_fill(&clients->entries[i].down);
            }
        }
        lock_give(&shard->lock);
    }
}

void clients_get_info(struct clients *clients, struct clients_info *out)
{
    *out = (struct clients_info){
        .used = atomic_load_explicit(&clients->used, memory_order_relaxed),
        .capacity = clients->capacity,
        .evicted_total = atomic_load_explicit(&clients->evicted_total, memory_order_relaxed),
        .unremembered_total =
            atomic_load_explicit(&clients->unremembered_total, memory_order_relaxed),
    };
}

static struct client_info info_of(const struct client *client, uint64_t now_ms)
{
    struct client_info info = {
        .route = client->route,
        .addr = {.family = client->family},
        .bits = client->bits,
        .sessions = client->sessions,
        .refused_total = client->refused_total,
        .entered_total = client->entered_total,
        .quiet_ms = now_ms > client->last_ms ? now_ms - client->last_ms : 0,
    };
    memcpy(info.addr.ip, client->ip, sizeof info.addr.ip);
    return info;
}

/* Copies those of the entries of a few chains that there is room for; returns how many there
 * are. */
static size_t copy_part(struct clients *clients, uint32_t chain, uint32_t end, uint64_t now_ms,
                        struct client_info *to, size_t room)
{
    struct shard *shard = client_table_shard(clients, chain);
    size_t count = 0;
    lock_take(&shard->lock);
    for (; chain < end; chain++) {
        for (uint32_t i = clients->chains[chain]; i != 0; i = clients->entries[i].next) {
            if (count < room)
                to[count] = info_of(&clients->entries[i], now_ms);
            count++;
        }
    }
    lock_give(&shard->lock);
    return count;
}

enum err clients_list(struct clients *clients, uint64_t now_ms, struct client_info **out,
                      size_t *count)
{
    /* While it is copied an entry may change its client and come a second time, so there may be
     * more than are used. */
    size_t room = atomic_load_explicit(&clients->used, memory_order_relaxed) + (size_t)1;
    struct client_info *list = malloc(room * sizeof *list);
    if (list == NULL)
        return ERR_NOMEM;
    size_t used = 0;
    uint32_t chain = 0;
    while (chain < clients->chain_count) {
        uint32_t end = end_of_part(clients, chain);
        size_t there = copy_part(clients, chain, end, now_ms, list + used, room - used);
        if (there <= room - used) {
            used += there;
            chain = end;
            continue;
        }
        room += room / 2 + there;
        struct client_info *larger = realloc(list, room * sizeof *list);
        if (larger == NULL) {
            free(list);
            return ERR_NOMEM;
        }
        list = larger;
    }
    *out = list;
    *count = used;
    return ERR_OK;
}
