#include "relay/guard/tarpit.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "relay/core/worker.h"

#define AT_ONCE 64 /* places emptied with the lock held once */

/* ---- the heap; with the lock ---- */

static void swap(struct tarpit_place *a, struct tarpit_place *b)
{
    struct tarpit_place kept = *a;
    *a = *b;
    *b = kept;
}

static void rise(struct tarpit_place *places, uint32_t at)
{
    while (at > 0 && places[at].due_ms < places[(at - 1) / 2].due_ms) {
        swap(&places[at], &places[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

static void sink(struct tarpit_place *places, uint32_t count)
{
    uint32_t at = 0;
    for (;;) {
        uint32_t least = at, left = 2 * at + 1;
        if (left < count && places[left].due_ms < places[least].due_ms)
            least = left;
        if (left + 1 < count && places[left + 1].due_ms < places[least].due_ms)
            least = left + 1;
        if (least == at)
            return;
        swap(&places[at], &places[least]);
        at = least;
    }
}

static sock_t take_first(struct tarpit *tarpit)
{
    uint32_t count = atomic_load(&tarpit->held) - 1;
    sock_t sock = tarpit->places[0].sock;
    tarpit->places[0] = tarpit->places[count];
    atomic_store(&tarpit->held, count);
    sink(tarpit->places, count);
    return sock;
}

/* ---- the tarpit ---- */

/* Empties up to AT_ONCE places that are due, and arms the timer for the next one. */
static unsigned empty_some(struct tarpit *tarpit, uint64_t now_ms)
{
    sock_t socks[AT_ONCE];
    unsigned count = 0;
    os_mutex_lock(&tarpit->lock);
    while (count < AT_ONCE && atomic_load(&tarpit->held) > 0 &&
           tarpit->places[0].due_ms <= now_ms)
        socks[count++] = take_first(tarpit);
    if (!tarpit->closed && atomic_load(&tarpit->held) > 0)
        timers_arm(tarpit->timers, &tarpit->timer, tarpit->places[0].due_ms);
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

enum err tarpit_open(struct tarpit *tarpit, struct timers *timers, uint32_t max)
{
    tarpit->places = NULL;
    if (max > 0) {
        tarpit->places = calloc(max, sizeof *tarpit->places);
        if (tarpit->places == NULL)
            return ERR_NOMEM;
    }
    tarpit->timers = timers;
    tarpit->max = max;
    timer_init(&tarpit->timer, &tarpit_timer);
    return ERR_OK;
}

void tarpit_close(struct tarpit *tarpit)
{
    tarpit_stop(tarpit);
    free(tarpit->places);
    tarpit->places = NULL;
}

bool tarpit_take(struct tarpit *tarpit, sock_t sock, uint64_t due_ms)
{
    bool taken = false;
    /* When it is full, as in a flood, nobody waits for the lock. */
    if (atomic_load_explicit(&tarpit->held, memory_order_relaxed) < tarpit->max) {
        os_mutex_lock(&tarpit->lock);
        uint32_t count = atomic_load(&tarpit->held);
        taken = !tarpit->closed && count < tarpit->max;
        if (taken) {
            tarpit->places[count] = (struct tarpit_place){sock, due_ms};
            atomic_store(&tarpit->held, count + 1);
            rise(tarpit->places, count);
            if (tarpit->places[0].sock == sock)
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
