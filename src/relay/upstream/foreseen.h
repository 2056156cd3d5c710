/* foreseen.h - the names that a reload is about to bring, and the answers for them.
 *
 * A list with each name once; whoever asks takes the next one that was not asked for.
 *
 * Threads: none of its own; guard it with its owner's lock.
 */
#ifndef PAIRPORT_RELAY_UPSTREAM_FORESEEN_H
#define PAIRPORT_RELAY_UPSTREAM_FORESEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/conf.h"

struct dns_answer;

struct foreseen_name {
    char host[CONF_HOST_MAX];
    bool asked;
    bool done; /* an answer came; one that failed, or for want of memory, has no addresses */
    struct addr *addrs; /* owned; NULL: none are known */
    size_t count;
    uint32_t ttl_ms;
};

struct foreseen {                /* zero-initialised is empty */
    struct foreseen_name *names; /* owned */
    size_t count;
};

/* Room for so many names; `foreseen` is empty. ERR_NOMEM leaves it so. */
enum err foreseen_open(struct foreseen *foreseen, size_t most);
void foreseen_close(struct foreseen *foreseen); /* and makes it empty */

void foreseen_add(struct foreseen *foreseen, const char *host); /* unless it is there */

/* The first name that was not asked for; NULL: all were. */
struct foreseen_name *foreseen_next(const struct foreseen *foreseen);

void foreseen_answer(struct foreseen_name *name, const struct dns_answer *answer);
bool foreseen_is_done(const struct foreseen *foreseen); /* all have their answers */

/* The name, if its addresses are known; else NULL. */
const struct foreseen_name *foreseen_find(const struct foreseen *foreseen, const char *host);

#endif
