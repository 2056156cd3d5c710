/* diff.h - what is different between two configurations, as an operator wants to read it.
 *
 * Values are compared, so what is only written in another way (60s, 1m) is the same. The order of
 * routes, addresses and upstreams is no difference, but for `balance = first`, where that of the
 * upstreams decides.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_DIFF_H
#define PAIRPORT_CONFIG_DIFF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"
#include "config/value/keys.h"

enum diff_kind {
    DIFF_ROUTE_ADDED,
    DIFF_ROUTE_REMOVED,
    DIFF_KEY,              /* another value; listen with all its lines is one */
    DIFF_UPSTREAM_ADDED,   /* a line */
    DIFF_UPSTREAM_REMOVED, /* likewise */
    DIFF_UPSTREAM_CHANGED, /* its options */
    DIFF_UPSTREAM_ORDER
};

struct diff_change {
    enum diff_kind kind;
    enum key_section section;
    char *route;     /* owned; NULL: of [relay] or [console] */
    char *upstream;  /* owned: its name; NULL: no upstream */
    const char *key; /* of DIFF_KEY */
    /* Values as written, which look the same where a file that they name is another one now; of a
     * route that is added or removed its addresses. */
    struct str from, to;
    bool restart;  /* takes effect only with a restart */
    bool new_only; /* open sessions go on as before; only new ones see it */
};

struct diff {
    struct diff_change *changes; /* owned; [relay], [console], then routes in file order, those
                                    that are removed last */
    size_t count;
};

/* The result needs neither of the two any more. ERR_NOMEM leaves nothing. */
enum err diff_make(struct diff *out, const struct conf *before, const struct conf *after);
void diff_free(struct diff *diff);

/* True when the key of a route has another value, or when any key has one: as diff_make() compares
 * them. A relay that goes on with `after` asks here what it has to change. */
bool diff_key(const struct conf_route *before, const struct conf_route *after, const char *key);
bool diff_any_key(const struct conf_route *before, const struct conf_route *after);

/* Gives every key of `after` that needs a restart the value that it has in `before`, in the
 * routes that both have, too. False: no memory. */
bool diff_keep_fixed(const struct conf *before, struct conf *after);

#endif
