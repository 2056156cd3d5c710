#include "relay/queue/queue.h"

#include "relay/core/schedule.h"
#include "relay/core/worker.h"
#include "relay/pair.h"
#include "relay/relay.h"

#define BACKOFF_MS 1000

void queue_init(struct queue *queue)
{
    *queue = (struct queue){.quota.limit = UINT32_MAX};
    os_mutex_init(&queue->lock, LOCK_QUEUE);
    list_init(&queue->pairs);
    list_init(&queue->left);
}

/* Behind those that were accepted before it. With the lock held. */
static void insert(struct queue *queue, struct pair *pair)
{
    struct list *list = pair->wait.has_left ? &queue->left : &queue->pairs;
    struct list *before = list->prev;
    while (before != list && list_owner(before, struct pair, wait.in_queue)->id > pair->id)
        before = before->prev;
    list_push(before->next, &pair->wait.in_queue);
    if (pair->wait.has_left)
        atomic_fetch_add(&queue->left_count, 1);
}

/* Out of the queue. With the lock held. */
static void take_out(struct queue *queue, struct pair *pair)
{
    list_remove(&pair->wait.in_queue);
    if (pair->wait.has_left)
        atomic_fetch_sub(&queue->left_count, 1);
}

/* ---- places ---- */

static void give_place(struct queue *queue, struct pair *pair)
{
    quota_give(&queue->quota);
    client_wait_over(pair->client_entry);
}

/* Takes the latest of the clients that have left out of the queue: of `client`, or of all (NULL).
 * Another worker may hold its pair, so the pair's timer ends it. NULL: none has left, or `by`
 * has left, too. With the lock held; the caller drops the reference that the list had. */
static struct pair *displace(struct queue *queue, const struct pair *by,
                             const struct client *client)
{
    if (by->wait.has_left)
        return NULL;
    struct list *at = queue->left.prev;
    while (at != &queue->left && client != NULL &&
           list_owner(at, struct pair, wait.in_queue)->client_entry != client)
        at = at->prev;
    if (at == &queue->left)
        return NULL;
    struct pair *pair = list_owner(at, struct pair, wait.in_queue);
    take_out(queue, pair);
    give_place(queue, pair);
    atomic_store(&pair->wait.displaced, true);
    timers_arm(&pair->relay->timers, &pair->timer, 0);
    return pair;
}

/* Who has waited before had its place already. With the lock held. */
static enum reason take_place(struct queue *queue, struct pair *pair, struct pair **displaced)
{
    const struct conf_route *conf = pair->route->conf;
    if (atomic_load(&pair->wait.displaced))
        return REASON_QUEUE_DISPLACED;
    if (pair->wait.was_held) {
        client_wait_again(pair->client_entry);
    } else if (!client_wait(pair->client_entry, conf->queue_max_per_client)) {
        *displaced = displace(queue, pair, pair->client_entry);
        if (*displaced == NULL)
            return REASON_QUEUE_FULL_CLIENT;
        client_wait_again(pair->client_entry);
    }
    if (!pair->wait.was_held && *displaced == NULL && queue_count(queue) >= conf->queue_max) {
        *displaced = displace(queue, pair, NULL);
        if (*displaced == NULL) {
            client_wait_over(pair->client_entry);
            return REASON_QUEUE_FULL;
        }
    }
    quota_force(&queue->quota);
    return REASON_NONE;
}

enum reason queue_add(struct queue *queue, struct pair *pair)
{
    struct pair *displaced = NULL;
    os_mutex_lock(&queue->lock);
    bool is_there = !list_empty(&pair->wait.in_queue);
    enum reason why = is_there ? REASON_NONE : take_place(queue, pair, &displaced);
    bool added = !is_there && why == REASON_NONE;
    bool is_first = added && list_empty(&queue->pairs);
    if (added) {
        pair_ref(pair);
        insert(queue, pair);
    }
    os_mutex_unlock(&queue->lock);
    if (displaced != NULL)
        pair_unref(displaced);
    if (added && !pair->wait.was_held)
        atomic_fetch_add_explicit(&queue->total, 1, memory_order_relaxed);
    /* A place that came free since the pair has asked for one was offered to nobody. */
    if (is_first)
        schedule_route(pair->route);
    return why;
}

