/* prefetch.h - the names that a reload is about to bring, and the answers for them.
 *
 * A list with each name once; whoever asks takes the next one that was not asked for.
 *
 * Threads: none of its own; guard it with its owner's lock.
 */
#ifndef PAIRPORT_RELAY_UPSTREAM_PREFETCH_H
#define PAIRPORT_RELAY_UPSTREAM_PREFETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/conf.h"

struct dns_answer;

struct prefetch_name {
    char host[CONF_HOST_MAX];
    bool asked;
    bool done; /* an answer came; one that failed, or for want of memory, has no addresses */
    struct addr *addrs; /* owned; NULL: none are known */
    size_t count;
    uint32_t ttl_ms;
};

struct prefetch {                /* zero-initialised is empty */
    struct prefetch_name *names; /* owned */
    size_t count;
};

/* Room for so many names; `prefetch` is empty. ERR_NOMEM leaves it so. */
enum err prefetch_open(struct prefetch *prefetch, size_t most);
void prefetch_close(struct prefetch *prefetch); /* and makes it empty */

void prefetch_add(struct prefetch *prefetch, const char *host); /* unless it is there */

/* The first name that was not asked for; NULL: all were. */
struct prefetch_name *prefetch_next(const struct prefetch *prefetch);

void prefetch_answer(struct prefetch_name *name, const struct dns_answer *answer);
bool prefetch_is_done(const struct prefetch *prefetch); /* all have their answers */

/* The name, if its addresses are known; else NULL. */
const struct prefetch_name *prefetch_find(const struct prefetch *prefetch, const char *host);

#endif
