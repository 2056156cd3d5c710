/* upstream_text.h - upstreams and their servers in words: how they are, and why.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_SHOW_UPSTREAM_TEXT_H
#define PAIRPORT_CONTROL_SHOW_UPSTREAM_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "relay/server_info.h"

/* The upstream's only server; NULL when it has none or several. One is the rule, and then it and
 * its upstream are the same thing to look at. */
const struct route_server_info *upstream_only_server(const struct server_upstream_info *info);

/* False for one that a reload has removed, when nobody is left there. */
bool upstream_is_shown(const struct server_upstream_info *info);

/* "UP", "UP 2/3", "DRAIN". */
const char *upstream_word(const struct server_upstream_info *info);

/* The time since it is so, in milliseconds. */
uint64_t upstream_age_ms(const struct server_upstream_info *info, uint64_t now_ms);

/* Adds why it is so, as far as there is something to say: "L4CON the connection was refused",
 * "22.0s left" of an ejection, "not checked; last connect failed 3.0s ago: refused, 12 in a
 * row", "name not resolved: ...". What an only server has to say is said
 * of its upstream. */
void upstream_add_why(const struct server_upstream_info *info, uint64_t now_ms,
                      struct str *out);
void upstream_add_server_why(const struct route_server_info *server, uint64_t now_ms,
                             struct str *out);

/* The last connects of sessions failed, and no check has found the server down. */
bool upstream_connects_fail(const struct route_server_info *server);

/* True for a source that has taken 80 % of its ports or more. */
bool upstream_source_is_busy(const struct server_source_use *source);

/* The source that is nearest to its end; NULL when there is none. */
const struct server_source_use *
upstream_busiest_source(const struct server_upstream_info *info);

/* The time from `then` to `now_ms`; 0 when that is yet to come, as it may look to two threads
 * that read the clock in turn. */
uint64_t upstream_elapsed_ms(uint64_t then, uint64_t now_ms);

#endif
