/* upstream_json.h - one upstream with its servers as JSON, for `show upstreams`.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_SHOW_UPSTREAM_JSON_H
#define PAIRPORT_CONTROL_SHOW_UPSTREAM_JSON_H

#include <stdint.h>

#include "control/command/json_build.h"
#include "relay/server_info.h"

/* Times are ages at `now_ms`, monotonic. */
json_t *upstream_as_json(struct json_build *build, const char *route,
                         const struct server_upstream_info *info, uint64_t now_ms);

#endif
