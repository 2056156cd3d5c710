/* quota.h - how many sessions may be open at once.
 *
 * Threads: any; one atomic each.
 */
#ifndef PAIRPORT_POLICY_QUOTA_H
#define PAIRPORT_POLICY_QUOTA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct quota {
    uint32_t limit;        /* most at once; set before the first take */
    _Atomic uint32_t used; /* now */
    _Atomic uint32_t peak; /* most there ever were */
};

/* True when `limit` are in use; what it says may be past at once. */
bool quota_is_full(const struct quota *quota);

/* False, and nothing changed, when `limit` are in use. */
bool quota_take(struct quota *quota);
void quota_force(struct quota *quota); /* above `limit`, too: for who was counted before */
void quota_give(struct quota *quota);

#endif
