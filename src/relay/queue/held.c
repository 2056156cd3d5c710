#include "relay/queue/held.h"

#include "relay/core/schedule.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"

#define REST_MS 1000

void held_init(struct held *held)
{
    *held = (struct held){.quota.limit = UINT32_MAX};
    list_init(&held->pairs);
    list_init(&held->left);
}

/* Behind those that were accepted before it. With the lock held. */
static void insert(struct held *held, struct pair *pair)
{
    struct list *list = pair->has_left ? &held->left : &held->pairs;
    struct list *before = list->prev;
    while (before != list && list_owner(before, struct pair, in_held)->id > pair->id)
        before = before->prev;
    list_push(before->next, &pair->in_held);
    if (pair->has_left)
        atomic_fetch_add(&held->left_count, 1);
}

/* Out of the queue. With the lock held. */
static void take_out(struct held *held, struct pair *pair)
{
    list_remove(&pair->in_held);
    if (pair->has_left)
        atomic_fetch_sub(&held->left_count, 1);
}

/* ---- places ---- */

static void give_place(struct held *held, struct pair *pair)
{
    quota_give(&held->quota);
    client_wait_over(pair->client_entry);
}

/* One that has left, the latest of them, loses its place; of the sessions of `client`, or of all
 * (NULL); `by` still lives. It may be in the hands of another worker, so its timer sees to its end: it is in the
 * list, so it is not over yet. NULL: nobody has left, or `by`
 * has as well. With the lock held; the caller gives back
 * the hold that the list had. */
static struct pair *displace(struct held *held, const struct pair *by,
                             const struct client *client)
{
    if (by->has_left)
        return NULL;
    struct list *at = held->left.prev;
    while (at != &held->left && client != NULL &&
           list_owner(at, struct pair, in_held)->client_entry != client)
        at = at->prev;
    if (at == &held->left)
        return NULL;
    struct pair *pair = list_owner(at, struct pair, in_held);
    take_out(held, pair);
    give_place(held, pair);
    atomic_store(&pair->displaced, true);
    timers_arm(&pair->relay->timers, &pair->timer, 0);
    return pair;
}

/* Who has waited before had its place already. With the lock held. */
static enum reason take_place(struct held *held, struct pair *pair, struct pair **displaced)
{
    const struct conf_route *conf = pair->route->conf;
    if (atomic_load(&pair->displaced))
        return REASON_QUEUE_DISPLACED;
    if (pair->was_held) {
        client_wait_again(pair->client_entry);
    } else if (!client_wait(pair->client_entry, conf->queue_max_per_client)) {
        *displaced = displace(held, pair, pair->client_entry);
        if (*displaced == NULL)
            return REASON_QUEUE_FULL_CLIENT;
        client_wait_again(pair->client_entry);
    }
    if (!pair->was_held && *displaced == NULL && held_count(held) >= conf->queue_max) {
        *displaced = displace(held, pair, NULL);
        if (*displaced == NULL) {
            client_wait_over(pair->client_entry);
            return REASON_QUEUE_FULL;
        }
    }
    quota_force(&held->quota);
    return REASON_NONE;
}

enum reason held_add(struct held *held, struct pair *pair)
{
    struct pair *displaced = NULL;
    os_mutex_lock(&held->lock);
    bool is_there = !list_empty(&pair->in_held);
    enum reason why = is_there ? REASON_NONE : take_place(held, pair, &displaced);
    bool added = !is_there && why == REASON_NONE;
    bool is_first = added && list_empty(&held->pairs);
    if (added) {
        pair_hold(pair);
        insert(held, pair);
    }
    os_mutex_unlock(&held->lock);
    if (displaced != NULL)
        pair_unhold(displaced);
    if (added && !pair->was_held)
        atomic_fetch_add_explicit(&held->total, 1, memory_order_relaxed);
    /* A place that came free since the pair has asked for one was offered to nobody. */
    if (is_first)
        schedule_route(pair->route);
    return why;
}

