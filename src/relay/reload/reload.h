/* reload.h - the relay goes on with another configuration.
 *
 * A route is its name. One that both configurations have keeps its sessions, its counters and its
 * listeners; a port that moves from one route to another keeps its listener, too. New ports are
 * bound before anything else happens, so that one that can't be leaves everything as it was.
 * Then, while the relay is quiesced, everything changes at once. A route that is no longer there
 * stops to listen; it is freed at a later reload when its last session is over, and until then
 * comes back to life when a configuration has its name again.
 *
 * Threads: as each function says.
 */
#ifndef PAIRPORT_RELAY_RELOAD_RELOAD_H
#define PAIRPORT_RELAY_RELOAD_RELOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"
#include "os/os.h"
#include "port/op.h"

struct listener;
struct relay;
struct relay_route;
struct worker;

/* What a worker does after a reload. */
struct reloaded {
    struct op message;         /* WAKE: there is something to do */
    struct listener **opened;  /* owned: they are new and begin */
    struct listener **retired; /* owned, as what is in it: they end, or have ended */
    size_t opened_count, retired_count;

    struct os_mutex lock; /* guards what follows */
    struct os_cond changed;
    bool done; /* the message was handled */
};

void reload_init(struct relay *relay);
void reload_close(struct relay *relay); /* with nothing in flight */

/* Has the relay go on with `conf`, whose upstreams get into the order of their slots. Returns
 * when the ports that are no longer listened on are closed. On success the relay's old
 * configuration is still in use where reload_uses() says so. On an error nothing has changed for
 * the relay, `why` holds one line a failure, and `conf` is still the caller's to free: ERR_CLOSED,
 * the relay ends; those of opening a listener; ERR_NOMEM. From one outside thread at a time that
 * is no visitor (see quiesce.h), while nobody else uses `conf`. */
enum err reload_run(struct relay *relay, struct conf *conf, struct str *why);

/* True while a route that was removed has its sessions under this configuration. By the thread
 * that reloads. */
bool reload_uses(const struct relay *relay, const struct conf *conf);

/* The message came out. By a worker. */
void reload_on_wake(struct worker *worker);

/* ---- the two halves of reload_run(), for tests without threads ---- */

struct reload; /* opaque */

/* All that can fail but memory: opens what is to listen. ERR_CLOSED is not among its errors. */
enum err reload_prepare(struct reload **out, struct relay *relay, struct conf *conf,
                        struct str *why);
/* While the relay is quiesced. Consumes `reload`. */
enum err reload_apply(struct reload *reload, struct str *why);
void reload_abandon(struct reload *reload);

#endif
