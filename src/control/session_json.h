/* session_json.h - one session as JSON, for `show sessions` and `show session`.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_SESSION_JSON_H
#define PAIRPORT_CONTROL_SESSION_JSON_H

#include "config/conf.h"
#include "control/json_build.h"
#include "relay/server.h"

json_t *session_as_json(struct json_build *build, const struct server_session_info *info,
                        const struct conf *conf);

#endif
