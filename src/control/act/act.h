/* act.h - commands that change something.
 *
 * Each changes the relay by a function of relay/server.h, the program by one of struct console,
 * or the console itself. Its answer says what it has done, or why it has done nothing.
 *
 * Threads: any, within server_hold(); the command for a reload releases that hold.
 */
#ifndef PAIRPORT_CONTROL_ACT_ACT_H
#define PAIRPORT_CONTROL_ACT_ACT_H

#include "control/command/command_table.h"

command_function command_ban;
command_function command_unban;
command_function command_kill;
command_function command_kill_client;
command_function command_kill_route;
command_function command_kill_upstream;
command_function command_kill_older;
command_function command_pause;
command_function command_resume;
command_function command_drain_route;
command_function command_enable_upstream;
command_function command_disable_upstream;
command_function command_drain_upstream;
command_function command_set_weight;
command_function command_set_max_sessions;
command_function command_resolve;
command_function command_set_log_level;
command_function command_set_columns;
command_function command_reload;
command_function command_reload_plan;
command_function command_reopen;
command_function command_shutdown;
command_function command_quit;

/* ---- for the files of this folder ---- */

/* Refuses a network that is probably a mistake, unless `force` was given: a very wide one, or
 * one with the operator's own address. `words` are those of the command. */
bool command_allows_net(struct command_session *session, const char *words,
                        const struct command_args *args, struct command_result *result);

#endif
