/* bans.c - which addresses are shut out: a table by network, and a heap by when they end.
 *
 * A ban lies in memory of its own, made before and freed after the lock is held. A lookup goes
 * through the lengths of prefix that are in use, longest first, and needs the lock only where a
 * chain is not empty. The heap has the ban that ends first on top, so that those that are over
 * are found without looking at the others. */
#include "policy/bans.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "policy/expiry.h"
#include "policy/hash.h"
#include "policy/lock.h"

#define CHAINS           (1u << 17) /* more than BANS_MAX: most have one ban or none */
#define CHAINS_AT_A_TIME 64         /* that the lock is held for by who looks at all bans */
#define BITS_MAX         128
#define LENGTH_WORDS     (BITS_MAX / 64 + 1) /* a bit for each of 0..BITS_MAX */

struct entry {
    struct ban ban;
    struct entry *next; /* in its chain */
    struct expiry end;  /* ban.until_ms */
    uint32_t chain;
};

/* Which lengths of prefix are in use, of one family. */
struct lengths {
    _Atomic uint64_t used[LENGTH_WORDS]; /* a bit a length; may be read without the lock */
    uint32_t bans[BITS_MAX + 1];         /* of each length */
};

struct bans {
    struct lock lock; /* guards everything; what is atomic may be read without it */
    uint64_t seed;
    struct lengths ipv4, ipv6;
    _Atomic uint64_t version;
    _Atomic uint32_t count;          /* expiries.count, to be read without the lock */
    struct expiry_heap expiries;     /* of all bans; owns its entries */
    _Atomic(struct entry *) *chains; /* owned; the first of each */
};

enum err bans_open(struct bans **out, uint64_t seed)
{
    struct bans *bans = calloc(1, sizeof *bans);
    if (bans == NULL)
        return ERR_NOMEM;
    bans->seed = seed;
    bans->expiries.entries = calloc(BANS_MAX, sizeof *bans->expiries.entries);
    if (bans->expiries.entries == NULL)
        goto free_bans;
    bans->chains = calloc(CHAINS, sizeof *bans->chains);
    if (bans->chains == NULL)
        goto free_heap;
    *out = bans;
    return ERR_OK;

free_heap:
    free(bans->expiries.entries);
free_bans:
    free(bans);
    return ERR_NOMEM;
}

void bans_close(struct bans *bans)
{
    if (bans == NULL)
        return;
    for (uint32_t i = 0; i < bans->expiries.count; i++)
        free(expiry_owner(bans->expiries.entries[i], struct entry, end));
    free(bans->chains);
    free(bans->expiries.entries);
    free(bans);
}

size_t bans_count(struct bans *bans)
{
    return atomic_load_explicit(&bans->count, memory_order_relaxed);
}

uint64_t bans_version(struct bans *bans)
{
    return atomic_load_explicit(&bans->version, memory_order_relaxed);
}

/* Call with the lock. */
static void note_change(struct bans *bans)
{
    atomic_store_explicit(&bans->count, bans->expiries.count, memory_order_relaxed);
    atomic_fetch_add_explicit(&bans->version, 1, memory_order_relaxed);
}

static bool is_over(const struct ban *ban, uint64_t now_ms)
{
    return ban->until_ms <= now_ms && ban->until_ms != BAN_FOR_EVER;
}

/* ---- the table; call with the lock, but chain_of() ---- */

static struct lengths *lengths_of(struct bans *bans, uint8_t family)
{
    return family == ADDR_IPV4 ? &bans->ipv4 : &bans->ipv6;
}

static uint32_t chain_of(const struct bans *bans, const struct addr_net *net)
{
    uint64_t words[2];
    memcpy(words, net->addr.ip, sizeof words);
    uint64_t rest = (uint64_t)net->addr.family << 8 | net->bits;
    return (uint32_t)hash_words(bans->seed, words[0], words[1], rest) & (CHAINS - 1);
}

static bool is_same_net(const struct addr_net *a, const struct addr_net *b)
{
    return a->bits == b->bits && addr_equal(&a->addr, &b->addr);
}

