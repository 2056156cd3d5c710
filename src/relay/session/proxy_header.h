/* proxy_header.h - the begin of a session behind a proxy: its PROXY header names the client.
 *
 * A peer on proxy_trust may speak for others. Where the header is `required`, every other peer
 * is refused, and so is a trusted peer without a header. Where it is `optional`, other peers
 * are clients themselves, and so is a trusted peer that sends no header, or nothing within
 * proxy_timeout. Bytes that come after the header, or instead of it, are kept for the upstream.
 *
 * A connection whose header is slow counts as a session for up to proxy_timeout. So that these
 * do not take the places of all others, at most a quarter of the route's max_sessions may wait
 * for their header. When one more comes, the one that has waited longest is refused. So clients
 * whose header comes at once get in, however many send none.
 *
 * Threads: workers, with the pair's lock held.
 */
#ifndef PAIRPORT_RELAY_SESSION_PROXY_HEADER_H
#define PAIRPORT_RELAY_SESSION_PROXY_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/reason.h"

struct conf_route;
struct pair;
struct relay_route;
struct worker;

struct proxy_header_step {
    enum {
        PROXY_HEADER_NONE,   /* none is read: the client is who has connected */
        PROXY_HEADER_WAITS,  /* a READ is in flight */
        PROXY_HEADER_CLIENT, /* the client is known, and may be admitted */
        PROXY_HEADER_LOCAL,  /* the proxy speaks for itself, as to see whether all is well */
        PROXY_HEADER_REFUSED /* it goes no further; `reason`: also that the client itself left */
    } state;
    enum reason reason;
    const char *why; /* says more about the reason; a constant, or NULL */
};

/* The client was accepted. */
struct proxy_header_step proxy_header_begin(struct pair *pair, struct worker *worker);

/* The READ came out. */
struct proxy_header_step proxy_header_on_done(struct pair *pair, struct worker *worker);

/* proxy_timeout is over, or another one has got its place. */
struct proxy_header_step proxy_header_late(struct pair *pair, struct worker *worker);

/* True for a peer that may speak for others: who the client is its header tells. */
bool proxy_header_is_proxy(const struct conf_route *conf, const struct addr *peer);

/* The peer whose header spoke for the client, and where that said the client went; ADDR_NONE:
 * nobody did. */
struct addr proxy_header_via(const struct pair *pair);
struct addr proxy_header_destination(const struct pair *pair);

/* How many sessions of the route may wait for their header at a time. */
uint32_t proxy_header_most(const struct conf_route *conf);

/* When proxy_timeout is over; while its header is awaited. */
uint64_t proxy_header_due_ms(const struct pair *pair);

/* Its header is awaited no more, whatever has come: its place is another one's. Any number of
 * times; before the pair is finalized. */
void proxy_header_stop_waiting(struct pair *pair);

/* Frees what was read of it. Any number of times. */
void proxy_header_end(struct pair *pair);

#endif
