/* totals.h - counters of a route, an upstream or everything, for `show stats` and the like.
 *
 * Threads: any.
 */
#ifndef PAIRPORT_CONTROL_SHOW_TOTALS_H
#define PAIRPORT_CONTROL_SHOW_TOTALS_H

#include <stdint.h>

#include "base/str.h"
#include "control/command/json_build.h"
#include "relay/server_info.h"

uint64_t totals_refused(const struct server_totals *totals); /* sessions turned away */

/* Puts every counter, rate and percentile into `object`. */
void totals_put_json(struct json_build *build, json_t *object,
                     const struct server_totals *totals);

/* Adds the block of `show stats`, under the line `title`. */
void totals_write(const char *title, const struct server_totals *totals, unsigned columns,
                  struct str *out);

#endif
