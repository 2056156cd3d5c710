/* reload.h - changes the configuration of the running relay.
 *
 * A route is identified by its name. A route that both configurations have keeps its sessions,
 * its counters and its listeners; a port that moves from one route to another keeps its
 * listener, too. New ports are bound before anything else happens, so a port that cannot be
 * bound leaves everything as it was. Everything that takes memory or can fail is done before.
 * Then, while the relay is quiesced, everything changes at once. A route that is gone stops to
 * listen. A later reload frees it when its last session is over; until then a configuration
 * that has its name again brings it back.
 *
 * A start is a reload of a relay that has no routes yet; nobody has to be quiesced for it.
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

/* A start is a reload from nothing: the relay, which was opened with `conf`, gets its routes, and
 * its listeners listen. Waits for addresses that are in use as relay->inherit says; ERR_CANCELLED:
 * it was told not to. On an error `why` holds one line a failure, or nothing when memory ran out,
 * and the relay has no routes. By the owner, before the workers start. */
enum err reload_start(struct relay *relay, struct conf *conf, struct str *why);

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

/* ---- the steps of reload_run(), for tests without threads ---- */

struct reload; /* opaque */

/* What may take its time: opens what is to listen, looks up names. ERR_CLOSED is not among its
 * errors. */
enum err reload_prepare(struct reload **out, struct relay *relay, struct conf *conf,
                        struct str *why);
/* The rest that can fail: slots and memory for what is to change. From here on until
 * reload_apply() nobody from outside may look at the relay; the workers go on. */
enum err reload_complete(struct reload *reload, struct str *why);
/* While the relay is quiesced, after reload_complete(). Consumes `reload`. */
void reload_apply(struct reload *reload);
/* Consumes `reload`, which was not applied: nothing of it is left. */
void reload_abandon(struct reload *reload);

#endif
