/* foreign.c - ACCEPTs of a listening socket that the port of another process has.
 *
 * A file can be associated with one completion port, and handles of a socket in several processes
 * are one file: a socket that came from the relay before cannot be had by this port, not even
 * when that relay is gone. So its AcceptEx is told to send no packet, by an event with the lowest
 * bit set ("GetQueuedCompletionStatus function"), and the event is waited for by a thread of the
 * system's pool, which puts the result into the port. The accepted sockets are as all others.
 *
 * A waiter belongs to one ACCEPT at a time, from its start until its event; waiters at rest are
 * kept for the next ones.
 */
#include <stdlib.h>

#include "os/windows/error.h"
#include "port/iocp/iocp.h"

struct waiter {
    struct port *port;
    struct op *op; /* that it waits for */
    HANDLE event;  /* manual reset */
    PTP_WAIT wait;
    struct waiter *next_idle;
    struct waiter *next; /* of all of the port */
};

static void rest(struct waiter *waiter)
{
    struct port *port = waiter->port;
    waiter->op = NULL;
    os_mutex_lock(&port->waiters_lock);
    waiter->next_idle = port->waiters_idle;
    port->waiters_idle = waiter;
    os_mutex_unlock(&port->waiters_lock);
}

/* In a thread of the pool: the ACCEPT has ended. */
static void CALLBACK on_event(PTP_CALLBACK_INSTANCE instance, void *ctx, PTP_WAIT wait,
                              TP_WAIT_RESULT result)
{
    (void)instance, (void)wait, (void)result;
    struct waiter *waiter = ctx;
    struct port *port = waiter->port;
    struct op *op = waiter->op;
    assert(op != NULL && op->in_flight && op->state == STATE_STARTED);
    LONG status = (LONG)native_of(op)->overlapped.Internal;
    rest(waiter); /* when the result is out nobody may need the port any more */
    accept_finish(port, op, status);
    op->state = STATE_FINISHED;
    ready_post(port, op);
}

static struct waiter *make(struct port *port)
{
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL)
        return NULL;
    waiter->port = port;
    waiter->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (waiter->event == NULL)
        goto free_waiter;
    waiter->wait = CreateThreadpoolWait(on_event, waiter, NULL);
    if (waiter->wait == NULL)
        goto close_event;
    os_mutex_lock(&port->waiters_lock);
    waiter->next = port->waiters;
    port->waiters = waiter;
    os_mutex_unlock(&port->waiters_lock);
    return waiter;

close_event:
    CloseHandle(waiter->event);
free_waiter:
    free(waiter);
    return NULL;
}

struct waiter *foreign_begin(struct port *port, struct op *op, OVERLAPPED *overlapped)
{
    os_mutex_lock(&port->waiters_lock);
    struct waiter *waiter = port->waiters_idle;
    if (waiter != NULL)
        port->waiters_idle = waiter->next_idle;
    os_mutex_unlock(&port->waiters_lock);
    if (waiter == NULL)
        waiter = make(port);
    if (waiter == NULL)
        return NULL;
    waiter->op = op;
    ResetEvent(waiter->event);
    overlapped->hEvent = (HANDLE)((ULONG_PTR)waiter->event | 1);
    return waiter;
}

void foreign_wait(struct waiter *waiter)
{
    SetThreadpoolWait(waiter->wait, waiter->event, NULL);
}

void foreign_end(struct waiter *waiter)
{
    rest(waiter);
}

void foreign_close(struct port *port)
{
    while (port->waiters != NULL) {
        struct waiter *waiter = port->waiters;
        port->waiters = waiter->next;
        WaitForThreadpoolWaitCallbacks(waiter->wait, FALSE);
        CloseThreadpoolWait(waiter->wait);
        CloseHandle(waiter->event);
        free(waiter);
    }
}
