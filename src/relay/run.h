/* run.h - how the relay begins, what it does each second, and how it stops.
 *
 * The workers start first and wait. The START message makes one of them open the listeners. The
 * STOP message closes them, and at the deadline a timer ends the sessions that are left. The
 * workers end with the last reference of lifecycle.h.
 *
 * Threads: as each function says.
 */
#ifndef PAIRPORT_RELAY_RUN_H
#define PAIRPORT_RELAY_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct op;
struct relay;
struct worker;

/* By the owner, before the workers start. */
void run_init(struct relay *relay);

/* Starts the workers, asks whether the relay is to begin (server.h: ready) and has the workers
 * take clients. On an error none runs; `why` got a line unless it is the threads'. By the owner. */
enum err run_start(struct relay *relay, struct str *why);

/* See server_stop() and server_stop_over(). Any thread. */
void run_stop(struct relay *relay, bool now);
void run_stop_over(struct relay *relay, uint64_t over_ms);

/* See server_hand_over(). Any thread but a worker. */
bool run_hand_over(struct relay *relay, uint32_t timeout_ms);

/* A START or STOP message came out. By workers. */
void run_on_wake(struct worker *worker, struct op *op);

#endif
