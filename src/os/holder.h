/* holder.h - which process listens at an address, as far as the system tells.
 *
 * Threads: any. Reads the whole table of the system's sockets: for error messages only.
 */
#ifndef PAIRPORT_OS_HOLDER_H
#define PAIRPORT_OS_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

struct holder {
    uint64_t pid;  /* 0: not known (Linux tells it only of processes that we may look into) */
    char name[64]; /* of its program; "" where it is not known */
    uint32_t uid;  /* of its user (Linux); UINT32_MAX: not known */
};

/* Finds a process other than this one that listens at this address and port, or at one that
 * overlaps with it. False: there is none, or the system does not tell. */
bool holder_find(const struct addr *addr, bool dual_stack, struct holder *out);

/* Writes " by 'nginx' (pid 17)", " by pid 17", " by a process of user id 0", or "". */
#define HOLDER_TEXT_MAX 128
const char *holder_text(const struct addr *addr, bool dual_stack, char text[HOLDER_TEXT_MAX]);

/* What a listener at this port wants where the system has denied it: "; a port below 1024 needs
 * ...", or "". */
#define HOLDER_PRIVILEGE_MAX 192
const char *holder_privilege(uint16_t port, char text[HOLDER_PRIVILEGE_MAX]);

/* ---- for its parts ---- */

/* Ports below it are for privileged programs; 0: there is no such rule. */
unsigned holder_first_free_port(void);

/* True where the system would not let both listen. */
bool holder_overlaps(const struct addr *addr, bool dual_stack, const struct addr *other);

#endif
