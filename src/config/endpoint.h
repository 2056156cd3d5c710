/* endpoint.h - the addresses of a route: where it listens and where its upstreams are.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_ENDPOINT_H
#define PAIRPORT_CONFIG_ENDPOINT_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/str.h"
#include "config/conf.h"

/* Read the value of a `listen` or `upstream` key; addresses and names become one spelling each,
 * so that equal ones compare as equal texts. On success `out` is complete except for its
 * line; on false it is untouched and `why` has got "what is wrong; what would be right". */
bool endpoint_read_listen(const char *text, struct conf_listen *out, struct str *why);
bool endpoint_read_upstream(const char *text, struct conf_upstream *out, struct str *why);

/* "*:7777" for a dual-stack listener, otherwise as addr_format(). Returns `text`. */
const char *endpoint_listen_text(const struct conf_listen *listen, char text[ADDR_TEXT_MAX]);

/* True when the system can't open both: the same address, or one that is a part of the other. */
bool endpoint_overlap(const struct conf_listen *a, const struct conf_listen *b);

/* True when the upstream is surely what `listen` takes: its address, or one of this machine's
 * own (loopback) where `listen` takes all. */
bool endpoint_is_listener(const struct conf_upstream *upstream,
                          const struct conf_listen *listen);

#endif
