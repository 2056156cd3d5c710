/* reload_private.h - a reload under way, for the files that carry it out. */
#ifndef PAIRPORT_RELAY_RELOAD_RELOAD_PRIVATE_H
#define PAIRPORT_RELAY_RELOAD_RELOAD_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

#include "relay/reload/reload_listeners.h"

struct listener;
struct relay;
struct relay_route;
struct guard_rules;
struct upstreams_plan;

struct reload {
    struct relay *relay;
    struct conf *conf;           /* not owned */
    struct relay_route **routes; /* of conf->routes: the relay's own, or new ones */
    bool *is_new;                /* nobody knows it yet */
    struct guard_rules *rules;   /* for those that the relay has; of new ones empty */
    struct port_choices ports;

    /* what reload_complete() makes: needed while the relay is quiesced */
    struct upstreams_plan *plans;   /* one for each route; of new ones empty */
    bool *changed;                  /* some key of the route has another value */
    struct listener ***listeners;   /* one list for each route */
    struct relay_route **all;       /* room for those of `conf` and all that the relay has */
    size_t planned;                 /* routes that have a plan, or are new */
    struct listener **opened;       /* room for all that was opened */
    struct listener **more_retired; /* room for all that there are then */
};

/* With `undo` closes everything that was opened for it; nothing was applied. */
void reload_free(struct reload *reload, bool undo);

#endif
