/* reload.h - reads the configuration file again and reloads the relay with it, or says what a
 * reload would change.
 *
 * Threads: any that is not within server_hold(); one at a time reloads, others wait.
 */
#ifndef PAIRPORT_CONTROL_ACT_RELOAD_H
#define PAIRPORT_CONTROL_ACT_RELOAD_H

#include <stdbool.h>

#include "base/str.h"
#include "control/command/command.h"

/* Adds what would change, with the live sessions that each change touches, or the file's
 * mistakes. Changes nothing. False: the file has mistakes or could not be read. */
bool reload_plan(const struct console *console, bool json, struct str *out);

/* Reloads; adds and logs what has changed, or why nothing has. False: the reload failed. */
bool reload_now(const struct console *console, bool json, struct str *out);

#endif
