/* commands.h - all commands of the console.
 *
 * What stands in this table is all there is: dispatch, help, completion and suggestions read it.
 * It names functions of all rooms of control/, so it stands above them, and whoever opens a console
 * puts it into struct console. A room calls only those before it:
 *
 *     command/   what a command is; finds and runs one, explains and completes it
 *     show/      the functions of commands that only show
 *     act/       the functions of commands that change something
 *     console/   where lines come from: the relay's own prompt, the endpoint for other programs of
 *                this machine, and `pairport console`, which is one of them
 *     takeover/  a new relay goes on in the place of one that runs, and asks it for its part of
 *                later answers
 *
 * Threads: any; the table is constant.
 */
#ifndef PAIRPORT_CONTROL_COMMANDS_H
#define PAIRPORT_CONTROL_COMMANDS_H

#include "control/command/command_table.h"

extern const struct command_table commands;

#endif
