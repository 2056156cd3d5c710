/* worker.h - one thread that takes finished operations from the port and hands each to its
 * owner.
 *
 * The clock is read once a turn; handlers use worker->now_ms. A worker's number selects its
 * own cells of the statistics.
 *
 * Threads: a worker's fields are touched by its own thread only, except `cache.used`.
 */
#ifndef PAIRPORT_RELAY_CORE_WORKER_H
#define PAIRPORT_RELAY_CORE_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/core/buffers.h"

struct op;
struct os_thread;
struct relay;
struct relay_route;

struct worker {
    struct relay *relay;
    unsigned number;
    uint64_t now_ms;      /* monotonic, of this turn */
    uint64_t standstills; /* that its clock knows of, see standstill.h */
    struct buffer_cache cache;
    bool parks; /* at the end of this turn, to quiesce the relay */
    struct os_thread *thread;
};

/* op->role: which part of the relay takes the operation when it is done. */
enum op_role {
    OP_ROLE_PAIR = 0,
    OP_ROLE_LISTENER,
    OP_ROLE_PROBE,
    OP_ROLE_TIMERS,
    OP_ROLE_QUIESCE,
    OP_ROLE_RELOAD,
    OP_ROLE_RUN,
    OP_ROLES
};

struct op_taker {
    void (*take)(struct worker *worker, struct op *op);
};

/* Starts the thread of a worker whose relay and number are set. */
enum err worker_start(struct worker *worker);
void worker_join(struct worker *worker);

/* One turn: waits for up to wait_ms, as port_wait(), takes what has finished, then what is due.
 * True when the worker has to end. By the worker's thread. */
bool worker_turn(struct worker *worker, int wait_ms);

/* Hands one finished operation to its owner. */
void worker_dispatch(struct worker *worker, struct op *op);

#endif
