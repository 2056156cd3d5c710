/* upstream_text.h - the states of upstreams and their servers in words, with the causes.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_SHOW_UPSTREAM_TEXT_H
#define PAIRPORT_CONTROL_SHOW_UPSTREAM_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "relay/server_info.h"

/* The upstream's only server; NULL when it has none or several. Most upstreams have one server,
 * and its state is then shown as the upstream's. */
const struct route_server_info *upstream_only_server(const struct server_upstream_info *info);

/* False for an upstream that a reload has removed and that has no sessions left. */
bool upstream_is_shown(const struct server_upstream_info *info);

/* "UP", "UP 2/3", "DRAIN". */
const char *upstream_word(const struct server_upstream_info *info);

/* How long the upstream has been in its state, in milliseconds. */
uint64_t upstream_age_ms(const struct server_upstream_info *info, uint64_t now_ms);

/* Adds the cause of the state, if there is one: "L4CON the connection was refused",
 * "22.0s left" of an ejection, "not checked; last connect failed 3.0s ago: refused, 12 in a
 * row", "name not resolved: ...". The cause of an only server is
 * shown as the upstream's. */
void upstream_add_why(const struct server_upstream_info *info, uint64_t now_ms,
                      struct str *out);
void upstream_add_server_why(const struct route_server_info *server, uint64_t now_ms,
                             struct str *out);

/* The last connects of sessions failed, and no check has found the server down. */
bool upstream_connects_fail(const struct route_server_info *server);

/* True for a source that has taken 80 % of its ports or more. */
bool upstream_source_is_busy(const struct server_source_use *source);

/* The source with the largest share of its ports in use; NULL when there is none. */
const struct server_source_use *
upstream_busiest_source(const struct server_upstream_info *info);

/* The time from `then` to `now_ms`; 0 when `then` is later, which happens when two threads read
 * the clock one after the other. */
uint64_t upstream_elapsed_ms(uint64_t then, uint64_t now_ms);

#endif
