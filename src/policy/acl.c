/* acl.c - an access list as a prefix tree.
 *
 * Each node stands for a network that is on the list, or for the longest one that has two parts
 * of the list; chains of nodes with one child do not exist, so n networks make less than 2n nodes.
 * A node comes right before its left subtree in one array: the upper nodes, which every look
 * passes, share cache lines. */
#include "policy/acl.h"

#include <assert.h>
#include <stdlib.h>

#include "base/addr_net.h"

#define WIDTH   128 /* bits of a key; an IPv4 address is the first 32 of them */
#define NOWHERE UINT32_MAX

struct key {
    uint64_t high, low;
};

struct node {
    struct key key;    /* the bits behind the first `bits` are zero */
    uint32_t child[2]; /* by the bit behind the prefix; or NOWHERE */
    uint8_t bits;
    uint8_t answer; /* enum acl_answer; ACL_NO_RULE: it only parts two others */
};

static_assert(sizeof(struct node) == 32, "two of them fill a cache line");

struct acl {
    struct node *nodes; /* owned */
    uint32_t node_count;
    uint32_t ipv4; /* the topmost node, or NOWHERE */
    uint32_t ipv6;
    bool only_allows; /* and is not empty */
};

/* ---- keys ---- */

static uint64_t word_of(const uint8_t bytes[8])
{
    uint64_t word = 0;
    for (unsigned i = 0; i < 8; i++)
        word = word << 8 | bytes[i];
    return word;
}

static struct key key_of(const struct addr *addr)
{
    return (struct key){.high = word_of(addr->ip), .low = word_of(addr->ip + 8)};
}

/* How many leading bits both have; WIDTH: they are equal. */
static unsigned shared_bits(struct key a, struct key b)
{
    if (a.high != b.high)
        return (unsigned)__builtin_clzll(a.high ^ b.high);
    if (a.low != b.low)
        return 64 + (unsigned)__builtin_clzll(a.low ^ b.low);
    return WIDTH;
}

static unsigned bit_of(struct key key, unsigned place) /* place < WIDTH */
{
    return (place < 64 ? key.high >> (63 - place) : key.low >> (127 - place)) & 1;
}

static struct key masked(struct key key, unsigned bits)
{
    if (bits < 64) {
        key.high &= ~(UINT64_MAX >> bits);
        key.low = 0;
    } else if (bits < WIDTH) {
        key.low &= ~(UINT64_MAX >> (bits - 64));
    }
    return key;
}

/* ---- building ---- */

struct rule {
    struct key key;
    size_t place; /* on the list */
    uint8_t family;
    uint8_t bits;
    uint8_t answer;
};

/* A network comes before those within it, and of equal ones the last of the list first. */
static int compare_rules(const void *a, const void *b)
{
    const struct rule *x = a;
    const struct rule *y = b;
    if (x->family != y->family)
        return x->family < y->family ? -1 : 1;
    if (x->key.high != y->key.high)
        return x->key.high < y->key.high ? -1 : 1;
    if (x->key.low != y->key.low)
        return x->key.low < y->key.low ? -1 : 1;
    if (x->bits != y->bits)
        return x->bits < y->bits ? -1 : 1;
    return x->place > y->place ? -1 : x->place < y->place;
}

static bool is_same_net(const struct rule *a, const struct rule *b)
{
    return a->family == b->family && a->bits == b->bits && shared_bits(a->key, b->key) == WIDTH;
}

/* Sorts the rules and drops those that do not count; returns how many are left. */
static size_t sort_rules(struct rule *rules, size_t count)
{
    qsort(rules, count, sizeof *rules, compare_rules);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || !is_same_net(&rules[kept - 1], &rules[i]))
            rules[kept++] = rules[i];
    }
    return kept;
}

/* How many of the rules, which are sorted and share the bits before `place`, have a 0 there. */
static size_t count_left(const struct rule *rules, size_t count, unsigned place)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bit_of(rules[middle].key, place) == 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Adds the tree of sorted rules of one family; returns its topmost node. Each call is at least one
 * bit further into the address, so they nest at most WIDTH + 1 deep. */
