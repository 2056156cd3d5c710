/* drain_text.h - a drain in words, for the answers and tables that show one.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_SHOW_DRAIN_TEXT_H
#define PAIRPORT_CONTROL_SHOW_DRAIN_TEXT_H

#include "base/err.h"
#include "base/str.h"
#include "control/command/json_build.h"
#include "relay/server_info.h"
#include "relay/server_operate.h"

/* Adds what happens to the sessions of a drain that has just begun: "; 12 are open, and are
 * ended evenly over 10m". `err` is the result of beginning it. */
void drain_add_left(const struct server_drain_info *info, const struct server_drain_plan *plan,
                    enum err err, struct str *out);

/* Adds the progress of a drain that is on: "12 of 30 sessions left, ended evenly within 4m58s".
 */
void drain_add_state(const struct server_drain_info *info, struct str *out);

/* null while it is not on. */
json_t *drain_as_json(struct json_build *build, const struct server_drain_info *info);

#endif