static struct entry *find(struct bans *bans, uint32_t chain, const struct addr_net *net)
{
    struct entry *entry = bans->chains[chain];
    while (entry != NULL && !is_same_net(&entry->ban.net, net))
        entry = entry->next;
    return entry;
}

static void count_length(struct bans *bans, const struct addr_net *net)
{
    struct lengths *lengths = lengths_of(bans, net->addr.family);
    if (lengths->bans[net->bits]++ == 0)
        lengths->used[net->bits / 64] |= UINT64_C(1) << net->bits % 64;
}

static void uncount_length(struct bans *bans, const struct addr_net *net)
{
    struct lengths *lengths = lengths_of(bans, net->addr.family);
    if (--lengths->bans[net->bits] == 0)
        lengths->used[net->bits / 64] &= ~(UINT64_C(1) << net->bits % 64);
}

static void insert(struct bans *bans, struct entry *entry)
{
    entry->next = bans->chains[entry->chain];
    bans->chains[entry->chain] = entry;
    count_length(bans, &entry->ban.net);
    entry->end.at_ms = entry->ban.until_ms;
    expiry_add(&bans->expiries, &entry->end);
    note_change(bans);
}

/* The entry is the caller's then. */
static void extract(struct bans *bans, struct entry *entry)
{
    if (bans->chains[entry->chain] == entry) {
        bans->chains[entry->chain] = entry->next;
    } else {
        struct entry *before = bans->chains[entry->chain];
        while (before->next != entry)
            before = before->next;
        before->next = entry->next;
    }
    uncount_length(bans, &entry->ban.net);
    expiry_remove(&bans->expiries, &entry->end);
    note_change(bans);
}

static void replace(struct bans *bans, struct entry *entry, const struct ban *ban)
{
    uint64_t hits = entry->ban.hits;
    entry->ban = *ban;
    entry->ban.hits = hits;
    expiry_move(&bans->expiries, &entry->end, ban->until_ms);
    note_change(bans);
}

/* The ban that ends first, taken out, if it is over; else NULL. */
static struct entry *extract_first_over(struct bans *bans, uint64_t now_ms)
{
    struct expiry *end = expiry_first(&bans->expiries);
    if (end == NULL)
        return NULL;
    struct entry *first = expiry_owner(end, struct entry, end);
    if (!is_over(&first->ban, now_ms))
        return NULL;
    extract(bans, first);
    return first;
}

/* ---- changing ---- */

/* Adds `fresh` or replaces; *spare is what is left over to be freed. */
static enum err add(struct bans *bans, struct entry *fresh, uint64_t now_ms, bool *replaced,
                    struct entry **spare)
{
    *replaced = false;
    *spare = NULL;
    struct entry *old = find(bans, fresh->chain, &fresh->ban.net);
    if (old != NULL && !is_over(&old->ban, now_ms)) {
        replace(bans, old, &fresh->ban);
        *replaced = true;
        *spare = fresh;
        return ERR_OK;
    }
    if (old != NULL) {
        extract(bans, old);
        *spare = old;
    } else if (bans->expiries.count == BANS_MAX) {
        *spare = extract_first_over(bans, now_ms);
        if (*spare == NULL) {
            *spare = fresh;
            return ERR_RANGE;
        }
    }
    insert(bans, fresh);
    return ERR_OK;
}

enum err bans_add(struct bans *bans, const struct ban *ban, uint64_t now_ms, bool *replaced)
{
    struct entry *fresh = malloc(sizeof *fresh);
    if (fresh == NULL)
        return ERR_NOMEM;
    fresh->ban = *ban;
    fresh->chain = chain_of(bans, &ban->net);

    struct entry *spare;
    bool has_replaced;
    lock_take(&bans->lock);
    enum err err = add(bans, fresh, now_ms, &has_replaced, &spare);
    lock_give(&bans->lock);

    free(spare);
    if (err == ERR_OK && replaced != NULL)
        *replaced = has_replaced;
    return err;
}

bool bans_remove(struct bans *bans, const struct addr_net *net)
{
    uint32_t chain = chain_of(bans, net);
    lock_take(&bans->lock);
    struct entry *entry = find(bans, chain, net);
    if (entry != NULL)
        extract(bans, entry);
    lock_give(&bans->lock);
    free(entry);
    return entry != NULL;
}

