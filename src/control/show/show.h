/* show.h - commands that show something and change nothing.
 *
 * Each answers as text, a table as a rule, or as JSON with `json`. They read what the relay copies
 * for them (relay/server.h) and stop no worker.
 *
 * Threads: any, within server_hold().
 */
#ifndef PAIRPORT_CONTROL_SHOW_SHOW_H
#define PAIRPORT_CONTROL_SHOW_SHOW_H

#include "control/command/command_table.h"
#include "relay/server_info.h"

command_function command_show_info;
command_function command_show_routes;
command_function command_show_upstreams;
command_function command_show_sessions;
command_function command_show_session;
command_function command_show_stats;
command_function command_show_config;
command_function command_show_bans;
command_function command_show_clients;

/* ---- for the files of this folder ---- */

/* The routes, for server_free_routes(). False: `result` says why not. */
bool command_get_routes(const struct command_session *session,
                        struct server_route_info **routes, size_t *count,
                        struct command_result *result);

#endif
