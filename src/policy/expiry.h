/* expiry.h - what expires first: a binary heap of times.
 *
 * An expiry is a field of what expires. Adding, moving and removing take as many steps as the
 * count has binary digits.
 *
 * Threads: guard it as you guard its owner.
 */
#ifndef PAIRPORT_POLICY_EXPIRY_H
#define PAIRPORT_POLICY_EXPIRY_H

#include <stdint.h>

struct expiry {
    uint64_t at_ms; /* changed by expiry_move() only while it is in a heap */
    uint32_t place; /* of the heap's */
};

/* What it is a field of: expiry_owner(expiry, struct entry, end). */
#define expiry_owner(expiry, type, member) ((type *)((char *)(expiry)-offsetof(type, member)))

struct expiry_heap {
    struct expiry **entries; /* the owner's; has room for all that are added */
    uint32_t count;
};

/* The one that expires first; NULL: there is none. */
struct expiry *expiry_first(const struct expiry_heap *heap);

void expiry_add(struct expiry_heap *heap, struct expiry *expiry); /* that is in no heap */
void expiry_move(struct expiry_heap *heap, struct expiry *expiry, uint64_t at_ms);
void expiry_remove(struct expiry_heap *heap, struct expiry *expiry);

#endif
