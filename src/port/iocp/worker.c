/* worker.c - the calling thread's worker, and counters: one set a worker, summed up when somebody
 * asks. Calls nothing else of the backend. */
#include "port/iocp/faults.h"
#include "port/iocp/iocp.h"

static _Thread_local struct worker *current;

struct worker *worker_of(const struct port *port)
{
    return current != NULL && current->port == port ? current : NULL;
}

void worker_bind(struct worker *worker)
{
    assert((current == NULL || worker == NULL) && "a thread works for one port");
    current = worker;
}

void counts_add(struct port *port, enum count count)
{
    struct worker *worker = worker_of(port);
    if (worker == NULL) {
        atomic_fetch_add_explicit(&port->counts_foreign[count], 1, memory_order_relaxed);
        return;
    }
    /* This thread is the only writer, so no locked instruction is needed. */
    _Atomic uint64_t *counter = &worker->counts[count];
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

uint64_t counts_sum(struct port *port, enum count count)
{
    uint64_t sum = port->counts_left[count] +
                   atomic_load_explicit(&port->counts_foreign[count], memory_order_relaxed);
    for (struct list *link = port->workers.next; link != &port->workers; link = link->next) {
        struct worker *worker = list_owner(link, struct worker, in_port);
        sum += atomic_load_explicit(&worker->counts[count], memory_order_relaxed);
    }
    return sum;
}

void port_get_stats(struct port *port, struct port_stats *out)
{
    os_mutex_lock(&port->lock);
    for (int kind = 0; kind <= OP_WAKE; kind++) {
        /* Completions first: a difference of the two is then never negative. */
        out->completions[kind] = counts_sum(port, (enum count)(COUNT_COMPLETIONS + kind));
        out->submits[kind] = counts_sum(port, (enum count)(COUNT_SUBMITS + kind));
    }
    out->waits_total = counts_sum(port, COUNT_WAITS);
    /* The system does not tell whether a wait slept; each that was allowed to is counted. */
    out->wakeups_total = counts_sum(port, COUNT_SLEEPS);
    out->reads_total = counts_sum(port, COUNT_READS);
    out->writes_total = counts_sum(port, COUNT_WRITES);
    out->stale_events_total = 0; /* packets belong to operations, not to sockets */
    os_mutex_unlock(&port->lock);
}

void iocp_get_counts(struct port *port, struct iocp_counts *out)
{
    os_mutex_lock(&port->lock);
    out->short_writes_total = counts_sum(port, COUNT_SHORT_WRITES);
    out->inline_total = counts_sum(port, COUNT_INLINE);
    out->spills_total = counts_sum(port, COUNT_SPILLS);
    out->overflows_total = counts_sum(port, COUNT_OVERFLOWS);
    os_mutex_unlock(&port->lock);
}
