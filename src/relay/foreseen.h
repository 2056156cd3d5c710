/* foreseen.h - the names that a reload is about to bring, and the answers for them.
 *
 * A list with each name once; whoever asks takes the next one that is open.
 *
 * Threads: none of its own; guard it with its owner's lock.
 */
#ifndef PAIRPORT_RELAY_FORESEEN_H
#define PAIRPORT_RELAY_FORESEEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/conf.h"
#include "route/route.h"

#define RESOLVER_WHY_MAX 96

struct resolver_answer {
    enum err err;
    struct addr addrs[ROUTE_SERVERS_MAX];
    size_t count;
    char why[RESOLVER_WHY_MAX];
};

struct foreseen_name {
    char host[CONF_HOST_MAX];
    bool done; /* `answer` is there */
    struct resolver_answer answer;
};

struct foreseen {                /* zero-initialised is empty */
    struct foreseen_name *names; /* owned */
    size_t count;
};

/* Room for so many names; `foreseen` is empty. ERR_NOMEM leaves it so. */
enum err foreseen_open(struct foreseen *foreseen, size_t most);
void foreseen_close(struct foreseen *foreseen); /* and makes it empty */

void foreseen_add(struct foreseen *foreseen, const char *host); /* unless it is there */

/* The first name without an answer; NULL: all have one. */
struct foreseen_name *foreseen_open_name(const struct foreseen *foreseen);

/* The addresses of a name; NULL: none are known. */
const struct resolver_answer *foreseen_find(const struct foreseen *foreseen, const char *host);

#endif
