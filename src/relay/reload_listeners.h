/* reload_listeners.h - which listener a port of another configuration gets: the one that is
 * there, or a new one.
 *
 * Threads: the one that reloads.
 */
#ifndef PAIRPORT_RELAY_RELOAD_LISTENERS_H
#define PAIRPORT_RELAY_RELOAD_LISTENERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "config/conf.h"

struct listener;
struct relay;
struct relay_route;

/* One port of the other configuration. */
struct port_choice {
    struct listener *listener;
    struct relay_route *route; /* that it leads to */
    uint16_t offset;           /* in the range of its line */
    bool opened;               /* for this; else it was there */
};

struct port_choices {
    struct port_choice *each; /* owned; of each route its lines and their ports, in order */
    size_t count;
    struct listener **left; /* owned: listeners of the relay that nothing has chosen */
    size_t left_count;
};

/* Chooses for the routes of `conf`: routes[i] is to be that of conf->routes[i], and may be one
 * that the relay does not know yet. All failures are told in one go. On an error nothing is
 * left. */
enum err port_choices_make(struct port_choices *choices, struct relay *relay,
                           const struct conf *conf, struct relay_route *const routes[],
                           struct str *why);

/* Closes what was opened, if `undo`, and frees the lists. */
void port_choices_free(struct port_choices *choices, bool undo);

#endif
