/* acl.h - an access list: which networks may pass.
 *
 * A prefix tree: the longest network that has an address decides. A look takes a few steps,
 * however long the list is. A list is built once and never changes.
 *
 * Threads: acl_open() and acl_close() by one owner; acl_check() from any thread between them.
 */
#ifndef PAIRPORT_POLICY_ACL_H
#define PAIRPORT_POLICY_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/conf.h"

struct acl; /* opaque */

enum acl_answer {
    ACL_NO_RULE, /* no network of the list has the address */
    ACL_ALLOW,
    ACL_DENY
};

/* Of networks that are on the list twice the last one counts. No rules are fine. ERR_NOMEM leaves
 * nothing. */
enum err acl_open(struct acl **out, const struct conf_access *rules, size_t count);
void acl_close(struct acl *acl); /* NULL is fine */

/* IPv4-mapped addresses count as IPv4. Allocates nothing. */
enum acl_answer acl_check(const struct acl *acl, const struct addr *addr);

/* True when a client of this address may pass: its rule says so, or it has none and the list
 * denies somebody or is empty. (A list that only allows lets nobody else in.) */
bool acl_admits(const struct acl *acl, const struct addr *addr);

/* Bytes of memory that the list takes. */
size_t acl_bytes(const struct acl *acl);

#endif