void queue_remove(struct queue *queue, struct pair *pair)
{
    os_mutex_lock(&queue->lock);
    bool was = !list_empty(&pair->wait.in_queue);
    if (was) {
        take_out(queue, pair);
        give_place(queue, pair);
    }
    atomic_store(&pair->wait.displaced, false); /* its turn came first, or it is over anyway */
    os_mutex_unlock(&queue->lock);
    if (was)
        pair_unref(
            pair); /* not the last: the caller has the pair's lock, and a reference with it */
}

void queue_leave(struct queue *queue, struct pair *pair)
{
    os_mutex_lock(&queue->lock);
    bool was = !list_empty(&pair->wait.in_queue);
    if (was)
        take_out(queue, pair);
    pair->wait.has_left = true;
    if (was)
        insert(queue, pair);
    os_mutex_unlock(&queue->lock);
}

/* ---- turns ---- */

void queue_backoff(struct relay_route *route, uint64_t now_ms)
{
    struct queue *queue = &route->queue;
    os_mutex_lock(&queue->lock);
    if (queue->next_turn_ms < now_ms + BACKOFF_MS)
        queue->next_turn_ms = now_ms + BACKOFF_MS;
    queue->tries_one = false;
    atomic_store(&queue->backs_off, true);
    os_mutex_unlock(&queue->lock);
    throttle_end_ramp(route, now_ms);
}

void queue_connected(struct relay_route *route, uint64_t now_ms)
{
    struct queue *queue = &route->queue;
    if (!atomic_load_explicit(&queue->backs_off, memory_order_relaxed))
        return;
    os_mutex_lock(&queue->lock);
    if (queue->tries_one)
        queue->next_turn_ms = 0;
    queue->tries_one = false;
    atomic_store(&queue->backs_off, false);
    os_mutex_unlock(&queue->lock);
    throttle_begin_ramp(route, now_ms);
    schedule_route(route);
}

/* The first one, with a reference of its own; NULL: none, or not yet. It stays in the queue.
 * While the route is drained all have a turn: to be told so. */
static struct pair *first(struct queue *queue, bool drained, uint64_t now_ms)
{
    struct pair *pair = NULL;
    os_mutex_lock(&queue->lock);
    struct list *list = list_empty(&queue->pairs) ? &queue->left : &queue->pairs;
    if (!list_empty(list) && (drained || now_ms >= queue->next_turn_ms)) {
        pair = list_owner(list->next, struct pair, wait.in_queue);
        pair_ref(pair);
        queue->tries_one = !drained && atomic_load(&queue->backs_off);
        if (queue->tries_one)
            queue->next_turn_ms = now_ms + BACKOFF_MS;
    }
    os_mutex_unlock(&queue->lock);
    return pair;
}

struct pair *queue_next(struct relay_route *route, uint64_t now_ms)
{
    bool drained = drain_is_on(&route->drain);
    if (queue_count(&route->queue) == 0 || (!drained && !throttle_admits(route, now_ms)))
        return NULL;
    struct pair *pair = first(&route->queue, drained, now_ms);
    if (pair == NULL && !drained)
        throttle_return_token(route);
    return pair;
}

void queue_take_back_turn(struct relay_route *route)
{
    struct queue *queue = &route->queue;
    throttle_return_token(route);
    os_mutex_lock(&queue->lock);
    if (queue->tries_one)
        queue->next_turn_ms = 0;
    queue->tries_one = false;
    os_mutex_unlock(&queue->lock);
}

bool queue_begin_turns(struct queue *queue)
{
    os_mutex_lock(&queue->lock);
    bool free = !queue->gives_turns;
    queue->gives_turns = true;
    queue->turns_again = !free;
    os_mutex_unlock(&queue->lock);
    return free;
}

bool queue_end_turns(struct queue *queue)
{
    os_mutex_lock(&queue->lock);
    bool again = queue->turns_again;
    queue->turns_again = false;
    queue->gives_turns = again;
    os_mutex_unlock(&queue->lock);
    return !again;
}

uint64_t queue_next_ms(struct relay_route *route, uint64_t now_ms)
{
    struct queue *queue = &route->queue;
    os_mutex_lock(&queue->lock);
    bool waits = !list_empty(&queue->pairs) || !list_empty(&queue->left);
    uint64_t until_ms = queue->next_turn_ms;
    os_mutex_unlock(&queue->lock);
    uint64_t throttle_ms = throttle_next_ms(route, now_ms);
    until_ms = throttle_ms > until_ms ? throttle_ms : until_ms;
    return waits && until_ms > now_ms ? until_ms : UINT64_MAX;
}
