/* acl.c - an access list as a prefix tree.
 *
 * Each node stands for a network that is on the list, or for the longest one that has two parts
 * of the list, and then always has two children, so n networks make less than 2n nodes.
 * A node comes right before its left subtree in one array.
 *
 * A look does not begin at the top: a table says for the first bits in which the networks differ
 * where in the tree they lead, and what was met on the way. It grows with the list, so that
 * however long that is, a look touches few cache lines. */
#include "policy/acl.h"

#include <assert.h>
#include <stdlib.h>

#include "base/addr_net.h"
#include "policy/acl_key.h"

#define TABLE_BITS_MAX 16
#define NOWHERE        UINT32_MAX

struct node {
    struct acl_key key; /* the bits behind the first `bits` are zero */
    uint32_t child[2];  /* by the bit behind the prefix; or NOWHERE */
    uint8_t bits;
    uint8_t answer; /* enum acl_answer; ACL_NO_RULE: it only parts two others */
};

static_assert(sizeof(struct node) == 32, "two of them fill a cache line");

/* Where a look goes on, and the answer so far. */
struct start {
    uint32_t index; /* of a node, or NOWHERE */
    uint8_t answer; /* enum acl_answer */
};

/* The networks of one family. */
struct tree {
    uint32_t top;          /* its topmost node, or NOWHERE */
    struct start *starts;  /* owned; 2^table_bits of them; NULL without networks */
    struct acl_key shared; /* whose first `shared_bits` have the same may use a start */
    uint8_t shared_bits;
    uint8_t table_bits; /* that follow; they tell which one */
};

struct acl {
    struct node *nodes; /* owned */
    uint32_t node_count;
    struct tree ipv4, ipv6;
    bool only_allows; /* and is not empty */
};

/* ---- the way down ---- */

/* Goes down from `start` as long as the first `bits` bits of the key tell the way; to the end with
 * more bits than there are. */
static struct start descend(const struct acl *acl, struct start start, struct acl_key key,
                            unsigned bits)
{
    while (start.index != NOWHERE) {
        const struct node *node = &acl->nodes[start.index];
        if (node->bits >= bits)
            break;
        if (acl_key_shared_bits(key, node->key) < node->bits) {
            start.index = NOWHERE;
            break;
        }
        start.answer = node->answer != ACL_NO_RULE ? node->answer : start.answer;
        start.index =
            node->bits < ACL_KEY_BITS ? node->child[acl_key_bit(key, node->bits)] : NOWHERE;
    }
    return start;
}

/* ---- building ---- */