size_t bans_expire(struct bans *bans, uint64_t now_ms)
{
    for (size_t count = 0;; count++) {
        lock_take(&bans->lock);
        struct entry *over = extract_first_over(bans, now_ms);
        lock_give(&bans->lock);
        if (over == NULL)
            return count;
        free(over);
    }
}

/* ---- looking ---- */

/* Looks for a ban of exactly this network. */
static bool has_exactly(struct bans *bans, const struct addr_net *net, uint64_t now_ms,
                        bool count, struct ban *out)
{
    uint32_t chain = chain_of(bans, net);
    if (atomic_load_explicit(&bans->chains[chain], memory_order_relaxed) == NULL)
        return false;
    lock_take(&bans->lock);
    struct entry *entry = find(bans, chain, net);
    bool found = entry != NULL && !is_over(&entry->ban, now_ms);
    if (found) {
        entry->ban.hits += count;
        if (out != NULL)
            *out = entry->ban;
    }
    lock_give(&bans->lock);
    return found;
}

bool bans_has(struct bans *bans, const struct addr *addr, uint64_t now_ms, bool count,
              struct ban *out)
{
    if (bans_count(bans) == 0 || addr->family == ADDR_NONE)
        return false;
    struct addr_net net = {.addr = *addr};
    addr_normalise(&net.addr);
    net.addr.port = 0;
    net.addr.scope = 0;
    struct lengths *lengths = lengths_of(bans, net.addr.family);
    for (unsigned word = LENGTH_WORDS; word-- > 0;) {
        uint64_t used = atomic_load_explicit(&lengths->used[word], memory_order_relaxed);
        while (used != 0) {
            unsigned bit = 63 - (unsigned)__builtin_clzll(used);
            used &= ~(UINT64_C(1) << bit);
            net.bits = (uint8_t)(word * 64 + bit);
            addr_net_mask(&net.addr, net.bits); /* a shorter length each time */
            if (has_exactly(bans, &net, now_ms, count, out))
                return true;
        }
    }
    return false;
}

/* Copies those bans of a few chains that are not over and that there is room for; returns how many
 * there are. */
static size_t copy_part(struct bans *bans, uint32_t chain, uint64_t now_ms, struct ban *to,
                        size_t room)
{
    size_t count = 0;
    lock_take(&bans->lock);
    for (uint32_t end = chain + CHAINS_AT_A_TIME; chain < end; chain++) {
        for (const struct entry *entry = bans->chains[chain]; entry != NULL;
             entry = entry->next) {
            if (is_over(&entry->ban, now_ms))
                continue;
            if (count < room)
                to[count] = entry->ban;
            count++;
        }
    }
    lock_give(&bans->lock);
    return count;
}

static int compare(const void *a, const void *b)
{
    const struct addr_net *x = &((const struct ban *)a)->net;
    const struct addr_net *y = &((const struct ban *)b)->net;
    if (x->addr.family != y->addr.family)
        return x->addr.family < y->addr.family ? -1 : 1;
    int order = memcmp(x->addr.ip, y->addr.ip, sizeof x->addr.ip);
    return order != 0 ? order : (x->bits > y->bits) - (x->bits < y->bits);
}

enum err bans_list(struct bans *bans, uint64_t now_ms, struct ban **out, size_t *count)
{
    size_t room = bans_count(bans) + 1;
    struct ban *list = malloc(room * sizeof *list);
    if (list == NULL)
        return ERR_NOMEM;
    size_t used = 0;
    uint32_t chain = 0;
    while (chain < CHAINS) {
        size_t there = copy_part(bans, chain, now_ms, list + used, room - used);
        if (there <= room - used) {
            used += there;
            chain += CHAINS_AT_A_TIME;
            continue;
        }
        room += room / 2 + there; /* some were added meanwhile */
        struct ban *larger = realloc(list, room * sizeof *list);
        if (larger == NULL) {
            free(list);
            return ERR_NOMEM;
        }
        list = larger;
    }
    qsort(list, used, sizeof *list, compare);
    *out = list;
    *count = used;
    return ERR_OK;
}
