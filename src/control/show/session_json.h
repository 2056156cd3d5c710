/* session_json.h - one session as JSON, for `show sessions` and `show session`.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_SHOW_SESSION_JSON_H
#define PAIRPORT_CONTROL_SHOW_SESSION_JSON_H

#include <stdbool.h>

#include "config/conf.h"
#include "control/command/json_build.h"
#include "relay/server_info.h"

/* `with_tcp`: `info` came from server_get_session(), so the figures of TCP are added; null
 * where the system does not tell them. */
json_t *session_as_json(struct json_build *build, const struct server_session_info *info,
                        const struct conf *conf, bool with_tcp);

/* The name of the session's route, also after the route was removed. */
const char *session_route_name(const struct server_session_info *info, const struct conf *conf);
/* The name of the session's upstream; "-" before one was chosen. */
const char *session_upstream_name(const struct server_session_info *info,
                                  const struct conf *conf);

/* The column STATE of `show sessions`: the phase, or a more important fact. */
const char *session_state(const struct server_session_info *info);

/* Why a direction moves nothing right now: the key of the rate that has no room, or "frozen".
 * NULL: it may move. */
const char *session_park_word(const struct server_flow_info *flow, bool up);

#endif