static uint32_t add_tree(struct acl *acl, const struct rule *rules, size_t count)
{
    if (count == 0)
        return NOWHERE;
    /* A network that has all others is the first one. */
    unsigned bits = shared_bits(rules[0].key, rules[count - 1].key);
    if (bits > rules[0].bits)
        bits = rules[0].bits;
    uint32_t index = acl->node_count++;
    struct node *node = &acl->nodes[index];
    *node = (struct node){
        .key = masked(rules[0].key, bits),
        .child = {NOWHERE, NOWHERE},
        .bits = (uint8_t)bits,
    };
    if (bits == rules[0].bits) {
        node->answer = rules[0].answer;
        rules++;
        count--;
    }
    if (count > 0) {
        size_t left = count_left(rules, count, bits);
        node->child[0] = add_tree(acl, rules, left);
        node->child[1] = add_tree(acl, rules + left, count - left);
    }
    return index;
}

static void copy_rules(struct rule *to, const struct conf_access *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = (struct rule){
            .key = key_of(&from[i].net.addr),
            .place = i,
            .family = from[i].net.addr.family,
            .bits = from[i].net.bits,
            .answer = from[i].allow ? ACL_ALLOW : ACL_DENY,
        };
    }
}

static bool are_all_allowed(const struct rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rules[i].answer != ACL_ALLOW)
            return false;
    }
    return true;
}

static void build(struct acl *acl, struct rule *rules, size_t count)
{
    size_t ipv4_count = 0;
    while (ipv4_count < count && rules[ipv4_count].family == ADDR_IPV4)
        ipv4_count++;
    acl->ipv4 = add_tree(acl, rules, ipv4_count);
    acl->ipv6 = add_tree(acl, rules + ipv4_count, count - ipv4_count);
    acl->only_allows = count > 0 && are_all_allowed(rules, count);
}

/* Gives back the memory of nodes that were not needed. */
static void trim(struct acl *acl)
{
    if (acl->node_count == 0)
        return;
    struct node *nodes = realloc(acl->nodes, acl->node_count * sizeof *nodes);
    if (nodes != NULL)
        acl->nodes = nodes;
}

enum err acl_open(struct acl **out, const struct conf_access *rules, size_t count)
{
    if (count >= NOWHERE / 2)
        return ERR_NOMEM;
    struct acl *acl = calloc(1, sizeof *acl);
    if (acl == NULL)
        return ERR_NOMEM;
    struct rule *sorted = calloc(count + 1, sizeof *sorted);
    if (sorted == NULL)
        goto free_acl;
    copy_rules(sorted, rules, count);
    count = sort_rules(sorted, count);
    acl->nodes = calloc(2 * count + 1, sizeof *acl->nodes);
    if (acl->nodes == NULL)
        goto free_sorted;
    build(acl, sorted, count);
    trim(acl);
    free(sorted);
    *out = acl;
    return ERR_OK;

free_sorted:
    free(sorted);
free_acl:
    free(acl);
    return ERR_NOMEM;
}

void acl_close(struct acl *acl)
{
    if (acl == NULL)
        return;
    free(acl->nodes);
    free(acl);
}

/* ---- looking ---- */

enum acl_answer acl_check(const struct acl *acl, const struct addr *addr)
{
    struct addr plain = *addr;
    addr_normalise(&plain);
    if (plain.family == ADDR_NONE)
        return ACL_NO_RULE;
    bool is_ipv4 = plain.family == ADDR_IPV4;
    unsigned width = is_ipv4 ? 32 : WIDTH;
    struct key key = key_of(&plain);

    enum acl_answer answer = ACL_NO_RULE;
    uint32_t index = is_ipv4 ? acl->ipv4 : acl->ipv6;
    while (index != NOWHERE) {
        const struct node *node = &acl->nodes[index];
        if (shared_bits(key, node->key) < node->bits)
            break;
        if (node->answer != ACL_NO_RULE)
            answer = (enum acl_answer)node->answer;
        if (node->bits == width)
            break;
        index = node->child[bit_of(key, node->bits)];
    }
    return answer;
}

bool acl_admits(const struct acl *acl, const struct addr *addr)
{
    switch (acl_check(acl, addr)) {
    case ACL_NO_RULE: return !acl->only_allows;
    case ACL_ALLOW: return true;
    case ACL_DENY: return false;
    }
    assert(false && "not an answer");
    return false;
}

size_t acl_bytes(const struct acl *acl)
{
    return sizeof *acl + acl->node_count * sizeof *acl->nodes;
}