void held_remove(struct held *held, struct pair *pair)
{
    os_mutex_lock(&held->lock);
    bool was = !list_empty(&pair->in_held);
    if (was) {
        take_out(held, pair);
        give_place(held, pair);
    }
    atomic_store(&pair->displaced, false); /* its turn came first, or it is over anyway */
    os_mutex_unlock(&held->lock);
    if (was)
        pair_unhold(
            pair); /* not the last: the caller has the pair's lock, and a hold with it */
}

void held_leave(struct held *held, struct pair *pair)
{
    os_mutex_lock(&held->lock);
    bool was = !list_empty(&pair->in_held);
    if (was)
        take_out(held, pair);
    pair->has_left = true;
    if (was)
        insert(held, pair);
    os_mutex_unlock(&held->lock);
}

/* ---- turns ---- */

void held_rest(struct relay_route *route, uint64_t now_ms)
{
    struct held *held = &route->held;
    os_mutex_lock(&held->lock);
    if (held->serve_at_ms < now_ms + REST_MS)
        held->serve_at_ms = now_ms + REST_MS;
    held->scouting = false;
    atomic_store(&held->cautious, true);
    os_mutex_unlock(&held->lock);
    gate_end_ramp(route, now_ms);
}

void held_connected(struct relay_route *route, uint64_t now_ms)
{
    struct held *held = &route->held;
    if (!atomic_load_explicit(&held->cautious, memory_order_relaxed))
        return;
    os_mutex_lock(&held->lock);
    if (held->scouting)
        held->serve_at_ms = 0;
    held->scouting = false;
    atomic_store(&held->cautious, false);
    os_mutex_unlock(&held->lock);
    gate_came_back(route, now_ms);
    schedule_route(route);
}

/* The first one, with a hold of its own; NULL: none, or not yet. It stays in the queue. While the
 * route is drained all have a turn: to be told so. */
static struct pair *first(struct held *held, bool drained, uint64_t now_ms)
{
    struct pair *pair = NULL;
    os_mutex_lock(&held->lock);
    struct list *list = list_empty(&held->pairs) ? &held->left : &held->pairs;
    if (!list_empty(list) && (drained || now_ms >= held->serve_at_ms)) {
        pair = list_owner(list->next, struct pair, in_held);
        pair_hold(pair);
        held->scouting = !drained && atomic_load(&held->cautious);
        if (held->scouting)
            held->serve_at_ms = now_ms + REST_MS;
    }
    os_mutex_unlock(&held->lock);
    return pair;
}

struct pair *held_next(struct relay_route *route, uint64_t now_ms)
{
    bool drained = drain_is_on(&route->drain);
    if (held_count(&route->held) == 0 || (!drained && !gate_admits(route, now_ms)))
        return NULL;
    struct pair *pair = first(&route->held, drained, now_ms);
    if (pair == NULL && !drained)
        gate_give(route);
    return pair;
}

void held_take_back_turn(struct relay_route *route)
{
    struct held *held = &route->held;
    gate_give(route);
    os_mutex_lock(&held->lock);
    if (held->scouting)
        held->serve_at_ms = 0;
    held->scouting = false;
    os_mutex_unlock(&held->lock);
}

bool held_begin_turns(struct held *held)
{
    os_mutex_lock(&held->lock);
    bool free = !held->serving;
    held->serving = true;
    held->serve_again = !free;
    os_mutex_unlock(&held->lock);
    return free;
}

bool held_end_turns(struct held *held)
{
    os_mutex_lock(&held->lock);
    bool again = held->serve_again;
    held->serve_again = false;
    held->serving = again;
    os_mutex_unlock(&held->lock);
    return !again;
}

uint64_t held_next_ms(struct relay_route *route, uint64_t now_ms)
{
    struct held *held = &route->held;
    os_mutex_lock(&held->lock);
    bool waits = !list_empty(&held->pairs) || !list_empty(&held->left);
    uint64_t until_ms = held->serve_at_ms;
    os_mutex_unlock(&held->lock);
    uint64_t gate_ms = gate_next_ms(route, now_ms);
    until_ms = gate_ms > until_ms ? gate_ms : until_ms;
    return waits && until_ms > now_ms ? until_ms : UINT64_MAX;
}