struct rule {
    struct acl_key key;
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
    return a->family == b->family && a->bits == b->bits &&
           acl_key_shared_bits(a->key, b->key) == ACL_KEY_BITS;
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
        if (acl_key_bit(rules[middle].key, place) == 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Adds the tree of sorted rules of one family; returns its topmost node. Each call is at least one
 * bit further into the address, so they nest at most ACL_KEY_BITS + 1 deep. */
static uint32_t add_tree(struct acl *acl, const struct rule *rules, size_t count)
{
    if (count == 0)
        return NOWHERE;
    /* A network that has all others is the first one. */
    unsigned bits = acl_key_shared_bits(rules[0].key, rules[count - 1].key);
    if (bits > rules[0].bits)
        bits = rules[0].bits;
    uint32_t index = acl->node_count++;
    struct node *node = &acl->nodes[index];
    *node = (struct node){
        .key = acl_key_masked(rules[0].key, bits),
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
            .key = acl_key_of(&from[i].net.addr),
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

/* The first node in which the ways part, or the last one. */
static const struct node *first_fork(const struct acl *acl, uint32_t top)
{
    const struct node *node = &acl->nodes[top];
    while ((node->child[0] == NOWHERE) != (node->child[1] == NOWHERE))
        node = &acl->nodes[node->child[node->child[0] == NOWHERE]];
    return node;
}

/* A start for each network, or half as many. */
static unsigned choose_table_bits(size_t count, unsigned free_bits)
{
    unsigned bits = 0;
    while (bits < TABLE_BITS_MAX && bits < free_bits && (size_t)2 << bits <= count)
        bits++;
    return bits;
}

static enum err build_tree(struct acl *acl, struct tree *tree, const struct rule *rules,
                           size_t count, unsigned width)
{
    tree->top = add_tree(acl, rules, count);
    if (tree->top == NOWHERE)
        return ERR_OK;
    const struct node *fork = first_fork(acl, tree->top);
    tree->shared = fork->key;
    tree->shared_bits = fork->bits;
    tree->table_bits = (uint8_t)choose_table_bits(count, width - fork->bits);
    tree->starts = calloc((size_t)1 << tree->table_bits, sizeof *tree->starts);
    if (tree->starts == NULL)
        return ERR_NOMEM;
    unsigned bits = fork->bits + tree->table_bits;
    for (unsigned i = 0; i < 1u << tree->table_bits; i++) {
        struct acl_key key = tree->shared;
        for (unsigned k = 0; k < tree->table_bits; k++) {
            if (i >> k & 1)
                acl_key_set(&key, bits - 1 - k);
        }
        tree->starts[i] = descend(acl, (struct start){tree->top, ACL_NO_RULE}, key, bits);
    }
    return ERR_OK;
}

static enum err build(struct acl *acl, const struct rule *rules, size_t count)
{
    size_t ipv4_count = 0;
    while (ipv4_count < count && rules[ipv4_count].family == ADDR_IPV4)
        ipv4_count++;
    acl->only_allows = count > 0 && are_all_allowed(rules, count);
    enum err err = build_tree(acl, &acl->ipv4, rules, ipv4_count, 32);
    if (err == ERR_OK)
        err = build_tree(acl, &acl->ipv6, rules + ipv4_count, count - ipv4_count, ACL_KEY_BITS);
    return err;
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
        goto close_acl;
    copy_rules(sorted, rules, count);
    count = sort_rules(sorted, count);
    acl->nodes = calloc(2 * count + 1, sizeof *acl->nodes);
    if (acl->nodes == NULL || build(acl, sorted, count) != ERR_OK)
        goto free_sorted;
    trim(acl);
    free(sorted);
    *out = acl;
    return ERR_OK;

free_sorted:
    free(sorted);
close_acl:
    acl_close(acl);
    return ERR_NOMEM;
}

void acl_close(struct acl *acl)
{
    if (acl == NULL)
        return;
    free(acl->ipv4.starts);
    free(acl->ipv6.starts);
    free(acl->nodes);
    free(acl);
}

/* ---- looking ---- */

enum acl_answer acl_check(const struct acl *acl, const struct addr *addr)
{
    struct addr plain = *addr;
    addr_normalise(&plain);
    const struct tree *tree = plain.family == ADDR_IPV4 ? &acl->ipv4 : &acl->ipv6;
    if (plain.family == ADDR_NONE || tree->starts == NULL)
        return ACL_NO_RULE;
    struct acl_key key = acl_key_of(&plain);
    struct start start = {tree->top, ACL_NO_RULE};
    if (acl_key_shared_bits(key, tree->shared) >= tree->shared_bits)
        start = tree->starts[acl_key_bits(key, tree->shared_bits, tree->table_bits)];
    return (enum acl_answer)descend(acl, start, key, ACL_KEY_BITS + 1).answer;
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

static size_t starts_bytes(const struct tree *tree)
{
    return tree->starts == NULL ? 0 : sizeof *tree->starts << tree->table_bits;
}

size_t acl_bytes(const struct acl *acl)
{
    return sizeof *acl + acl->node_count * sizeof *acl->nodes + starts_bytes(&acl->ipv4) +
           starts_bytes(&acl->ipv6);
}
