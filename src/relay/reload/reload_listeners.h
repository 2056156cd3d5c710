/* reload_listeners.h - which listener a port of another configuration gets: the one that is
 * there, or a new one.
 *
 * Threads: the one that reloads.
 */
#ifndef PAIRPORT_RELAY_RELOAD_RELOAD_LISTENERS_H
#define PAIRPORT_RELAY_RELOAD_RELOAD_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"
#include "os/sock.h"

struct listener;
struct relay;
struct relay_route;

/* One port of the other configuration. */
struct port_choice {
    struct listener *listener;
    struct relay_route *route; /* that it leads to */
    const char *route_name;
    const struct conf_listen *listen; /* its line */
    uint16_t offset;                  /* in the range of its line */
    bool opened;                      /* for this; else it was there */
    bool bound;   /* beside some of `left`, see os/beside.h; it does not listen yet */
    bool blocked; /* it has no listener yet: some of `left` have to close first */
};

struct port_choices {
    struct port_choice *each; /* owned; of each route its lines and their ports, in order */
    size_t count;
    struct listener **left; /* owned: listeners of the relay that nothing has chosen */
    size_t left_count;
    sock_t *socks; /* owned; room for those of `left` */
    bool shared;   /* beside_end() is due for `left` and those that are `bound` */
};

/* Chooses for the routes of `conf`: routes[i] is to be that of conf->routes[i], and may be one
 * that the relay does not know yet. Waits for addresses that are in use as relay->inherit says.
 * All failures are told in one go. On an error nothing is left. */
enum err port_choices_make(struct port_choices *choices, struct relay *relay,
                           const struct conf *conf, struct relay_route *const routes[],
                           struct str *why);

/* Whether the ports of `conf` that are not listened on yet could be: binds them, and closes them
 * at once. `relay` may be NULL: none is. As above; leaves nothing. Within server_hold(). */
enum err port_choices_try(struct relay *relay, const struct conf *conf, struct str *why);

/* Those that are `bound` listen, beside the ones they replace. Who connects there waits until the
 * reload is over. */
enum err port_choices_listen(struct port_choices *choices, struct str *why);

/* While the relay is quiesced: those that are replaced linger, and serve the route of their successor. */
void port_choices_linger(struct port_choices *choices);

/* Closes what was opened, if `undo`, and frees the lists. */
void port_choices_free(struct port_choices *choices, bool undo);

#endif
