/* loop.h - finds sessions that go in a circle through this relay.
 *
 * An upstream may lead back to a listener of the relay, through a name or through another
 * route. Every session would then open the next one until nothing is left. So a connection to a
 * port on which the relay listens is remembered by its local address, with how often its
 * session has passed through the relay. A client with such an address is a session that came
 * from the relay itself. Two such passes are allowed (routes may lead to each other); at the
 * third one nothing is connected, the session ends, and with it the whole circle.
 *
 * A session whose server's port is not one of the relay's listeners costs one test of a bitmap.
 * A circle through another machine's relay is not seen.
 *
 * Threads: workers; loop_listens() any thread. The lock is a leaf.
 */
#ifndef PAIRPORT_RELAY_SESSION_LOOP_H
#define PAIRPORT_RELAY_SESSION_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/list.h"
#include "os/os.h"
#include "os/sock.h"

#define LOOP_PASSES_MAX 2 /* how often a session may come from the relay itself */
#define LOOP_BUCKETS    256

struct loops {
    _Atomic uint64_t ports[65536 / 64]; /* bit set: the relay listens there, or once did */
    struct os_mutex lock;               /* guards the buckets and what is in them */
    struct list buckets[LOOP_BUCKETS];  /* struct loop_pass, by local address */
};

struct loop_pass;

/* Of zeroed memory. */
void loop_init(struct loops *loops);

/* The relay listens on this port. It stays marked when the listener closes: a mark too many
 * costs a little, and is never wrong. */
void loop_listens(struct loops *loops, uint16_t port);

/* True when the relay listens on the server's port: a connection to it may lead back. */
bool loop_is_listener(const struct loops *loops, const struct addr *server);

/* How often the session behind this peer came from the relay itself. `peer` is the address that
 * its connection really has, not one from a PROXY header. */
unsigned loop_passes(struct loops *loops, const struct addr *peer);

/* `sock` connects to a port of the relay's, for a session with that many passes. To be called as
 * soon as the connect has begun, because the session that it opens may look for it at once, and
 * again when the connection is established: Windows tells the whole address only then. *pass,
 * NULL at first, is owned by the caller and goes to loop_forget(). Without memory for it the
 * session is taken for a player's. */
void loop_remember(struct loops *loops, sock_t sock, unsigned passes, struct loop_pass **pass);

/* True when nothing is missing of the address: on Linux from the first time on. NULL: all is. */
bool loop_is_known(const struct loop_pass *pass);

/* The connection is over. NULL is fine. */
void loop_forget(struct loops *loops, struct loop_pass *pass);

#endif
