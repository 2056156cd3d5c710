/* waiting.h - how a client enters the queue, and how long it may stay there.
 *
 * A client waits because the throttle of its route is on (throttle.h), because others wait
 * before it, or because no upstream takes it and the route holds its clients. The cause decides
 * which limit applies: pause_timeout while the throttle is on, else the time of when_down.
 *
 * Threads: workers, with the pair's lock held.
 */
#ifndef PAIRPORT_RELAY_SESSION_WAITING_H
#define PAIRPORT_RELAY_SESSION_WAITING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/reason.h"
#include "relay/session/connecting.h"

struct pair;
struct worker;

/* Into the queue, or back to where it was. Not when it is full, when the client has waited for
 * long enough, or when no upstream is there for it and the route does not hold its clients; then
 * `otherwise` is why it fails. `must`: it is not for want of an upstream that it has to wait. */
struct connect_step waiting_begin(struct pair *pair, struct worker *worker,
                                  enum reason otherwise, bool must);

/* What a READ of a client that waits came to. */
enum waiting_event {
    WAITING_GOES_ON,
    WAITING_LEFT,  /* the client has finished, and has not sent a byte */
    WAITING_FAILED /* pair->up.err */
};

/* Listens for the client, so that its end is seen as soon as it comes: it waits in the queue, or
 * before its next try. It may listen already. */
void waiting_listen(struct pair *pair, struct worker *worker);

/* The READ that listens for the client came out. One that came out while a connect is running
 * is looked at when the session begins, or when the client has to wait again. */
enum waiting_event waiting_on_done(struct pair *pair, struct worker *worker);

/* How long a client that waits may go on with it as things are, UINT64_MAX: as long as it takes;
 * 0: no longer, and *over is why. */
uint64_t waiting_left_ms(const struct pair *pair, uint64_t now_ms, enum reason *over);

#endif
