/* slots.h - the upstreams of a route keep their places when the configuration changes.
 *
 * While a relay runs, an upstream is known by its index in the route. So the upstreams of a
 * newer configuration are put where those of the same name are: the index is a slot. One that
 * the newer file does not have keeps its slot, marked as removed, until nobody uses it.
 *
 * Threads: those of the owner of `next`.
 */
#ifndef PAIRPORT_CONFIG_SLOTS_H
#define PAIRPORT_CONFIG_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/conf.h"

#define SLOTS_MAX 65535 /* of a route */

/* The slot has the same upstream in both; `after` is arranged. */
bool slots_stay(const struct conf_route *before, const struct conf_route *after, size_t slot);

/* Puts the upstreams of `next`, as loaded, into the slots of `before`. `is_free(ctx, slot)` says
 * whether a slot that is marked as removed in `before` may be given to another upstream. Both
 * names are of one route. ERR_NOMEM, or ERR_INVALID when there would be more than SLOTS_MAX:
 * `next` is unchanged. */
enum err slots_arrange(struct conf_route *next, const struct conf_route *before,
                       bool (*is_free)(void *ctx, size_t slot), void *ctx);

#endif
