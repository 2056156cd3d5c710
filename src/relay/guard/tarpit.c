#include "relay/guard/tarpit.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "relay/core/worker.h"

#define AT_ONCE 64 /* places emptied with the lock held once */

/* Frees the place that is due first. With the lock. */
static sock_t take_first(struct tarpit *tarpit)
{
    struct expiry *first = expiry_first(&tarpit->due);
    expiry_remove(&tarpit->due, first);
    tarpit->due.entries[tarpit->due.count] = first; /* a free place again */
    atomic_store(&tarpit->held, tarpit->due.count);
    return expiry_owner(first, struct tarpit_place, due)->sock;
}

static bool is_due(const struct tarpit *tarpit, uint64_t now_ms)
{
    const struct expiry *first = expiry_first(&tarpit->due);
    return first != NULL && first->at_ms <= now_ms;
}

/* Empties up to AT_ONCE places that are due, and arms the timer for the next one. */
static unsigned empty_some(struct tarpit *tarpit, uint64_t now_ms)
{
    sock_t socks[AT_ONCE];
    unsigned count = 0;
    os_mutex_lock(&tarpit->lock);
    while (count < AT_ONCE && is_due(tarpit, now_ms))
        socks[count++] = take_first(tarpit);
    if (!tarpit->closed && tarpit->due.count > 0)
        timers_arm(tarpit->timers, &tarpit->timer, expiry_first(&tarpit->due)->at_ms);
    os_mutex_unlock(&tarpit->lock);
    for (unsigned i = 0; i < count; i++)
        sock_close(socks[i], SOCK_CLOSE_ABORT);
    return count;
}

static void on_timer(struct timer *timer, struct worker *worker)
{
    struct tarpit *tarpit = (struct tarpit *)((char *)timer - offsetof(struct tarpit, timer));
    while (empty_some(tarpit, worker->now_ms) == AT_ONCE)
        ; /* more may be due */
}

static const struct timer_kind tarpit_timer = {.ref = NULL, .fire = on_timer};

static void free_places(struct tarpit *tarpit)
{
    free(tarpit->places);
    free(tarpit->due.entries);
    tarpit->places = NULL;
    tarpit->due.entries = NULL;
}

enum err tarpit_open(struct tarpit *tarpit, struct timers *timers, uint32_t max)
{
    tarpit->places = calloc(max > 0 ? max : 1, sizeof *tarpit->places);
    tarpit->due.entries = calloc(max > 0 ? max : 1, sizeof(struct expiry *));
    if (tarpit->places == NULL || tarpit->due.entries == NULL) {
        free_places(tarpit);
        return ERR_NOMEM;
    }
    for (uint32_t i = 0; i < max; i++)
        tarpit->due.entries[i] = &tarpit->places[i].due;
    os_mutex_init(&tarpit->lock, LOCK_TARPIT);
    tarpit->timers = timers;
    tarpit->max = max;
    timer_init(&tarpit->timer, &tarpit_timer);
    return ERR_OK;
}

void tarpit_close(struct tarpit *tarpit)
{
    tarpit_stop(tarpit);
    free_places(tarpit);
}

bool tarpit_take(struct tarpit *tarpit, sock_t sock, uint64_t due_ms)
{
    bool taken = false;
    /* When it is full, as in a flood, nobody waits for the lock. */
    if (atomic_load_explicit(&tarpit->held, memory_order_relaxed) < tarpit->max) {
        os_mutex_lock(&tarpit->lock);
        taken = !tarpit->closed && tarpit->due.count < tarpit->max;
        if (taken) {
            struct expiry *due = tarpit->due.entries[tarpit->due.count];
            due->at_ms = due_ms;
            expiry_owner(due, struct tarpit_place, due)->sock = sock;
            expiry_add(&tarpit->due, due);
            atomic_store(&tarpit->held, tarpit->due.count);
            if (expiry_first(&tarpit->due) == due)
                timers_arm(tarpit->timers, &tarpit->timer, due_ms);
        }
        os_mutex_unlock(&tarpit->lock);
    }
    atomic_fetch_add_explicit(taken ? &tarpit->total : &tarpit->full_total, 1,
                              memory_order_relaxed);
    return taken;
}

void tarpit_stop(struct tarpit *tarpit)
{
    os_mutex_lock(&tarpit->lock);
    tarpit->closed = true;
    os_mutex_unlock(&tarpit->lock);
    timers_disarm(tarpit->timers, &tarpit->timer);
    while (empty_some(tarpit, UINT64_MAX) == AT_ONCE)
        ; /* more are there */
}
