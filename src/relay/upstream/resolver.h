/* resolver.h - a thread that keeps the addresses of upstreams' names up to date.
 *
 * Each name is looked up when the relay starts, and again when the time to live of its records
 * is over, but not within a second of the last time and not later than resolve_interval of its
 * route. (Names of the hosts file: after resolve_interval; with `off` only until there is an
 * answer.) It is looked up earlier after a failed connect, or when an operator asks. Many names
 * are looked up at the same time, so none waits for another (os/dns.h).
 *
 * IPv4 and IPv6 are handled apart: an address stays in use while its family has no known
 * answer, and goes when its family certainly has none. When a name has no address at all, or no
 * answer is known, the last good answer stays. A name that fails is tried again after 1 s, 2 s,
 * 4 s and so on, up to FAILED_MAX_MS or resolve_interval. The first failure is logged, and so
 * is its end.
 *
 * Threads: resolver_start() and resolver_stop() by the owner, everything else from any.
 */
#ifndef PAIRPORT_RELAY_UPSTREAM_RESOLVER_H
#define PAIRPORT_RELAY_UPSTREAM_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "os/dns.h"

/* A start and a reload wait so long for the first answers for upstreams' names. */
#define RESOLVE_PATIENCE_MS 3000

struct conf;
struct conf_route;
struct relay;
struct relay_route;
struct resolver; /* opaque */

/* Sets the addresses of upstreams that are addresses already, starts the thread for the others,
 * and waits for their first answers, but not longer than `patience_ms`. ERR_NOMEM and the errors of
 * os_thread_start() and dns_open(): nothing runs. */
enum err resolver_start(struct resolver **out, struct relay *relay, uint32_t patience_ms);
/* At once, whatever is being looked up. NULL is fine. */
void resolver_stop(struct resolver *resolver);

/* The relay is about to get the upstreams of `conf`: has a thread ready for their names, asks for
 * those that are new, and waits for the answers, but not longer than `patience_ms`. By the thread
 * that reloads. ERR_NOMEM and the errors of resolver_start() change nothing. */
enum err resolver_prepare(struct resolver *resolver, const struct conf *conf,
                          uint32_t patience_ms);
/* How many addresses resolver_reload() will set for an upstream of the route, which gets the
 * configuration `conf`, if it is not known to have them. NULL is fine and sets none. Between
 * resolver_prepare() and it, by the same thread, while nobody else from outside looks. */
size_t resolver_count_addrs(struct resolver *resolver, struct relay_route *route,
                            const struct conf_route *conf, size_t upstream);
/* Sets them already, for a route that nobody knows yet. ERR_NOMEM: not all. */
enum err resolver_begin_route(struct resolver *resolver, struct relay_route *route);
/* The relay has other upstreams; while the relay is quiesced. New addresses are known at once,
 * new names as far as they were prefetched, others are asked for soon, and those that stay keep
 * what is known of them. */
void resolver_reload(struct resolver *resolver);

/* Has the name of an upstream resolved as soon as possible; false: it is an address. NULL is
 * fine and has no names. */
bool resolver_hurry(struct resolver *resolver, const struct relay_route *route,
                    size_t upstream);

struct resolver_info {
    uint64_t resolved_ms; /* monotonic, of the last good answer; 0: none yet */
    uint64_t failures_total;
    char why[DNS_WHY_MAX]; /* what the last try failed with, in whole or for one family
                              ("IPv6: ..."); "": it did not */
};
/* False: the upstream is an address. */
bool resolver_get_info(struct resolver *resolver, const struct relay_route *route,
                       size_t upstream, struct resolver_info *out);

#endif
