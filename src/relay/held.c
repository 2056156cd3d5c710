#include "relay/held.h"

#include "relay/pair.h"
#include "relay/relay.h"
#include "relay/worker.h"

void held_init(struct held *held, uint32_t queue_max)
{
    *held = (struct held){.quota.limit = queue_max};
    list_init(&held->pairs);
}

/* Behind those that were accepted before it. With the lock held. */
static void insert(struct held *held, struct pair *pair)
{
    struct list *before = held->pairs.prev;
    while (before != &held->pairs && list_owner(before, struct pair, in_held)->id > pair->id)
        before = before->prev;
    list_push(before->next, &pair->in_held);
}

/* Who has waited before had its place already. */
static bool take_place(struct held *held, const struct pair *pair)
{
    if (!pair->was_held)
        return quota_take(&held->quota);
    quota_force(&held->quota);
    return true;
}

bool held_add(struct held *held, struct pair *pair)
{
    os_mutex_lock(&held->lock);
    bool is_there = !list_empty(&pair->in_held);
    bool added = !is_there && take_place(held, pair);
    bool is_first = added && list_empty(&held->pairs);
    if (added) {
        pair_hold(pair);
        insert(held, pair);
    }
    os_mutex_unlock(&held->lock);
    if (added && !pair->was_held)
        atomic_fetch_add_explicit(&held->total, 1, memory_order_relaxed);
    /* A place that came free since the pair has asked for one was offered to nobody. */
    if (is_first)
        upstreams_stir(pair->route);
    return is_there || added;
}

void held_remove(struct held *held, struct pair *pair)
{
    os_mutex_lock(&held->lock);
    bool was = !list_empty(&pair->in_held);
    list_remove(&pair->in_held);
    os_mutex_unlock(&held->lock);
    if (!was)
        return;
    quota_give(&held->quota);
    pair_unhold(pair); /* not the last: the caller has the pair's lock, and a hold with it */
}

void held_rest(struct held *held, uint64_t at_ms)
{
    os_mutex_lock(&held->lock);
    if (held->serve_at_ms < at_ms)
        held->serve_at_ms = at_ms;
    os_mutex_unlock(&held->lock);
}

/* The first one, with a hold of its own; NULL: none, or not yet. It stays in the queue. */
static struct pair *first(struct held *held, uint64_t now_ms)
{
    struct pair *pair = NULL;
    os_mutex_lock(&held->lock);
    if (!list_empty(&held->pairs) && now_ms >= held->serve_at_ms) {
        pair = list_owner(held->pairs.next, struct pair, in_held);
        pair_hold(pair);
    }
    os_mutex_unlock(&held->lock);
    return pair;
}

/* False: another worker gives turns, and will look again. */
static bool begin_serving(struct held *held)
{
    os_mutex_lock(&held->lock);
    bool free = !held->serving;
    held->serving = true;
    held->serve_again = !free;
    os_mutex_unlock(&held->lock);
    return free;
}

/* False: it has to be done once more. */
static bool end_serving(struct held *held)
{
    os_mutex_lock(&held->lock);
    bool again = held->serve_again;
    held->serve_again = false;
    held->serving = again;
    os_mutex_unlock(&held->lock);
    return !again;
}

static void serve(struct relay_route *route, struct worker *worker)
{
    struct pair *pair;
    bool more = true;
    while (more && (pair = first(&route->held, worker->now_ms)) != NULL) {
        more = pair_serve(pair, worker);
        pair_unhold(pair);
    }
}

static uint64_t rest_until(struct held *held, uint64_t now_ms)
{
    os_mutex_lock(&held->lock);
    bool rests = !list_empty(&held->pairs) && now_ms < held->serve_at_ms;
    uint64_t until_ms = rests ? held->serve_at_ms : UINT64_MAX;
    os_mutex_unlock(&held->lock);
    return until_ms;
}

uint64_t held_serve(struct relay_route *route, struct worker *worker)
{
    struct held *held = &route->held;
    if (begin_serving(held)) {
        do
            serve(route, worker);
        while (!end_serving(held));
    }
    return rest_until(held, worker->now_ms);
}
