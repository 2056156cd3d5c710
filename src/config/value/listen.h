/* listen.h - the value of a `listen` key: where a route takes connections.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONFIG_VALUE_LISTEN_H
#define PAIRPORT_CONFIG_VALUE_LISTEN_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/str.h"
#include "config/conf.h"

/* On success `out` is complete except for its line; on false it is untouched and `why` has got
 * "what is wrong; what would be right". */
bool listen_read(const char *text, struct conf_listen *out, struct str *why);

/* For messages: as it is written in the file. For a file: "*:7777" for a dual-stack listener,
 * otherwise as addr_format(); with "-LAST" for several ports. Both return `text`. */
#define LISTEN_TEXT_MAX (ADDR_TEXT_MAX + sizeof "-65535")
const char *listen_text(const struct conf_listen *listen, char text[LISTEN_TEXT_MAX]);
const char *listen_for_file(const struct conf_listen *listen, char text[LISTEN_TEXT_MAX]);

/* True when both are the same address and ports, however they are written. */
bool listen_same(const struct conf_listen *a, const struct conf_listen *b);

/* True when the system can't open all ports of both: they have a port in common, and the same
 * address or one that is a part of the other. */
bool listen_overlap(const struct conf_listen *a, const struct conf_listen *b);

#endif
