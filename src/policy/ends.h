/* ends.h - what ends first: a binary heap of times.
 *
 * An end is a field of what ends. Adding, moving and removing take as many steps as the count has
 * binary digits.
 *
 * Threads: guard it as you guard its owner.
 */
#ifndef PAIRPORT_POLICY_ENDS_H
#define PAIRPORT_POLICY_ENDS_H

#include <stdint.h>

struct end {
    uint64_t at_ms; /* changed by ends_move() only while it is in a heap */
    uint32_t place; /* of the heap's */
};

/* What it is a field of: end_owner(end, struct entry, end). */
#define end_owner(end, type, member) ((type *)((char *)(end)-offsetof(type, member)))

struct ends {
    struct end **heap; /* the owner's; has room for all that are added */
    uint32_t count;
};

/* The one that ends first; NULL: there is none. */
struct end *ends_first(const struct ends *ends);

void ends_add(struct ends *ends, struct end *end); /* that is in no heap */
void ends_move(struct ends *ends, struct end *end, uint64_t at_ms);
void ends_remove(struct ends *ends, struct end *end);

#endif
