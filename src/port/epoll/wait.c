/* wait.c - port_wait(): events and results. */
#include <assert.h>

#include "port/epoll/epoll.h"

/* Events fetched by one epoll_wait. They belong to the worker that fetched them, so with
 * siblings a batch is kept small: at about 5 us a message it is done in well under a
 * millisecond. */
enum { BATCH_ALONE = 64, BATCH_SHARED = 32 };

/* So many results at once are worth a second worker. */
enum { CROWD = 16 };

/* A worker with results of its own asks epoll again after so many turns or so many results
 * handed out, so that a socket that is always busy cannot starve the others. */
enum { ASK_AFTER_TURNS = 8, ASK_AFTER_HANDED = 64 };

/* A ready list grows beyond this only by a storm of cancellations or accepts; what exceeds
 * SPILL_KEEP then goes to the inbox for everybody. */
enum { SPILL_ABOVE = 256, SPILL_KEEP = 64 };

/* ---- events ---- */

static void take_events(struct port *port, struct worker *worker,
                        const struct epoll_event *events, int count)
{
    worker->turns = 0;
    worker->handed = 0;
    if (port->shared)
        atomic_fetch_add_explicit(&port->fetches, 1, memory_order_relaxed);
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == INBOX_DATA)
            inbox_take(port, worker);
        else
            op_on_edge(port, worker, events[i].data.u64, events[i].events);
    }
}

/* Takes what is there, without waiting. True: something was. */
static bool look(struct port *port, struct worker *worker)
{
    struct epoll_event events[BATCH_ALONE];
    int batch = port->shared ? BATCH_SHARED : BATCH_ALONE;
    int count = wait_on(worker, port->epoll_fd, events, batch, 0);
    take_events(port, worker, events, count);
    return count > 0;
}

/* Waits until something is there, or until there is reason to come back and see. */
static void wait_idle(struct port *port, struct worker *worker, int timeout_ms)
{
    struct epoll_event events[BATCH_ALONE];
    if (!port->shared) {
        int count = wait_on(worker, port->epoll_fd, events, BATCH_ALONE, timeout_ms);
        take_events(port, worker, events, count);
        return;
    }
    if (reserve_is_due(port, worker)) {
        reserve_sleep(port, worker, timeout_ms);
        return;
    }
    if (!reserve_lead(port)) {
        if (!look(port, worker))
            reserve_sleep(port, worker, timeout_ms);
        return;
    }
    int count = wait_on(worker, port->epoll_fd, events, BATCH_SHARED, timeout_ms);
    reserve_stop_leading(port);
    take_events(port, worker, events, count);
    if (worker->ready_count >= CROWD)
        reserve_call(port);
}

/* ---- results ---- */

static void spill(struct port *port, struct worker *worker)
{
    struct queue keep = {0};
    for (int i = 0; i < SPILL_KEEP; i++)
        queue_push(&keep, queue_pop(&worker->ready));
    inbox_splice(port, &worker->ready);
    worker->ready = keep;
    worker->ready_count = SPILL_KEEP;
}

static int hand_out(struct port *port, struct worker *worker, struct op *ops[], int max)
{
    int count = 0;
    while (count < max) {
        struct op *op = queue_pop(&worker->ready);
        if (op == NULL)
            break;
        worker->ready_count--;
        if (native_of(op)->put_off) {
            op_resume(port, worker, op);
            worker->turns = ASK_AFTER_TURNS; /* accepting goes on after what else there is */
            continue;
        }
        op->in_flight = false;
        counter_step(&worker->counters.completions[op->kind]);
        ops[count++] = op;
    }
    worker->turns++;
    worker->handed += (unsigned)count;
    return count;
}

int port_wait(struct port *port, struct op *ops[], int max, int timeout_ms)
{
    struct worker *worker = worker_of(port);
    assert(worker != NULL && max > 0);

    if (worker->ready_count > SPILL_ABOVE && port->shared)
        spill(port, worker);
    if (worker->ready.head == NULL && timeout_ms != 0)
        wait_idle(port, worker, timeout_ms);
    else if (worker->ready.head == NULL || worker->turns >= ASK_AFTER_TURNS ||
             worker->handed >= ASK_AFTER_HANDED)
        (void)look(port, worker);
    return hand_out(port, worker, ops, max);
}
