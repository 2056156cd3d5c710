/* commands.h - all commands of the console.
 *
 * What stands in this table is all there is: dispatch, help, completion and suggestions read it.
 * It names the functions of all rooms of control/, so it stands above them: who opens a console
 * puts it into struct console.
 *
 * Threads: any; the table is constant.
 */
#ifndef PAIRPORT_CONTROL_COMMANDS_H
#define PAIRPORT_CONTROL_COMMANDS_H

#include "control/command/command_table.h"

extern const struct command_table commands;

#endif
