/* epoll.c - the port: open and close, enter and leave. */
#include "port/epoll/epoll.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "os/posix/error.h"

const char *port_backend_name(void)
{
    return "epoll";
}

/* ---- open and close ---- */

enum err port_open(struct port **out, unsigned workers)
{
    struct port *port = aligned_alloc(CACHE_LINE, sizeof *port);
    if (port == NULL)
        return ERR_NOMEM;
    *port = (struct port){.shared = workers > 1};
    os_mutex_init(&port->lock, LOCK_PORT);
    list_init(&port->workers);

    enum err err = records_open(port);
    if (err != ERR_OK)
        goto free_port;
    port->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (port->epoll_fd < 0) {
        err = error_last();
        goto close_records;
    }
    port->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (port->event_fd < 0) {
        err = error_last();
        goto close_epoll;
    }
    err = watch_counter(port->epoll_fd, port->event_fd, INBOX_DATA);
    if (err != ERR_OK)
        goto close_event;
    if (port->shared) {
        err = reserve_open(port);
        if (err != ERR_OK)
            goto close_event;
    }
    *out = port;
    return ERR_OK;

close_event:
    close(port->event_fd);
close_epoll:
    close(port->epoll_fd);
close_records:
    records_close(port);
free_port:
    free(port);
    return err;
}

void port_close(struct port *port)
{
    struct port_stats stats;
    port_get_stats(port, &stats);
    for (int kind = 0; kind <= OP_WAKE; kind++)
        assert(stats.submits[kind] == stats.completions[kind] && "nothing is in flight");
    assert(list_empty(&port->workers) && "every worker has left");
    assert(records_in_use(port) == 0 && "every socket is closed");

    if (port->shared)
        reserve_close(port);
    close(port->event_fd);
    close(port->epoll_fd);
    records_close(port);
    free(port);
}

/* ---- workers ---- */

enum err port_enter(struct port *port)
{
    struct worker *worker = aligned_alloc(CACHE_LINE, sizeof *worker);
    if (worker == NULL)
        return ERR_NOMEM;
    *worker = (struct worker){.port = port};
    os_mutex_lock(&port->lock);
    list_push(&port->workers, &worker->link);
    os_mutex_unlock(&port->lock);
    worker_bind(worker);
    splice_open(worker);
    reserve_enter(port);
    return ERR_OK;
}

#define COUNTERS (sizeof(struct counters) / sizeof(atomic_uint_fast64_t))

static atomic_uint_fast64_t *counter_at(struct counters *counters, size_t i)
{
    return (atomic_uint_fast64_t *)counters + i;
}

void port_leave(struct port *port)
{
    struct worker *worker = worker_of(port);
    assert(worker != NULL && "only a worker leaves");
    worker_bind(NULL);
    inbox_splice(port, &worker->ready);
    reserve_leave(port);
    splice_close(worker);

    os_mutex_lock(&port->lock);
    list_remove(&worker->link);
    for (size_t i = 0; i < COUNTERS; i++)
        atomic_fetch_add_explicit(
            counter_at(&port->foreign, i),
            atomic_load_explicit(counter_at(&worker->counters, i), memory_order_relaxed),
            memory_order_relaxed);
    os_mutex_unlock(&port->lock);
    free(worker);
}

static void add_counters(struct port_stats *stats, const struct counters *counters)
{
#define ADD(to, from) stats->to += atomic_load_explicit(&counters->from, memory_order_relaxed)
    for (int kind = 0; kind <= OP_WAKE; kind++) {
        ADD(submits[kind], submits[kind]);
        ADD(completions[kind], completions[kind]);
    }
    ADD(waits_total, waits);
    ADD(wakeups_total, wakeups);
    ADD(reads_total, reads);
    ADD(writes_total, writes);
    ADD(stale_events_total, stale_events);
#undef ADD
}

void port_get_stats(struct port *port, struct port_stats *out)
{
    *out = (struct port_stats){0};
    os_mutex_lock(&port->lock);
    add_counters(out, &port->foreign);
    for (struct list *at = port->workers.next; at != &port->workers; at = at->next)
        add_counters(out, &list_owner(at, struct worker, link)->counters);
    os_mutex_unlock(&port->lock);
}
