/* start_log.h - what the log says when the relay starts.
 *
 * Threads: the main thread.
 */
#ifndef PAIRPORT_SERVICE_START_LOG_H
#define PAIRPORT_SERVICE_START_LOG_H

#include "config/conf.h"

struct server;

/* Version, system, configuration, listen ports that may be taken; raises the descriptor limit and
 * says so, with a warning when max_sessions does not fit. Before the server is started. */
void start_log_program(const struct conf *conf);

/* Each route with its listeners and upstreams. */
void start_log_routes(struct server *server);

#endif
