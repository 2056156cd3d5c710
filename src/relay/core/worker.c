#include "relay/core/worker.h"

#include "os/os.h"
#include "relay/core/lifecycle.h"
#include "relay/relay.h"

/* Operations that a worker takes at most before deadlines are looked at again. */
#define CATCH_UP_ROUNDS 1000

void worker_dispatch(struct worker *worker, struct op *op)
{
    worker->relay->takers[op->role].take(worker, op);
}

/* True when the worker has to end. */
static bool dispatch(struct worker *worker, struct op *ops[], int count)
{
    bool leave = false;
    for (int i = 0; i < count; i++) {
        if (ops[i] == &worker->relay->lifecycle.exit)
            leave =
                true; /* the last reference is gone: nothing but messages can be in flight */
        else
            worker_dispatch(worker, ops[i]);
    }
    return leave;
}

/* Takes what came while the relay stood still, however much it is within reason, before any
 * deadline is looked at. True as dispatch(). */
static bool catch_up(struct worker *worker)
{
    struct relay *relay = worker->relay;
    struct op *ops[PORT_BATCH];
    bool leave = false;
    /* An event that nobody waits for makes one answer of the port empty, though others follow. */
    for (int empty = 0, rounds = 0; empty < 2 && rounds < CATCH_UP_ROUNDS; rounds++) {
        int count = port_wait(relay->port, ops, PORT_BATCH, 0);
        empty = count == 0 ? empty + 1 : 0;
        leave |= dispatch(worker, ops, count);
    }
    standstill_caught_up(&relay->standstill);
    return leave;
}

bool worker_turn(struct worker *worker, int wait_ms)
{
    struct relay *relay = worker->relay;
    struct op *ops[PORT_BATCH];
    int count = port_wait(relay->port, ops, PORT_BATCH, wait_ms);
    worker->now_ms = os_mono_ms();
    bool late = standstill_check(worker);
    bool leave = dispatch(worker, ops, count);
    if (late)
        leave |= catch_up(worker);
    if (!standstill_is_catching_up(&relay->standstill))
        timers_run(&relay->timers, worker, worker->now_ms);
    if (worker->parks) {
        worker->parks = false;
        quiesce_park(worker);
    }
    return leave;
}

/* Messages that nobody else will take. No timer fires any more: it might post another one. */
static void take_rest(struct worker *worker)
{
    struct op *ops[PORT_BATCH];
    int count;
    while ((count = port_wait(worker->relay->port, ops, PORT_BATCH, 0)) > 0)
        for (int i = 0; i < count; i++)
            worker_dispatch(worker, ops[i]);
}

static void run(void *arg)
{
    struct worker *worker = arg;
    struct relay *relay = worker->relay;
    enum err err = port_enter(relay->port);
    lifecycle_worker_entered(worker, err);
    if (err != ERR_OK)
        return;
    while (!worker_turn(worker, timers_wait_ms(&relay->timers, worker->number)))
        ;                                              /* until the exit message comes */
    standstill_expect(&relay->standstill, UINT64_MAX); /* from here on nobody is waited for */
    bool last = lifecycle_worker_leaves(worker);
    if (last)
        take_rest(worker);
    buffers_empty_cache(&relay->buffers, &worker->cache);
    port_leave(relay->port);
    lifecycle_worker_left(worker, last);
}

enum err worker_start(struct worker *worker)
{
    char name[16];
    str_format(name, sizeof name, "worker %u", worker->number);
    return os_thread_start(&worker->thread, name, run, worker);
}

void worker_join(struct worker *worker)
{
    os_thread_join(worker->thread);
}
