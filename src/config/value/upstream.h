/* upstream.h - the value of an `upstream` key: where a game server is.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_UPSTREAM_H
#define PAIRPORT_CONFIG_VALUE_UPSTREAM_H

#include <stdbool.h>

#include "base/str.h"
#include "config/conf.h"

/* Addresses and names become one spelling each, so that equal ones have equal names. On success
 * `out` is complete except for its line; on false it is untouched and `why` has got "what is
 * wrong; what would be right", a line for each mistake. */
bool upstream_read(const char *text, struct conf_upstream *out, struct str *why);

/* Writes it such that upstream_read() gives it back, with those options that differ from their
 * defaults. */
void upstream_write(const struct conf_upstream *upstream, struct str *out);

/* True when a port of the upstream is surely one that `listen` takes: its address, or one of this
 * machine's own where `listen` takes all. Of names only localhost is sure; where another one leads
 * is seen at run time (relay/session/loop.h).
 * `is_own` as conf_load() has it. */
bool upstream_is_listener(const struct conf_upstream *upstream,
                          const struct conf_listen *listen, conf_is_own_addr *is_own);

#endif
