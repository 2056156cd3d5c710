/* ready.c - results that are known without a packet of the system, on their way out. */
#include "port/iocp/faults.h"
#include "port/iocp/iocp.h"

/* A worker keeps no more results than this to itself: siblings that sleep can not see them. */
#define READY_MAX 64

static void push(struct worker *worker, struct op *op)
{
    native_of(op)->next = NULL;
    if (worker->first == NULL)
        worker->first = op;
    else
        native_of(worker->last)->next = op;
    worker->last = op;
    worker->ready++;
}

struct op *ready_pop(struct worker *worker)
{
    struct op *op = worker->first;
    if (op == NULL)
        return NULL;
    worker->first = native_of(op)->next;
    worker->ready--;
    return op;
}

/* False: no memory for the packet, the operation is still ours. */
static bool post(struct port *port, struct op *op)
{
    if (iocp_fault(&iocp_faults.posts_to_fail))
        return false;
    return PostQueuedCompletionStatus(port->handle, 0, KEY_POSTED,
                                      &native_of(op)->overlapped) != 0;
}

/* "PostQueuedCompletionStatus function" needs non-paged memory, which may be out. The list is
 * looked at by every worker at each turn, and by a sleeping one within port->longest_wait. */
static void overflow(struct port *port, struct op *op)
{
    counts_add(port, COUNT_OVERFLOWS);
    native_of(op)->next = NULL;
    os_mutex_lock(&port->overflow_lock);
    if (port->overflow_first == NULL)
        port->overflow_first = op;
    else
        native_of(port->overflow_last)->next = op;
    port->overflow_last = op;
    atomic_fetch_add(&port->overflowed, 1);
    os_mutex_unlock(&port->overflow_lock);
}

void ready_post(struct port *port, struct op *op)
{
    if (!post(port, op))
        overflow(port, op);
}

void ready_deliver(struct port *port, struct op *op)
{
    assert(op->state == STATE_STARTED);
    op->state = STATE_FINISHED;
    counts_add(port, COUNT_INLINE);
    struct worker *worker = worker_of(port);
    if (worker == NULL) {
        ready_post(port, op);
    } else if (worker->ready < READY_MAX) {
        push(worker, op);
    } else {
        counts_add(port, COUNT_SPILLS);
        if (!post(port, op))
            push(worker, op);
    }
}

/* One for each sleeper, and not more than half: who gets one goes on with its connection. */
void ready_share(struct port *port, struct worker *worker)
{
    unsigned share = worker->ready / 2;
    unsigned sleeping = atomic_load(&port->sleeping);
    if (share > sleeping)
        share = sleeping;
    for (; share > 0; share--) {
        struct op *op = ready_pop(worker);
        counts_add(port, COUNT_SPILLS);
        if (!post(port, op))
            push(worker, op);
    }
}

void ready_take_overflow(struct port *port, struct worker *worker)
{
    os_mutex_lock(&port->overflow_lock);
    struct op *op = port->overflow_first;
    port->overflow_first = NULL;
    port->overflow_last = NULL;
    atomic_store(&port->overflowed, 0);
    os_mutex_unlock(&port->overflow_lock);

    while (op != NULL) {
        struct op *next = native_of(op)->next;
        push(worker, op);
        op = next;
    }
}

void ready_hand_back(struct port *port, struct worker *worker)
{
    for (struct op *op = ready_pop(worker); op != NULL; op = ready_pop(worker))
        ready_post(port, op);
}
