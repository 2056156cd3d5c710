/* clients.h - what is remembered of each client: sessions, how often it connects, refusals.
 *
 * A client is an address of which only the leading bits count (client_prefix_ipv4 and _ipv6), on
 * one route. The table has a fixed number of entries, taken from the system once, at most
 * CLIENT_BYTES each. When all are taken a new client gets the least useful one: one that has
 * nothing left to remember (looked for among the few that were quiet for longest), then the one
 * that was quiet for longest, and clients over a limit last of all: those whose last try was
 * refused. Those with open sessions stay. When nobody can go, a client is admitted without an
 * entry (`client` is NULL), and that is counted.
 *
 * Threads: any, but clients_open() and clients_close(). Entries lie in shards with a lock each,
 * held for a few steps. Large tables have many shards; of these each gives up only entries of its
 * own.
 */
#ifndef PAIRPORT_POLICY_CLIENTS_H
#define PAIRPORT_POLICY_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "config/conf.h"
#include "policy/bucket.h"

#define CLIENT_BYTES 128 /* of an entry, its part of the index included */

struct clients; /* opaque */
struct client;  /* opaque: an entry that stays while its owner has a session of it */

/* `capacity` is 1 or more; `seed` is a random number, so that nobody can choose addresses that
 * end up in one place. ERR_NOMEM leaves nothing. Memory is resident only as far as entries were
 * used. */
enum err clients_open(struct clients **out, uint32_t capacity, uint64_t seed);
void clients_close(struct clients *clients); /* NULL is fine; no session is left */

/* The limits of a route, as in its configuration. */
struct client_limits {
    uint32_t max_sessions; /* 0: none */
    struct conf_rate connect_rate;
    struct conf_eject ban_after;
};

enum client_answer {
    CLIENT_ADMITTED,
    CLIENT_TOO_MANY, /* max_sessions are open */
    CLIENT_TOO_OFTEN /* more than connect_rate */
};

/* `route` tells routes apart and is never 0. `addr` is masked here to `bits`. ADMITTED counts one
 * session and *out is its entry, for clients_leave(), or NULL when there was no place. Others
 * count a refusal; *ban: these were so many that ban_after asks for a ban, told once each time the
 * number is reached. They are counted from the first one on for `within_ms`, then anew. */
enum client_answer clients_enter(struct clients *clients, uint32_t route,
                                 const struct addr *addr, uint8_t bits,
                                 const struct client_limits *limits, uint64_t now_ms,
                                 struct client **out, bool *ban);

/* A session of the entry is over; NULL is fine. */
void clients_leave(struct clients *clients, struct client *client, uint64_t now_ms);

/* The places in its route's queue that sessions of a client have; NULL, a client without an entry,
 * has no limit. client_wait() takes a place: false, and nothing changed, when `most` (0: no limit)
 * are taken. client_wait_again() takes one whatever `most` is. By whoever guards the queue of the
 * route: calls for clients of one route come one at a time. */
bool client_wait(struct client *client, uint32_t most);
void client_wait_again(struct client *client);
void client_wait_over(struct client *client);

/* What all sessions of a client may move together; valid while one of them is open. */
struct bucket *client_bucket_up(struct client *client);
struct bucket *client_bucket_down(struct client *client);

/* Fills the pace buckets of all clients of the route: call it when the paces have changed, see
 * bucket_fill(). */
void clients_fill(struct clients *clients, uint32_t route);

struct clients_info {
    uint32_t used; /* entries; it never falls: an entry is kept until another client needs it */
    uint32_t capacity;
    uint64_t evicted_total;      /* entries that still had something to remember */
    uint64_t unremembered_total; /* clients admitted without an entry */
};
void clients_get_info(struct clients *clients, struct clients_info *out);

/* One entry, for `show clients`. */
struct client_info {
    uint32_t route;
    struct addr addr; /* masked */
    uint8_t bits;
    uint32_t sessions;
    uint64_t refused_total; /* since the entry was made */
    uint64_t entered_total;
    uint64_t quiet_ms; /* since it last came, was refused or left */
};
/* Copies all entries that are used, in no order; *out is the caller's to free(). ERR_NOMEM leaves
 * nothing. */
enum err clients_list(struct clients *clients, uint64_t now_ms, struct client_info **out,
                      size_t *count);

#endif
