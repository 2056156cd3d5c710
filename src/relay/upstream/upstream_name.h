/* upstream_name.h - the name of an upstream: what is known of it, and when it is looked up next.
 *
 * Threads: guard the fields with the resolver's lock; upstream_name_apply() is called without it,
 * as a visitor (quiesce.h), so that the names and the routes do not change meanwhile.
 */
#ifndef PAIRPORT_RELAY_UPSTREAM_UPSTREAM_NAME_H
#define PAIRPORT_RELAY_UPSTREAM_UPSTREAM_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/conf.h"
#include "os/dns.h"
#include "relay/upstream/resolver.h"

#define NAME_NOT_BEFORE_MS 1000 /* from one look-up to the next */

enum name_state {
    NAME_GOOD = 0, /* or not looked up yet */
    NAME_PARTIAL,  /* one family has addresses, the other failed */
    NAME_FAILED
};

struct upstream_name {
    uint64_t id; /* no two that there ever were have the same */
    struct relay_route *route;
    size_t upstream;
    char host[CONF_HOST_MAX];
    bool asking;       /* an answer will come */
    uint64_t due_ms;   /* UINT64_MAX: only when asked */
    uint64_t tried_ms; /* when the last answer came; 0: never */
    unsigned failures; /* in a row, of one family or both */
    enum name_state state;
    struct resolver_info info;
};

/* Gives an upstream its addresses. ERR_NOMEM leaves those it has. */
enum err upstream_name_set_addrs(struct relay_route *route, size_t upstream,
                                 const struct addr *addrs, size_t count);

/* Gives the upstream the addresses of an answer, and where nobody knows a family, those it has. */
enum err upstream_name_apply(const struct upstream_name *name, const struct dns_answer *answer);

/* Keeps in mind what came of an answer. Gives the state before. */
enum name_state upstream_name_note(struct upstream_name *name, const struct dns_answer *answer,
                                   enum err err, uint64_t now_ms);
/* Logs a change of the state; without the lock. */
void upstream_name_log(const struct upstream_name *name, enum name_state before);

/* Addresses that live so long came before the name was added. */
void upstream_name_known(struct upstream_name *name, uint32_t ttl_ms, uint64_t now_ms);

/* Its route has another resolve_interval. */
void upstream_name_reschedule(struct upstream_name *name, uint32_t interval_ms,
                              uint64_t now_ms);

#endif
